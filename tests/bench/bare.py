"""What the panel is compared with: applications that do nothing, on the same server."""

from __future__ import annotations

from flask import Flask, Response, jsonify
from flask_sqlalchemy import SQLAlchemy


def hello() -> Flask:
    """One route with a fixed answer."""
    app = Flask("bare")

    @app.get("/")
    def index() -> Response:
        return jsonify(ok=True)

    return app


def with_database() -> Flask:
    """The same, with the libraries that every panel needs and a database that nobody asks."""
    app = hello()
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    SQLAlchemy(app)
    return app

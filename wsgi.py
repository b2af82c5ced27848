"""The application for WSGI servers: `gunicorn wsgi:app`, or `mailcote serve`."""

from app import create_app, schema

app = create_app()
schema.offer_commands(app)

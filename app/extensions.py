"""Flask extensions and the settings of the running application: objects without behaviour."""

from __future__ import annotations

from typing import Any, cast

from flask import current_app
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf import CSRFProtect
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.orm import DeclarativeBase
from werkzeug.local import LocalProxy

from .config import Settings


class Base(DeclarativeBase):
    """What every model derives from. Constraints have names, so that migrations can alter them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class OneDatabase(Session):
    """A session of the one database there is, which is not looked up for each statement."""

    _bind: Engine | Connection | None = None

    def get_bind(self, *_what: Any, bind: Any = None, **_more: Any) -> Engine | Connection:
        """The engine of the running application."""
        if self._bind is None:
            self._bind = super().get_bind()
        return bind or self._bind


# Rows stay readable after a commit: what an operation returns is rendered without asking again.
_OPTIONS = {"class_": OneDatabase, "expire_on_commit": False}
db = SQLAlchemy(metadata=Base.metadata, session_options=_OPTIONS)
login_manager = LoginManager()
csrf = CSRFProtect()
settings = cast(Settings, LocalProxy(lambda: current_app.extensions["mailcote"]))

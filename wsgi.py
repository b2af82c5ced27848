"""The application for WSGI servers: `gunicorn wsgi:app`, or `mailcote serve`."""

from app import create_app

app = create_app()

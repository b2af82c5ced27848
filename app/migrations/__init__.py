"""Database migrations, run by `mailcote` before anything else it does."""

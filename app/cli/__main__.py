"""`python -m app.cli` is `mailcote`, where it is not installed."""

from . import main

main()

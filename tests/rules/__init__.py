"""Rules of our own for the mistakes this code could make, which ruff does not know."""

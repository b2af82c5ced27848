"""The agent against a panel that can answer anything, with real files and real processes."""

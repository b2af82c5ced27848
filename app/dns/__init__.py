"""What a domain's zone has to say for its mail."""

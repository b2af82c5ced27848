"""A whole Mailcote on one computer: the parts that the demo command puts together."""

"""Build the messages that people read."""

"""Following a meeting: what became of its livestream, and telling it."""

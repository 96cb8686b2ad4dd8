"""`make soak`: the bot under mixed load for a long time, to check that nothing grows and nothing is lost."""

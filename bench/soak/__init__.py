"""`make soak`: the bot for a long time under mixed load, to see that nothing grows and nothing is lost."""

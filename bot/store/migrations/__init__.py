"""How the tables came to be, one file a step. `open_store` runs what is missing.

A new step is a file in versions/ with the next number, written by hand; a test compares the outcome with tables.py. On
SQLite foreign keys are not enforced while it runs, and everything is one transaction.
"""

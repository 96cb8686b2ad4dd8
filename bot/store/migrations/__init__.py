"""How the tables came to be, one file a step. `open_store` runs what is missing.

A new step is a file in versions/ with the next number (0001, 0002, ...), written by hand; a test compares the outcome
with tables.py. On SQLite foreign keys are not enforced while it runs, and everything is one transaction.

`additive = True` in it says that versions without it can work with its tables: then they go on during an upgrade, and
one can go back to them. That is so where it only adds, where a row that is written without what it adds is right, and
where the version that comes with it writes no word into an old column that older ones do not know. A step that is not
additive ends the way back: versions without it do not start on its tables.
"""

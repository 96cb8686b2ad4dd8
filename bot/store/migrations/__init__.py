"""Migrations, one file each. `open_store` runs the pending ones.

A new migration is a handwritten file in versions/ with the next number (0001, 0002, ...); a test compares the result
with tables.py. All pending migrations run in one transaction; on SQLite, foreign keys are not enforced meanwhile.

`additive = True` declares that versions without the migration can work with its tables. They then keep working during
an upgrade, and a rollback to them is possible. A migration is additive if it only adds, if a row written without the
additions is valid, and if its version writes no values into old columns that older versions do not know. Without
`additive`, a rollback is not possible: older versions refuse to start on the tables.
"""

"""The database of a next version of the bot: a migration of the kind that a rolling upgrade allows."""

import shutil
from pathlib import Path

from bot.store.migrations import MIGRATIONS

GATE = 42
"""The advisory lock with which a test can delay the migration before its commit."""
HEAD = max(MIGRATIONS.glob("versions/0*.py")).name.partition("_")[0]
NEWER = f"{int(HEAD) + 1:04}"
NEXT = f'''
"""Columns and a table."""

import sqlalchemy as sa
from alembic import op

revision = "{{new}}"
down_revision = "{{head}}"
branch_labels = None
depends_on = None
additive = {{additive}}


def upgrade() -> None:
    for table in ("meetings", "follows", "cards", "announcements"):
        op.add_column(table, sa.Column("language", sa.Text))
    op.create_table("languages", sa.Column("name", sa.Text, primary_key=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('lock_timeout', '0', true), pg_advisory_xact_lock({GATE})")
'''


def newer_migrations(folder: Path, *, additive: bool = True) -> Path:
    """Copy this version's migrations and add one, whose columns may be NULL.

    `additive` is what it claims about itself.
    """
    path = folder / "migrations"
    shutil.copytree(MIGRATIONS, path, ignore=shutil.ignore_patterns("__pycache__"))
    step = NEXT.format(head=HEAD, new=NEWER, additive=additive)
    (path / "versions" / "next.py").write_text(step)
    return path

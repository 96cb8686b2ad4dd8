"""A next version of the bot, as far as its tables go: a migration of the kind that a rolling upgrade allows."""

import shutil
from pathlib import Path

from bot.store.migrating import MIGRATIONS

GATE = 42
"""The advisory lock at which a test may hold the migration up, its changes made and not committed."""
NEXT = f'''
"""Columns and a table."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{{head}}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("meetings", "follows", "cards", "announcements"):
        op.add_column(table, sa.Column("language", sa.Text))
    op.create_table("languages", sa.Column("name", sa.Text, primary_key=True))
    op.execute("SELECT pg_advisory_xact_lock({GATE})")
'''


def newer_migrations(folder: Path) -> Path:
    """Those of this version and one more, which only adds, and what it adds may be NULL."""
    path = folder / "migrations"
    shutil.copytree(MIGRATIONS, path, ignore=shutil.ignore_patterns("__pycache__"))
    head = max(path.glob("versions/0*.py")).name.partition("_")[0]
    (path / "versions" / "next.py").write_text(NEXT.format(head=head))
    return path

"""Meetings, follows, cards, announcements, singleton jobs, counted requests, and compatible versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
additive = False


def upgrade() -> None:
    """Create the first tables."""
    _meetings()
    _follows()
    _cards()
    _announcements()
    op.create_table(
        "singleton_jobs",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("next_run_at", sa.Double, nullable=False),
        sa.Column("lease", sa.Text),
        sa.Column("last_run_at", sa.Double),
        sa.PrimaryKeyConstraint("name", name="pk_singleton_jobs"),
    )
    op.create_table(
        "request_windows",
        sa.Column("window_start", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("people", sa.Integer, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("window_start", name="pk_request_windows"),
    )
    op.create_table(
        "schema_compatibility",
        sa.Column("min_revision", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("min_revision", name="pk_schema_compatibility"),
    )


def _meetings() -> None:
    op.create_table(
        "meetings",
        sa.Column("meeting_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("episode_number", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("episode_state", sa.JSON, nullable=False),
        sa.Column("next_check_at", sa.Double),
        sa.Column("check_requested", sa.Boolean, nullable=False),
        sa.Column("refresh_at", sa.Double),
        sa.Column("lease", sa.Text),
        sa.Column("consecutive_failures", sa.Integer, nullable=False),
        sa.Column("last_checked_at", sa.Double),
        sa.Column("checked_at", sa.Double),
        sa.Column("idle", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("meeting_id", name="pk_meetings"),
        sa.CheckConstraint("lease IS NULL OR next_check_at IS NOT NULL", name=op.f("ck_meetings_lease_ends")),
    )
    _partial_index("ix_meetings_next_check_at", "meetings", ["next_check_at"], where="next_check_at IS NOT NULL")
    _partial_index("ix_meetings_busy", "meetings", ["next_check_at"], where="next_check_at IS NOT NULL AND NOT idle")
    _partial_index("ix_meetings_idle", "meetings", ["checked_at"], where="next_check_at IS NOT NULL AND idle")
    _partial_index("ix_meetings_refresh_at", "meetings", ["refresh_at"], where="refresh_at IS NOT NULL")
    _partial_index("ix_meetings_on_air", "meetings", ["phase"], where="phase NOT IN ('waiting', 'ended')")


def _follows() -> None:
    op.create_table(
        "follows",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("team_id", sa.Text, nullable=False),
        sa.Column("channel_id", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Uuid, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("pause_reason", sa.Text),
        sa.Column("paused_at", sa.Double),
        sa.Column("creator_notified", sa.Boolean, nullable=False),
        sa.Column("notice_at", sa.Double),
        sa.Column("notice_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("notice_error", sa.Text),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("unfollowed_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_follows"),
        sa.CheckConstraint("level IN ('quiet', 'normal', 'loud')", name=op.f("ck_follows_level")),
        sa.CheckConstraint("state IN ('active', 'paused', 'expired', 'unfollowed')", name=op.f("ck_follows_state")),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meetings.meeting_id"], name="fk_follows_meetings", ondelete="CASCADE"
        ),
    )
    current = "state IN ('active', 'paused')"
    _partial_index("ix_follows_current", "follows", ["team_id", "channel_id", "meeting_id"], where=current, unique=True)
    op.create_index("ix_follows_team_id_channel_id_meeting_id", "follows", ["team_id", "channel_id", "meeting_id"])
    op.create_index("ix_follows_meeting_id", "follows", ["meeting_id"])
    _partial_index("ix_follows_expires_at", "follows", ["expires_at"], where=current)
    notice_due = "pause_reason IS NOT NULL AND NOT creator_notified AND state IN ('paused', 'expired')"
    _partial_index("ix_follows_unnotified", "follows", ["id"], where=notice_due)


def _cards() -> None:
    op.create_table(
        "cards",
        sa.Column("follow_id", sa.Uuid, nullable=False),
        sa.Column("episode", sa.Integer, nullable=False),
        sa.Column("message_ts", sa.Text),
        sa.Column("times_deleted", sa.Integer, server_default="0", nullable=False),
        sa.Column("ordered_at", sa.Double, nullable=False),
        sa.Column("desired", sa.JSON, nullable=False),
        sa.Column("desired_version", sa.Integer, nullable=False),
        sa.Column("rendered_version", sa.Integer, nullable=False),
        sa.Column("rendered_at", sa.Double),
        sa.Column("next_attempt_at", sa.Double),
        sa.Column("lease", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("has_news", sa.Boolean, nullable=False),
        sa.Column("unconfirmed_until", sa.Double),
        sa.Column("failing", sa.JSON),
        sa.PrimaryKeyConstraint("follow_id", "episode", name="pk_cards"),
        sa.CheckConstraint("lease IS NULL OR next_attempt_at IS NOT NULL", name=op.f("ck_cards_lease_ends")),
        sa.ForeignKeyConstraint(["follow_id"], ["follows.id"], name="fk_cards_follows", ondelete="CASCADE"),
    )
    _partial_index("ix_cards_due", "cards", ["has_news", "next_attempt_at"], where="next_attempt_at IS NOT NULL")


def _announcements() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("follow_id", sa.Uuid, nullable=False),
        sa.Column("episode", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("occurred_at", sa.Double, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("unconfirmed", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("sent_ts", sa.Text),
        sa.Column("sent_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_announcements"),
        sa.UniqueConstraint("follow_id", "episode", "seq", name="uq_announcements_follow_id_episode_seq"),
        sa.ForeignKeyConstraint(
            ["follow_id", "episode"],
            ["cards.follow_id", "cards.episode"],
            name="fk_announcements_cards",
            ondelete="CASCADE",
        ),
    )
    columns = ["follow_id", "episode", "id"]
    _partial_index("ix_announcements_unsent", "announcements", columns, where="sent_at IS NULL")


def _partial_index(name: str, table: str, columns: list[str], *, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)

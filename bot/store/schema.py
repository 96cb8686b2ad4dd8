"""The tables as the newest migration leaves them; a test compares the two.

    meetings ──< follows ──< cards ──< announcements
    singleton_jobs    request_windows    schema_compatibility

Each followed meeting has a row, and so has each channel's follow of it. Each follow has a card for each episode, and a
card has its announcements (the outbox). A singleton job is one that one replica runs for all.

Transactions that touch several tables lock the meeting row first; this ordering prevents deadlocks. A transaction that
only changes one card locks just that card.

Times are epoch seconds (UTC).
"""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from bot.domain.follow import FollowState, Level

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _one_of(column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _lease_ends(due: str) -> sa.CheckConstraint:
    # A lease without an end would lock the row forever.
    return sa.CheckConstraint(f"lease IS NULL OR {due} IS NOT NULL", name="lease_ends")


def _partial_index(name: str, *columns: sa.Column[Any], where: str, unique: bool = False) -> sa.Index:
    # Index only rows with pending work, so that other rows cost nothing.
    return sa.Index(name, *columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


ON_AIR = "phase NOT IN ('waiting', 'ended')"
"""The condition for meetings on air, word for word as in the index, which is not used otherwise."""

IDLE_PHASES = ("waiting", "ended")
"""The phases of a meeting that is not on air."""
BUSY = "next_check_at IS NOT NULL AND NOT idle"
"""The condition for followed meetings that are not idle, word for word as in the index."""
IDLE = "next_check_at IS NOT NULL AND idle"
"""The condition for followed meetings that are idle, word for word as in the index."""

meetings = sa.Table(
    "meetings",
    metadata,
    sa.Column("meeting_id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("episode_number", sa.Integer, nullable=False),  # the current episode's
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("episode_state", sa.JSON, nullable=False),  # the current one's to_dict()
    sa.Column("next_check_at", sa.Double),  # next check; during one, the lease's end; NULL: not followed
    sa.Column("check_requested", sa.Boolean, nullable=False),  # by a webhook or a contradicting lookup; has not begun
    sa.Column("refresh_at", sa.Double),  # when to do the check that a person requested; NULL: none is requested
    sa.Column("lease", sa.Text),  # a token for each claim; NULL: not claimed
    sa.Column("consecutive_failures", sa.Integer, nullable=False),  # consecutive failed checks
    sa.Column("last_checked_at", sa.Double),  # last answer, or last confirmation by a list
    sa.Column("checked_at", sa.Double),  # end of the last check, successful or not
    sa.Column("idle", sa.Boolean, nullable=False, server_default=sa.false()),  # not due while full lists are read
    _lease_ends("next_check_at"),
)
# Serves: due meetings, while no full list is read.
_partial_index("ix_meetings_next_check_at", meetings.c.next_check_at, where="next_check_at IS NOT NULL")
# Serves: due meetings, and when the next one is due, while full lists are read.
_partial_index("ix_meetings_busy", meetings.c.next_check_at, where=BUSY)
# Serves: the idle meetings that were not checked for longest.
_partial_index("ix_meetings_idle", meetings.c.checked_at, where=IDLE)
# Serves: checks that people requested.
_partial_index("ix_meetings_refresh_at", meetings.c.refresh_at, where="refresh_at IS NOT NULL")
# Serves: meetings that a list of all livestreams should contain.
_partial_index("ix_meetings_on_air", meetings.c.phase, where=ON_AIR)

CURRENT = "state IN ('active', 'paused')"
"""The condition for follows that people see and can change, word for word as in the indexes."""

NOTICE_DUE = "pause_reason IS NOT NULL AND NOT creator_notified AND state IN ('paused', 'expired')"
"""The condition for follows whose creators need a notice that Slack refuses the bot's posts, as in the index."""

follows = sa.Table(
    "follows",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("team_id", sa.Text, nullable=False),
    sa.Column("channel_id", sa.Text, nullable=False),
    sa.Column("meeting_id", sa.ForeignKey(meetings.c.meeting_id, ondelete="CASCADE"), nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("pause_reason", sa.Text),  # Slack's code for why it is paused, or for why its expiry could not be posted
    sa.Column("paused_at", sa.Double),  # when Slack refused
    sa.Column("creator_notified", sa.Boolean, nullable=False),  # its creator received a notice about that
    sa.Column("notice_at", sa.Double),  # when to send its creator a notice; NULL: at once
    sa.Column("notice_attempts", sa.Integer, nullable=False, server_default="0"),  # failed attempts to send it
    sa.Column("notice_error", sa.Text),  # Slack's code for why the notice cannot be sent
    sa.Column("expires_at", sa.Double, nullable=False),  # for an ended follow, when it ended
    sa.Column("unfollowed_by", sa.Text),  # the user who ended it
    _one_of("level", Level),
    _one_of("state", FollowState),
)
# Serves: a channel's current and past follows.
sa.Index(None, follows.c.team_id, follows.c.channel_id, follows.c.meeting_id)
# Forbids: following a meeting twice in one channel.
_partial_index(
    "ix_follows_current", follows.c.team_id, follows.c.channel_id, follows.c.meeting_id, where=CURRENT, unique=True
)
# Serves: the followers of a meeting.
sa.Index(None, follows.c.meeting_id)
# Serves: follows that expire.
_partial_index("ix_follows_expires_at", follows.c.expires_at, where=CURRENT)
# Serves: follows whose creators need a notice.
_partial_index("ix_follows_unnotified", follows.c.id, where=NOTICE_DUE)

cards = sa.Table(
    "cards",
    metadata,
    sa.Column("follow_id", sa.ForeignKey(follows.c.id, ondelete="CASCADE")),
    sa.Column("episode", sa.Integer),
    sa.Column("message_ts", sa.Text),  # the message's timestamp in Slack; NULL until it is posted
    sa.Column("times_deleted", sa.Integer, nullable=False, server_default="0"),  # in Slack
    sa.Column("ordered_at", sa.Double, nullable=False),  # when posting became due; part of its message's ID
    sa.Column("desired", sa.JSON, nullable=False),  # the Episode to show, to_dict()
    sa.Column("desired_version", sa.Integer, nullable=False),
    sa.Column("rendered_version", sa.Integer, nullable=False),  # before it is posted, the first version tried, or 0
    sa.Column("rendered_at", sa.Double),
    sa.Column("next_attempt_at", sa.Double),  # next work; while claimed, the lease's end; NULL: nothing to do
    sa.Column("lease", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),  # failed claims since the last success, plus the current one
    sa.Column("has_news", sa.Boolean, nullable=False),  # it is unposted or has pending announcements
    # Until when Slack may carry out an unconfirmed request; then the card is edited once more. NULL: nothing is
    # unconfirmed. Without a ts, the card may have been posted.
    sa.Column("unconfirmed_until", sa.Double),
    # By kind of call, Slack's error code since the last success, and since when. NULL: no call is failing.
    sa.Column("failing", sa.JSON(none_as_null=True)),
    # Forbids: two cards of one episode in a follow.
    sa.PrimaryKeyConstraint("follow_id", "episode"),
    _lease_ends("next_attempt_at"),
)
# Serves: due cards, those with news first, and when the next one is due.
_partial_index("ix_cards_due", cards.c.has_news, cards.c.next_attempt_at, where="next_attempt_at IS NOT NULL")

announcements = sa.Table(
    "announcements",
    metadata,
    # Order of announcing, independent of the clock.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("follow_id", sa.Uuid, nullable=False),
    sa.Column("episode", sa.Integer, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),  # the Change's; negative for the store's own announcements
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),  # the Change, to_dict()
    sa.Column("occurred_at", sa.Double, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("unconfirmed", sa.Boolean, nullable=False, server_default=sa.false()),  # a post of it got no answer
    sa.Column("sent_ts", sa.Text),
    sa.Column("sent_at", sa.Double),
    sa.ForeignKeyConstraint(["follow_id", "episode"], [cards.c.follow_id, cards.c.episode], ondelete="CASCADE"),
    # Forbids: announcing a change twice in one thread, however often it is recorded.
    sa.UniqueConstraint("follow_id", "episode", "seq"),
)
# Serves: a thread's pending announcements in order, and the age of the oldest.
_partial_index(
    "ix_announcements_unsent",
    announcements.c.follow_id,
    announcements.c.episode,
    announcements.c.id,
    where="sent_at IS NULL",
)

singleton_jobs = sa.Table(
    "singleton_jobs",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("next_run_at", sa.Double, nullable=False),  # when it is due; while claimed, the lease's end
    sa.Column("lease", sa.Text),
    sa.Column("last_run_at", sa.Double),  # when it last ran
)

request_windows = sa.Table(
    "request_windows",
    metadata,
    sa.Column("window_start", sa.BigInteger, primary_key=True, autoincrement=False),  # its start, in epoch seconds
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("people", sa.Integer, nullable=False, server_default="0"),  # how many of these were for people's lookups
)

# One row, written by the version that migrates and read by older versions, which do not know the newest tables. So this
# table must never change.
schema_compatibility = sa.Table(
    "schema_compatibility",
    metadata,
    sa.Column("min_revision", sa.Text, primary_key=True),  # the newest one that the oldest compatible version knows
)

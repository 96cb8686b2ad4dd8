"""The tables, as the newest migration leaves them (a test compares the two).

    meetings ──< follows ──< cards ──< announcements        duties        budget        compatibility

A meeting that is followed has one row, each channel's follow of it another; each of its episodes has a card in every
channel, and a card its announcements (the outbox). A duty is what one replica does for all of them.

Whoever goes for several of these in one transaction locks the meeting first, so no two wait for each other: the
meeting's row is the mutex of all that hangs on it. Who only works at one card locks just that card.

Times are epoch seconds (UTC).
"""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Volume(StrEnum):
    """How much of a meeting a channel hears."""

    QUIET = "quiet"
    """The card alone."""
    NORMAL = "normal"
    """And a reply in its thread at each change."""
    LOUD = "loud"
    """And "live" and "ended" to the channel too."""


class FollowState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """Slack does not let the bot post in the channel."""
    EXPIRED = "expired"
    """There was no livestream for so long that nobody seems to wait for one."""
    UNFOLLOWED = "unfollowed"
    """Somebody has ended it. It is gone for people; the row is there until all its cards show that."""


def _one_of(column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _lease_ends(due: str) -> sa.CheckConstraint:
    # A lease without an end would keep the row from everybody for ever.
    return sa.CheckConstraint(f"lease IS NULL OR {due} IS NOT NULL", name="lease_ends")


def _partial_index(name: str, *columns: sa.Column[Any], where: str, unique: bool = False) -> sa.Index:
    # Of the rows that matter alone: what waits for nothing costs nothing.
    return sa.Index(name, *columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


ON_AIR = "phase NOT IN ('waiting', 'ended')"
"""Of a meeting: word for word as its index has it, or the index is not used."""

RESTING = ("waiting", "ended")
"""The phases of a meeting that is not on air."""
BUSY = "look_at IS NOT NULL AND NOT idle"
"""Of a meeting that is followed and that a list alone does not check; word for word as its index has it."""

meetings = sa.Table(
    "meetings",
    metadata,
    sa.Column("meeting_id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("number", sa.Integer, nullable=False),  # of the current episode
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("episode", sa.JSON, nullable=False),  # the current one, to_dict()
    sa.Column("look_at", sa.Double),  # when to look; while somebody does, when the lease ends; NULL: nobody follows it
    sa.Column("hinted", sa.Boolean, nullable=False),  # somebody said look again, and nobody has begun to
    sa.Column("lease", sa.Text),  # who looks: another word at each claim; NULL: nobody does
    sa.Column("failures", sa.Integer, nullable=False),  # looks in a row that got no answer
    sa.Column("looked_at", sa.Double),  # when it last got an answer, or a list confirmed it
    sa.Column("checked_at", sa.Double),  # when the last check of this meeting ended, with or without an answer
    sa.Column("idle", sa.Boolean, nullable=False, server_default=sa.false()),  # not due while whole lists are read
    _lease_ends("look_at"),
)
# Serves: which meetings are due where no list is read.
_partial_index("ix_meetings_look_at", meetings.c.look_at, where="look_at IS NOT NULL")
# Serves: which are due, and when the next one is, while whole lists are read.
_partial_index("ix_meetings_busy", meetings.c.look_at, where=BUSY)
# Serves: which meetings a list of all livestreams should have.
_partial_index("ix_meetings_on_air", meetings.c.phase, where=ON_AIR)

CURRENT = "state IN ('active', 'paused')"
"""Of a follow: what people see and may change. Word for word as its indexes have it, or they are not used."""

follows = sa.Table(
    "follows",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("team_id", sa.Text, nullable=False),
    sa.Column("channel_id", sa.Text, nullable=False),
    sa.Column("meeting_id", sa.ForeignKey(meetings.c.meeting_id, ondelete="CASCADE"), nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("volume", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),  # Slack's word for why it is paused
    sa.Column("paused_at", sa.Double),
    sa.Column("told", sa.Boolean, nullable=False),  # its creator was told that it is paused
    sa.Column("notice_at", sa.Double),  # when to tell its creator; NULL: at once
    sa.Column("notice_attempts", sa.Integer, nullable=False, server_default="0"),  # how often that failed
    sa.Column("notice_error", sa.Text),  # Slack's code for why its creator could not be told
    sa.Column("expires_at", sa.Double, nullable=False),  # of one that is over, when it ended
    sa.Column("unfollowed_by", sa.Text),  # the user who has ended it
    _one_of("volume", Volume),
    _one_of("state", FollowState),
)
# Serves: what a channel follows, or has followed.
sa.Index(None, follows.c.team_id, follows.c.channel_id, follows.c.meeting_id)
# Forbids: following a meeting twice in one channel.
_partial_index(
    "ix_follows_current", follows.c.team_id, follows.c.channel_id, follows.c.meeting_id, where=CURRENT, unique=True
)
# Serves: to whom a change of a meeting is told.
sa.Index(None, follows.c.meeting_id)
# Serves: which follows expire.
_partial_index("ix_follows_expires_at", follows.c.expires_at, where=CURRENT)
# Serves: whose creators are still to be told.
_partial_index("ix_follows_untold", follows.c.id, where="state = 'paused' AND NOT told")

cards = sa.Table(
    "cards",
    metadata,
    sa.Column("follow_id", sa.ForeignKey(follows.c.id, ondelete="CASCADE")),
    sa.Column("episode", sa.Integer),
    sa.Column("ts", sa.Text),  # Slack's name of the message; NULL until it is posted
    sa.Column("lost", sa.Integer, nullable=False, server_default="0"),  # how often its message was deleted in Slack
    sa.Column("wanted", sa.JSON, nullable=False),  # the Episode to show, to_dict()
    sa.Column("wanted_version", sa.Integer, nullable=False),
    sa.Column("shown_version", sa.Integer, nullable=False),  # before it is posted, the first that was tried, or 0
    sa.Column("shown_at", sa.Double),
    sa.Column("due_at", sa.Double),  # when to work at it; while somebody does, when the lease ends; NULL: nothing to do
    sa.Column("lease", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),  # failures since anything succeeded, and the claim that works
    sa.Column("has_news", sa.Boolean, nullable=False),  # it has to be posted, or something is to be announced in it
    # Until when Slack may do what it has not confirmed; after that the card is edited once more. NULL: nothing is
    # unconfirmed. Of a card without a ts: it may have been posted.
    sa.Column("unconfirmed_until", sa.Double),
    # By kind of call, the code with which Slack has refused it since its last success, and since when. NULL: no call.
    sa.Column("failing", sa.JSON(none_as_null=True)),
    # Forbids two cards of one run in one thread's place.
    sa.PrimaryKeyConstraint("follow_id", "episode"),
    _lease_ends("due_at"),
)
# Serves: which cards are due, those with news first, and when the next one is.
_partial_index("ix_cards_due", cards.c.has_news, cards.c.due_at, where="due_at IS NOT NULL")

announcements = sa.Table(
    "announcements",
    metadata,
    # In the order of telling, whatever the clock does.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("follow_id", sa.Uuid, nullable=False),
    sa.Column("episode", sa.Integer, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),  # the Change's; negative where the store has a word of its own
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),  # the Change, to_dict()
    sa.Column("changed_at", sa.Double, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("sent_ts", sa.Text),
    sa.Column("sent_at", sa.Double),
    sa.ForeignKeyConstraint(["follow_id", "episode"], [cards.c.follow_id, cards.c.episode], ondelete="CASCADE"),
    # Forbids to tell a change twice in one thread, however often it is recorded.
    sa.UniqueConstraint("follow_id", "episode", "seq"),
)
# Serves: what is still to be told in a thread, in order, and since when anything is.
_partial_index(
    "ix_announcements_unsent",
    announcements.c.follow_id,
    announcements.c.episode,
    announcements.c.id,
    where="sent_at IS NULL",
)

duties = sa.Table(
    "duties",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("due_at", sa.Double, nullable=False),  # when to do it; while somebody does, when the lease ends
    sa.Column("lease", sa.Text),
    sa.Column("done_at", sa.Double),  # when it was done last
)

budget = sa.Table(
    "budget",
    metadata,
    sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),  # the second in which it begins
    sa.Column("used", sa.Integer, nullable=False),
    sa.Column("people", sa.Integer, nullable=False, server_default="0"),  # of these, for people's lookups
)

# One row, written by whoever migrates and read by versions that know neither it nor the tables' newest shape: it stays
# as it is.
compatibility = sa.Table(
    "compatibility",
    metadata,
    sa.Column("oldest", sa.Text, primary_key=True),  # the newest step of the oldest version that can work with these
)

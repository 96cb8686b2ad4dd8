"""The statements about cards that more than one kind of work needs."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables import announcements, cards

PATIENT_ATTEMPTS = 10
"""So often may a card fail in a row, which takes a quarter of an hour, until the next one goes before it."""

_later = cards.alias("later")
_before = cards.alias("before")


def unsent() -> sa.ColumnElement[bool]:
    """Whether anything is still to be told in the card's thread."""
    return sa.exists().where(
        announcements.c.follow_id == cards.c.follow_id,
        announcements.c.episode == cards.c.episode,
        announcements.c.sent_at.is_(None),
    )


def unfinished() -> sa.ColumnElement[bool]:
    """Whether anything is left to do for a card: to post it, to edit it, or to tell something in its thread."""
    return sa.or_(cards.c.ts.is_(None), cards.c.shown_version < cards.c.wanted_version, unsent())


def has_news() -> sa.ColumnElement[bool]:
    """Whether the card has to be posted, or something is to be announced in its thread: that goes before edits."""
    return sa.or_(cards.c.ts.is_(None), unsent())


def never_tried() -> sa.ColumnElement[bool]:
    """Whether nobody has tried to post it."""
    return sa.and_(cards.c.ts.is_(None), cards.c.shown_version == 0)


def is_latest() -> sa.ColumnElement[bool]:
    """Whether it is the newest card of its follow."""
    return ~sa.exists().where(_later.c.follow_id == cards.c.follow_id, _later.c.episode > cards.c.episode)


def waits_for_run_before() -> sa.ColumnElement[bool]:
    """Whether the channel is still to be shown, or told of, the run before: its end is not to come after the next
    beginning."""
    untold = sa.exists().where(
        announcements.c.follow_id == _before.c.follow_id,
        announcements.c.episode == _before.c.episode,
        announcements.c.sent_at.is_(None),
    )
    never_posted = sa.and_(_before.c.ts.is_(None), _before.c.lost == 0)
    return sa.exists().where(
        _before.c.follow_id == cards.c.follow_id,
        _before.c.episode < cards.c.episode,
        # Else it is paused.
        _before.c.due_at.is_not(None),
        _before.c.attempts < PATIENT_ATTEMPTS,
        sa.or_(never_posted, untold),
    )


def due_to_show(now: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return when a card whose content changes is due: `now`, or NULL for a card that is to stay as it is.

    A card that is claimed, or that has to wait, becomes due when that is over. One that is at rest but for the edit
    that confirms an earlier one waits for nothing.
    """
    only_confirms = sa.and_(
        cards.c.lease.is_(None), cards.c.has_news == sa.false(), cards.c.due_at == cards.c.unconfirmed_until
    )
    return sa.case((only_confirms, sa.func.coalesce(now, cards.c.due_at)), else_=sa.func.coalesce(cards.c.due_at, now))


async def wake(
    connection: AsyncConnection, now: sa.ColumnElement[float], *which: sa.ColumnElement[bool], news: bool = False
) -> None:
    """Make cards due now; `news`: there is something to announce.

    A card that is claimed, or that has to wait, becomes due when that is over (`due_to_show`). News does not wait for
    what only an edit has to wait for, such as Slack's limit of edits.
    """
    due_at = due_to_show(now)
    if not news:
        await connection.execute(sa.update(cards).where(*which).values(due_at=due_at))
        return
    waits_for_edit = sa.and_(cards.c.lease.is_(None), cards.c.has_news == sa.false())
    due = {"due_at": sa.case((waits_for_edit, now), else_=due_at), "has_news": True}
    await connection.execute(sa.update(cards).where(*which).values(due))


async def wake_unfinished(
    connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: Iterable[UUID]
) -> None:
    """Take up again what was left to do for these follows, except what nobody would understand any more."""
    theirs = cards.c.follow_id.in_(list(follow_ids))
    # A run of which the channel saw nothing, and which another one has followed: a card of it would only puzzle.
    await connection.execute(sa.delete(cards).where(theirs, cards.c.ts.is_(None), ~is_latest(), ~unsent()))
    await connection.execute(sa.update(cards).where(theirs).values(has_news=has_news()))
    await wake(connection, now, theirs, sa.or_(unfinished(), cards.c.unconfirmed_until.is_not(None)))

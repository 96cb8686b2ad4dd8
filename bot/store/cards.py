"""SQL conditions and updates for cards that several parts of the store share."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.schema import announcements, cards

MAX_BLOCKING_ATTEMPTS = 10
"""After this many consecutive failures, about a quarter of an hour, the next episode's card stops waiting."""

_later = cards.alias("later")
_before = cards.alias("before")


def has_pending() -> sa.ColumnElement[bool]:
    """Return whether the card's thread has pending announcements."""
    return sa.exists().where(
        announcements.c.follow_id == cards.c.follow_id,
        announcements.c.episode == cards.c.episode,
        announcements.c.sent_at.is_(None),
    )


def has_work() -> sa.ColumnElement[bool]:
    """Return whether the card still has to be posted or edited, or has pending announcements."""
    return sa.or_(cards.c.message_ts.is_(None), cards.c.rendered_version < cards.c.desired_version, has_pending())


def has_news() -> sa.ColumnElement[bool]:
    """Return whether the card is unposted or has pending announcements; such cards take precedence over edits."""
    return sa.or_(cards.c.message_ts.is_(None), has_pending())


def is_unattempted() -> sa.ColumnElement[bool]:
    """Return whether no attempt to post the card was made."""
    return sa.and_(cards.c.message_ts.is_(None), cards.c.rendered_version == 0)


def is_latest() -> sa.ColumnElement[bool]:
    """Return whether the card is the newest of its follow."""
    return ~sa.exists().where(_later.c.follow_id == cards.c.follow_id, _later.c.episode > cards.c.episode)


def is_blocked_by_previous() -> sa.ColumnElement[bool]:
    """Return whether a previous episode's card is unposted or has pending announcements.

    The end of an episode has to be announced before the next start.
    """
    has_unsent = sa.exists().where(
        announcements.c.follow_id == _before.c.follow_id,
        announcements.c.episode == _before.c.episode,
        announcements.c.sent_at.is_(None),
    )
    never_posted = sa.and_(_before.c.message_ts.is_(None), _before.c.times_deleted == 0)
    return sa.exists().where(
        _before.c.follow_id == cards.c.follow_id,
        _before.c.episode < cards.c.episode,
        # NULL means that the follow is paused.
        _before.c.next_attempt_at.is_not(None),
        _before.c.attempts < MAX_BLOCKING_ATTEMPTS,
        sa.or_(never_posted, has_unsent),
    )


def due_to_show(now: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return when a card whose content changes is due: at `now`, which is NULL if the change makes nothing due.

    A claimed or postponed card keeps its time. A card whose only remaining work is the edit that confirms an earlier
    one does not have to wait for that time.
    """
    only_confirms = sa.and_(
        cards.c.lease.is_(None), cards.c.has_news == sa.false(), cards.c.next_attempt_at == cards.c.unconfirmed_until
    )
    return sa.case(
        (only_confirms, sa.func.coalesce(now, cards.c.next_attempt_at)),
        else_=sa.func.coalesce(cards.c.next_attempt_at, now),
    )


async def wake(
    connection: AsyncConnection, now: sa.ColumnElement[float], *conditions: sa.ColumnElement[bool], news: bool = False
) -> None:
    """Make cards due now; `news`: there is something to announce.

    A claimed or postponed card keeps its time (`due_to_show`), but news does not wait for a postponed edit, such as one
    that Slack's rate limit delays.
    """
    due_at = due_to_show(now)
    if not news:
        await connection.execute(sa.update(cards).where(*conditions).values(next_attempt_at=due_at))
        return
    waits_for_edit = sa.and_(cards.c.lease.is_(None), cards.c.has_news == sa.false())
    due = {"next_attempt_at": sa.case((waits_for_edit, now), else_=due_at), "has_news": True}
    await connection.execute(sa.update(cards).where(*conditions).values(due))


async def wake_unfinished(
    connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: Iterable[UUID]
) -> None:
    """Re-enable unfinished cards of these follows, dropping those of episodes the channel never saw."""
    of_follows = cards.c.follow_id.in_(list(follow_ids))
    # The channel never saw this episode, and a newer one exists, so its card would only confuse people. A card whose
    # post got no answer stays, because otherwise nothing would ever edit that message.
    never_posted = sa.and_(cards.c.message_ts.is_(None), cards.c.unconfirmed_until.is_(None))
    await connection.execute(sa.delete(cards).where(of_follows, never_posted, ~is_latest(), ~has_pending()))
    await connection.execute(sa.update(cards).where(of_follows).values(has_news=has_news()))
    await wake(connection, now, of_follows, sa.or_(has_work(), cards.c.unconfirmed_until.is_not(None)))


async def revoke_leases(
    connection: AsyncConnection, now: sa.ColumnElement[float], late_seconds: float, follow_ids: Iterable[UUID]
) -> None:
    """Revoke the leases of these follows' cards in progress.

    The cards are due when the leases would have ended. Slack may still carry out requests of the holders, who then
    report them.
    """
    leased = sa.update(cards).where(cards.c.follow_id.in_(list(follow_ids)), cards.c.lease.is_not(None))
    await connection.execute(leased.values(lease=None, unconfirmed_until=now + late_seconds, has_news=has_news()))

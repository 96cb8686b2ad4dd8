"""The outbox: the cards and announcements that a check of a meeting creates, in one statement for all channels.

The meeting is locked, so its follows do not change meanwhile.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import FollowState, Level
from bot.store.cards import due_to_show, is_latest, wake
from bot.store.database import insert
from bot.store.rows import Change, Episode
from bot.store.schema import CURRENT, announcements, cards, follows


def card_follows(meeting_id: UUID) -> sa.ColumnElement[bool]:
    """Return the condition for follows whose cards are kept up to date."""
    return sa.and_(follows.c.meeting_id == meeting_id, sa.text(CURRENT))


def notified_follows(meeting_id: UUID) -> sa.ColumnElement[bool]:
    """Return the condition for follows that announce changes; paused ones do so on resuming, if still true then."""
    return sa.and_(card_follows(meeting_id), follows.c.level != Level.QUIET)


def _due_if_active(now: sa.ColumnElement[float]) -> sa.ColumnElement[float | None]:
    return sa.case((follows.c.state == FollowState.ACTIVE, now), else_=sa.null())


async def upsert_cards(
    connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID, episode: Episode, *, visible: bool
) -> None:
    """Have every card of the episode show it, and create the missing ones. One statement, however many follows."""
    card = sa.select(
        follows.c.id,
        sa.literal(episode.number),
        sa.literal(episode.to_dict(), sa.JSON),
        sa.literal(1),
        sa.literal(0),
        now,
        # A paused follow's card is kept up to date, in case it can be posted later.
        _due_if_active(now),
        sa.literal(0),
        sa.true(),
    ).where(card_follows(meeting_id))
    columns = ["follow_id", "episode", "desired", "desired_version", "rendered_version"]
    columns += ["ordered_at", "next_attempt_at"]
    columns += ["attempts", "has_news"]
    statement = insert(connection, cards).from_select(columns, card)
    key = [cards.c.follow_id, cards.c.episode]
    if not visible:
        await connection.execute(statement.on_conflict_do_nothing(index_elements=key))
        return
    newer = {
        "desired": statement.excluded.desired,
        "desired_version": cards.c.desired_version + 1,
        "next_attempt_at": due_to_show(statement.excluded.next_attempt_at),
    }
    await connection.execute(statement.on_conflict_do_update(index_elements=key, set_=newer))


async def retire_cards(
    connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID, next_episode: int
) -> None:
    """Have each follow's latest card drop level and menu, which only the latest shows, before the next episode's."""
    followers = sa.select(follows.c.id).where(card_follows(meeting_id))
    due_at = sa.select(_due_if_active(now)).where(follows.c.id == cards.c.follow_id).scalar_subquery()
    latest = sa.and_(cards.c.follow_id.in_(followers), cards.c.episode < next_episode, is_latest())
    newer = {"desired_version": cards.c.desired_version + 1, "next_attempt_at": due_to_show(due_at)}
    await connection.execute(sa.update(cards).where(latest).values(newer))


async def finalize_cards(
    connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID, episode: Episode
) -> None:
    """Have the cards of an ended episode show how it ended; channels without one get none."""
    last = {"desired": episode.to_dict(), "desired_version": cards.c.desired_version + 1}
    ids = sa.select(follows.c.id).where(card_follows(meeting_id))
    await connection.execute(
        sa.update(cards).where(cards.c.episode == episode.number, cards.c.follow_id.in_(ids)).values(last)
    )
    active = ids.where(follows.c.state == FollowState.ACTIVE)
    await wake(connection, now, cards.c.episode == episode.number, cards.c.follow_id.in_(active))


async def enqueue(connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID, change: Change) -> None:
    """Record a change as an announcement in every thread of its episode, once."""
    row = (
        sa.select(
            cards.c.follow_id,
            cards.c.episode,
            sa.literal(change.seq),
            sa.literal(str(change.kind)),
            sa.literal(change.to_dict(), sa.JSON),
            sa.literal(change.at.timestamp(), sa.Double),
            now,
        )
        .join(follows, follows.c.id == cards.c.follow_id)
        .where(cards.c.episode == change.episode, notified_follows(meeting_id))
        # As the foreign key does, but before the insertion: a card that is being purged is left out.
        .with_for_update(read=True, key_share=True, of=cards)
    )
    columns = ["follow_id", "episode", "seq", "kind", "payload", "occurred_at", "created_at"]
    statement = insert(connection, announcements).from_select(columns, row)
    key = [announcements.c.follow_id, announcements.c.episode, announcements.c.seq]
    await connection.execute(statement.on_conflict_do_nothing(index_elements=key))
    # After inserting the announcements, since this waits for a card's locked row: a holder that finishes sees them.
    listeners = sa.select(follows.c.id).where(notified_follows(meeting_id), follows.c.state == FollowState.ACTIVE)
    await wake(connection, now, cards.c.episode == change.episode, cards.c.follow_id.in_(listeners), news=True)

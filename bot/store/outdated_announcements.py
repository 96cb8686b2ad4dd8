"""Announcements that are outdated, because their follow was paused or they waited for a long time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.schema import announcements, cards, follows, meetings

LATE_SECONDS = 600.0
"""An announcement that has waited longer than this is sent only if it is still true."""
IN_THREAD = "in_thread"
"""In an announcement's data: it goes to the thread only, even if the follow's level is loud."""
_CHECK_SECONDS = 5.0
_LIVE, _BACK, _ERRORED, _STARTING, _ENDED = "live", "back", "errored", "starting", "ended"
_ON_AIR = (_LIVE, _BACK)
_KNOWN_BEFORE = {_LIVE: _STARTING, _ERRORED: _LIVE, _BACK: _ERRORED, _ENDED: _LIVE}
"""The state that a channel's first card showed, if its follow began just before the change."""
_SETTLED = {_LIVE: _ON_AIR, _ERRORED: (_ERRORED,), _STARTING: (_STARTING,)}
"""By phase, the last announcements that are true in it."""

Key = tuple[UUID, int]


class Sent(Enum):
    """Whether an announcement was sent."""

    NOT_YET = auto()
    UNCONFIRMED = auto()
    """A post of it got no answer, so it may be in the thread."""
    YES = auto()
    DROPPED = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """One announcement in a thread."""

    seq: int
    kind: str
    sent: Sent


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with the unsent announcements of one thread."""

    drop: frozenset[int] = frozenset()
    in_thread: frozenset[int] = frozenset()
    """Announcements to keep out of the channel itself, since it never learned of the start."""


def outdated(lines: Sequence[Line], *, phase: str, is_posted: bool) -> Verdict:
    """Decide which of a thread's announcements are still worth sending, given the phase that its card should show.

    At most one is: the end, if the channel may have the card; or the current state, unless the thread certainly says so
    already. Changes that came and went in between are dropped, also one that may be in the thread: what follows it
    then has to be there as well.
    """
    changes = [line for line in lines if line.seq > 0]
    unsent = [line for line in changes if line.sent in (Sent.NOT_YET, Sent.UNCONFIRMED)]
    if not unsent:
        return Verdict()
    known, first, last = _last_known(changes), unsent[0], unsent[-1]
    drop = frozenset(line.seq for line in unsent)
    may_be_known = first.kind if first.sent is Sent.UNCONFIRMED and first is not last else None
    if _ENDED in (phase, last.kind):
        was_live = any(line.kind == _LIVE for line in changes)
        has_heard = was_live or (known or may_be_known) is not None
        if last.kind != _ENDED or not is_posted or not has_heard:
            return Verdict(drop)
        return Verdict(drop - {last.seq}, frozenset([last.seq] if known is None else []))
    if may_be_known is not None:
        if may_be_known == last.kind or {may_be_known, last.kind} == set(_ON_AIR):
            return Verdict(drop - {first.seq})  # under its ID it cannot appear twice
        known = may_be_known
    if last.kind in _ON_AIR:
        is_known = known in _ON_AIR
        begun = next((line for line in unsent if line.kind == _LIVE), last)
        last = last if known == _ERRORED else begun
    else:
        is_known = known == last.kind
    return Verdict(drop if is_known else drop - {last.seq})


def _last_known(changes: Sequence[Line]) -> str | None:
    """Return the kind of the last change that the channel knows of, from the thread or from its first card."""
    sent = [line.kind for line in changes if line.sent is Sent.YES]
    if sent:
        return sent[-1]
    return None if changes[0].seq == 1 else _KNOWN_BEFORE.get(changes[0].kind)


async def drop_outdated(connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: Sequence[UUID]) -> None:
    """Drop the outdated ones of all unsent announcements of these follows."""
    unsent = sa.select(announcements.c.follow_id, announcements.c.episode).distinct()
    unsent = unsent.where(announcements.c.follow_id.in_(follow_ids), announcements.c.sent_at.is_(None))
    await _drop(connection, now, [(row[0], row[1]) for row in await connection.execute(unsent)])


async def still_true(connection: AsyncConnection, now: sa.ColumnElement[float], keys: list[Key]) -> list[Key]:
    """Drop outdated announcements that waited for long in these claimed cards; return the keys to work on now.

    Whether an announcement is still true is known only if the livestream was checked recently and is in a settled
    phase, not off air for a moment. Other cards are released and due again in some seconds.
    """
    waiting_long = await _waiting_long(connection, now, keys)
    if not waiting_long:
        return keys
    uncertain = await _uncertain(connection, now, waiting_long)
    await _drop(connection, now, [key for key in waiting_long if key not in uncertain])
    if not uncertain:
        return keys
    released = {"lease": None, "next_attempt_at": now + _CHECK_SECONDS, "attempts": cards.c.attempts - 1}
    uncertain_cards = sa.tuple_(cards.c.follow_id, cards.c.episode).in_(list(uncertain))
    await connection.execute(sa.update(cards).where(uncertain_cards).values(released))
    return [key for key in keys if key not in uncertain]


async def _waiting_long(connection: AsyncConnection, now: sa.ColumnElement[float], keys: list[Key]) -> list[Key]:
    query = (
        sa.select(announcements.c.follow_id, announcements.c.episode)
        .distinct()
        .where(
            sa.tuple_(announcements.c.follow_id, announcements.c.episode).in_(keys),
            announcements.c.sent_at.is_(None),
            announcements.c.seq > 0,
            announcements.c.created_at < now - LATE_SECONDS,
        )
    )
    return [(row[0], row[1]) for row in await connection.execute(query)]


async def _uncertain(connection: AsyncConnection, now: sa.ColumnElement[float], keys: list[Key]) -> set[Key]:
    """Return the cards whose livestream's current state is uncertain."""
    query = (
        sa.select(
            cards.c.follow_id,
            cards.c.episode,
            meetings.c.phase,
            meetings.c.episode_state["last_announced"].as_string().label("last_announced"),
            (meetings.c.last_checked_at < now - LATE_SECONDS).label("is_old"),
        )
        .join(follows, follows.c.id == cards.c.follow_id)
        .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
        # Past episodes are certain: they have ended.
        .where(sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys), cards.c.episode == meetings.c.episode_number)
        .where(meetings.c.phase != _ENDED)
    )
    rows = await connection.execute(query)
    return {(row[0], row[1]) for row in rows if row.is_old or row.last_announced not in _SETTLED.get(row.phase, ())}


async def _drop(connection: AsyncConnection, now: sa.ColumnElement[float], keys: Sequence[Key]) -> None:
    if not keys:
        return
    shown = (
        sa.select(cards, meetings.c.episode_number)
        .join(follows, follows.c.id == cards.c.follow_id)
        .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
        .where(sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys))
    )
    rows = (await connection.execute(shown)).mappings().all()
    threads = await _threads(connection, keys)
    drop: list[int] = []
    for card in rows:
        thread = threads[card["follow_id"], card["episode"]]
        lines = _lines(thread, is_unconfirmed=None not in (card["message_ts"], card["unconfirmed_until"]))
        # Without a ts, an unconfirmed card may have been posted.
        is_posted = any([card["message_ts"], card["times_deleted"], card["unconfirmed_until"]])
        phase = card["desired"]["phase"] if card["episode"] == card["episode_number"] else _ENDED
        verdict = outdated(lines, phase=phase, is_posted=is_posted)
        drop += [each["id"] for each in thread if each["seq"] in verdict.drop]
        for each in thread:
            if each["seq"] in verdict.in_thread:
                thread_only = sa.update(announcements).where(announcements.c.id == each["id"])
                await connection.execute(thread_only.values(payload=each["payload"] | {IN_THREAD: True}))
    # A sent_at without a sent_ts marks an announcement as dropped.
    dropped = sa.update(announcements).where(announcements.c.id.in_(drop), announcements.c.sent_at.is_(None))
    await connection.execute(dropped.values(sent_at=now, sent_ts=None))


async def _threads(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, list[Any]]:
    query = sa.select(announcements).where(sa.tuple_(announcements.c.follow_id, announcements.c.episode).in_(keys))
    threads: dict[Key, list[Any]] = defaultdict(list)
    for row in (await connection.execute(query.order_by(announcements.c.id))).mappings():
        threads[row["follow_id"], row["episode"]].append(row)
    return threads


def _lines(thread: Sequence[Any], *, is_unconfirmed: bool) -> list[Line]:
    """Return a thread's lines; `is_unconfirmed`: some request of its card's last holder got no answer.

    Announcements are posted one after another, so only the first unsent one may have been posted.
    """
    lines = []
    is_first = True
    for row in thread:
        sent = Sent.DROPPED if row["sent_ts"] is None else Sent.YES
        if row["sent_at"] is None:
            sent = Sent.UNCONFIRMED if is_first and (is_unconfirmed or row["unconfirmed"]) else Sent.NOT_YET
            is_first = False
        lines.append(Line(row["seq"], row["kind"], sent))
    return lines

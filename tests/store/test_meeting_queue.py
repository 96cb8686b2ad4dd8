"""Due meetings are checked by one replica each, and what was seen is kept with all that follows from it."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.domain.follow import Level
from bot.store.database import Database
from bot.store.leases import MAX_WAIT_SECONDS, LeaseLost
from bot.store.rows import from_epoch
from bot.store.schema import announcements, cards, follows
from bot.store.store import Store
from tests.store.helpers import (
    CHANNEL,
    LEASE,
    MEETING,
    OTHER_MEETING,
    TEAM,
    Change,
    Channel,
    Clock,
    Episode,
    follow,
    look,
    see,
)


async def test_nothing_is_followed(store: Store) -> None:
    """Then nothing is due, and the answer to a requested check is that no channel follows."""
    assert await store.meeting_queue.claim("tracker", 10, LEASE) == []
    assert await store.meeting_queue.due_in() is None
    assert not await store.meeting_queue.request_check(MEETING)


async def test_a_claim(store: Store, clock: Clock) -> None:
    """It has what was recorded last, and excludes every other worker until the lease ends."""
    await follow(store, episode=Episode(phase="live"))
    clock.advance(5)

    meeting = await look(store, "a")

    assert meeting.meeting_id == MEETING
    assert meeting.name == "All hands"
    assert meeting.episode == {"number": 1, "phase": "live"}
    assert meeting.consecutive_failures == 0
    assert meeting.check_requested
    assert meeting.due_at == from_epoch(clock.time - 5)
    assert await store.meeting_queue.claim("b", 10, LEASE) == []
    assert await store.meeting_queue.due_in() == LEASE


async def test_claims_are_bounded(store: Store) -> None:
    """No more than asked for."""
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)

    assert len(await store.meeting_queue.claim("a", 1, LEASE)) == 1
    assert len(await store.meeting_queue.claim("b", 10, LEASE)) == 1


async def test_a_crashed_tracker(store: Store, clock: Clock) -> None:
    """What it had claimed is claimed again once its lease ends, and it can no longer write."""
    await follow(store)
    crashed = await look(store, "a")
    clock.advance(LEASE)

    taken = await look(store, "b")

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(crashed, Episode(phase="live"), [Change()], next_check_in=15)
    with pytest.raises(LeaseLost):
        await store.meeting_queue.release(crashed, next_check_in=15)
    await store.meeting_queue.record(taken, Episode(phase="starting"), next_check_in=15)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert card.stored_episode["phase"] == "starting"
    assert card.announcements == ()


async def test_the_same_owner_claims_again(store: Store, clock: Clock) -> None:
    """What it knows from its own claim before is outdated too."""
    await follow(store)
    before = await look(store, "a")
    clock.advance(LEASE)
    now = await look(store, "a")

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(before, Episode(phase="live"), next_check_in=15)
    await store.meeting_queue.record(now, Episode(phase="live"), next_check_in=15)


async def test_late_but_nobody_else_came(store: Store, clock: Clock) -> None:
    """A check that took longer than its lease counts, if no other one has begun."""
    await follow(store)
    meeting = await look(store)
    clock.advance(10 * LEASE)

    await store.meeting_queue.record(meeting, Episode(phase="live"), next_check_in=15)


async def test_recording_twice(store: Store) -> None:
    """Only the first one counts: a change is announced once."""
    await follow(store)
    meeting = await look(store)
    await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)

    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert len(card.announcements) == 1


async def test_the_same_change_again(store: Store) -> None:
    """Recording a change that was recorded before repeats nothing, sent or not."""
    await follow(store)
    channel = Channel()
    await see(store, Episode(phase="live"), Change(1))
    await see(store, Episode(phase="live"), Change(1))
    await channel.work(store)

    await see(store, Episode(phase="ended"), Change(1), Change(2, "ended"))

    await channel.work(store)
    assert list(channel.threads.values()) == [["live", "ended"]]


async def test_look_in(store: Store, clock: Clock) -> None:
    """When to look next is counted from now."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)

    assert await store.meeting_queue.due_in() == 60
    clock.advance(59)
    assert await store.meeting_queue.claim("tracker", 10, LEASE) == []
    clock.advance(1)
    assert not (await look(store)).check_requested


async def test_release(store: Store, clock: Clock) -> None:
    """Nothing new: it is checked later, and its failures are counted for the next one."""
    await follow(store)
    clock.advance(5)

    await store.meeting_queue.release(await look(store), next_check_in=20, failures=3)

    assert await store.meeting_queue.due_in() == 20
    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.last_checked_at == from_epoch(clock.time - 5)
    clock.advance(20)
    again = await look(store)
    assert again.consecutive_failures == 3
    assert again.last_checked_at == from_epoch(clock.time - 25)


async def test_an_answer_ends_the_failures(store: Store, clock: Clock) -> None:
    """And says when it came."""
    await follow(store)
    await store.meeting_queue.release(await look(store), next_check_in=20, failures=3)
    clock.advance(20)

    await store.meeting_queue.release(await look(store), next_check_in=20)

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.last_checked_at == from_epoch(clock.time)
    assert listed.failures == 0


async def test_hinted_ones_first(store: Store, clock: Clock) -> None:
    """A meeting whose check was requested is checked before those that only wait, however long."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=10)
    await follow(store, meeting=OTHER_MEETING)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)
    clock.advance(30)

    assert await store.meeting_queue.request_check(OTHER_MEETING)

    assert [meeting.meeting_id for meeting in await store.meeting_queue.claim("t", 10, LEASE)] == [
        OTHER_MEETING,
        MEETING,
    ]


@pytest.mark.parametrize(("phases", "due"), [({"live", "starting"}, False), ({"waiting", "ended"}, True)])
async def test_check_is_requested_only_of_an_outdated_state(store: Store, phases: set[str], due: bool) -> None:
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)

    assert await store.meeting_queue.request_check(MEETING, lambda known: known.phase in phases) is due
    assert bool(await store.meeting_queue.claim("t", 10, LEASE)) is due


async def test_refreshes_do_not_precede_or_displace_other_checks(store: Store, clock: Clock) -> None:
    """A person's request leaves the bot's own schedule as it is, and its check is counted as people's."""
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)
    for each in await store.meeting_queue.claim("t", 10, LEASE):
        await store.meeting_queue.release(each, next_check_in=60 if each.meeting_id == MEETING else 10)
    clock.advance(10)
    assert await store.meeting_queue.request_refresh(MEETING)
    assert await store.meeting_queue.request_refresh(MEETING)
    assert not await store.meeting_queue.request_refresh(UUID(int=99))
    assert await store.meeting_queue.due_in() == 0

    assert await store.meeting_queue.claim("t", 0, LEASE, refreshes=0) == []
    (own,) = await store.meeting_queue.claim("t", 10, LEASE, refreshes=0)
    assert (own.meeting_id, own.for_person, own.check_requested) == (OTHER_MEETING, False, False)
    assert await store.meeting_queue.due_in() == LEASE
    assert await store.meeting_queue.refresh_due_in() == 0
    (requested,) = await store.meeting_queue.claim("t", 0, LEASE, refreshes=10)
    assert (requested.meeting_id, requested.for_person, requested.requested_by_person) == (MEETING, True, True)
    assert await store.meeting_queue.refresh_due_in() is None


async def test_refresh_of_a_meeting_that_is_due_anyway_is_the_bots_own_check(store: Store, clock: Clock) -> None:
    await follow(store)
    await store.meeting_queue.release(await look(store), next_check_in=10)
    clock.advance(10)
    assert await store.meeting_queue.request_refresh(MEETING)

    meeting = await look(store)

    assert (meeting.for_person, meeting.requested_by_person) == (False, True)
    assert await store.meeting_queue.refresh_due_in() is None


async def test_refresh_during_a_check_leads_to_another_check(store: Store) -> None:
    await follow(store)
    meeting = await look(store)
    assert await store.meeting_queue.request_refresh(MEETING)
    assert await store.meeting_queue.claim("t", 10, LEASE) == []
    await store.meeting_queue.release(meeting, next_check_in=60)

    assert (await look(store)).for_person


@pytest.mark.parametrize("how", ["record", "release"])
async def test_a_hint_during_the_look(store: Store, how: str) -> None:
    """It may be about something after the check, so the meeting is checked once more, immediately and once."""
    await follow(store)
    meeting = await look(store)

    assert await store.meeting_queue.request_check(MEETING)
    assert await store.meeting_queue.claim("other", 10, LEASE) == []
    if how == "record":
        await store.meeting_queue.record(meeting, Episode(), next_check_in=60)
    else:
        await store.meeting_queue.release(meeting, next_check_in=60)

    assert await store.meeting_queue.due_in() == 0
    await store.meeting_queue.release(await look(store), next_check_in=60)
    assert await store.meeting_queue.due_in() == 60


async def test_a_thousand_hints(store: Store) -> None:
    """A webhook that comes again and again means one look."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)

    assert all([await store.meeting_queue.request_check(MEETING) for _ in range(20)])

    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)
    assert await store.meeting_queue.due_in() == 60


async def test_a_hint_does_not_put_off(store: Store, clock: Clock) -> None:
    """Who is overdue stays so."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=10)
    clock.advance(30)

    await store.meeting_queue.request_check(MEETING)

    assert (await look(store)).due_at == from_epoch(clock.time - 20)


async def test_who_is_told(store: Store) -> None:
    """Every follow but quiet ones gets a change announced; every card shows it."""
    for level in Level:
        await follow(store, level.value, level=level)
    channel = Channel()

    await see(store, Episode(phase="live"), Change())

    due = {card.follow.level: card for card in await channel.work(store)}
    assert {level: len(card.announcements) for level, card in due.items()} == {
        Level.QUIET: 0,
        Level.NORMAL: 1,
        Level.LOUD: 1,
    }
    assert all(card["phase"] == "live" for card in channel.cards.values())


async def test_what_is_told(store: Store, clock: Clock) -> None:
    """The change as it was, when it was, and when it was recorded."""
    await follow(store)
    change = Change(seq=7, kind="errored")

    await see(store, Episode(phase="errored"), change)

    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    (announcement,) = card.announcements
    assert (announcement.episode, announcement.seq, announcement.kind) == (1, 7, "errored")
    assert announcement.payload == change.to_dict()
    assert announcement.occurred_at == change.at
    assert announcement.recorded_at == from_epoch(clock.time)


async def test_nothing_to_see(store: Store) -> None:
    """What does not change the card is kept, and edits nothing."""
    await follow(store)
    channel = Channel()
    await channel.work(store)

    await see(store, Episode(phase="live"), visible=False)

    assert await store.card_queue.due_in() is None
    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.phase == "live"


async def test_told_without_an_edit(store: Store) -> None:
    """A change makes the card due even where the card itself stays as it is."""
    await follow(store)
    channel = Channel()
    await channel.work(store)

    await see(store, Episode(), Change(), visible=False)

    (card,) = await channel.work(store)
    assert not card.needs_edit
    assert list(channel.threads.values()) == [["live"]]


async def test_the_card_is_latest_wins(store: Store) -> None:
    """Of three states in a row that are not shown yet, the last is shown, once; each change is announced, in order."""
    await follow(store)
    await see(store, Episode(phase="starting"), Change(1, "starting"))
    await see(store, Episode(phase="live"), Change(2, "live"))
    await see(store, Episode(phase="ended"), Change(3, "ended"))
    channel = Channel()

    (card,) = await channel.work(store)

    assert card.desired_version == 4
    assert list(channel.cards.values()) == [{"number": 1, "phase": "ended"}]
    assert list(channel.threads.values()) == [["starting", "live", "ended"]]


async def test_the_next_episode(store: Store) -> None:
    """It gets a card and a thread of its own, though nothing be visible; the old card stays as it is."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="ended"), Change(1, "ended"))
    await channel.work(store)

    await see(store, Episode(number=2, phase="live"), Change(1, "live", episode=2), visible=False)
    await channel.work(store)

    assert list(channel.cards.values()) == [{"number": 1, "phase": "ended"}, {"number": 2, "phase": "live"}]
    assert list(channel.threads.values()) == [["ended"], ["live"]]


async def test_two_episodes_in_one_look(store: Store) -> None:
    """How the one before ended is announced in its thread and shown on its card, if the channel ever saw it."""
    await follow(store, "C1", episode=Episode(phase="live"))
    channel = Channel()
    await channel.work(store)

    await see(
        store,
        Episode(number=2, phase="live"),
        Change(5, "ended", episode=1),
        Change(1, "live", episode=2),
        ended=Episode(number=1, phase="ended"),
    )
    await channel.work(store)
    await channel.work(store)

    assert list(channel.cards.values()) == [{"number": 1, "phase": "ended"}, {"number": 2, "phase": "live"}]
    assert list(channel.threads.values()) == [["ended"], ["live"]]


async def test_other_meetings_hear_nothing(store: Store) -> None:
    """A change is announced where its meeting is followed."""
    await follow(store, "C1")
    await follow(store, "C2", meeting=OTHER_MEETING)
    await Channel().work(store)
    first, second = await store.meeting_queue.claim("tracker", 2, LEASE)
    mine = first if first.meeting_id == MEETING else second

    ended = Episode(number=1, phase="ended")
    await store.meeting_queue.record(
        mine, Episode(number=2, phase="live"), [Change(), Change(episode=2)], next_check_in=15, ended=ended
    )

    assert {card.follow.channel_id for card in await store.card_queue.claim("a", 10, LEASE)} == {"C1"}


async def test_a_name_stays(store: Store) -> None:
    """An answer without a name takes none away."""
    await follow(store)
    await see(store, Episode(name="Quarterly"))
    await see(store, Episode(name=None))

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.name == "Quarterly"


async def test_a_livestream_renews_the_follows(store: Store, clock: Clock, database: Database) -> None:
    """At most once a day, since it is seen every few seconds."""
    await follow(store)
    begun = clock.time

    async def left() -> float:
        async with database.read_only() as connection:
            return float(await connection.scalar(sa.select(follows.c.expires_at)) or 0) - begun

    days = 24 * 3600.0
    clock.advance(0.5 * days)
    await see(store, Episode(), renew=True)
    assert await left() == 30 * days
    clock.advance(1 * days)
    await see(store, Episode())
    assert await left() == 30 * days
    await see(store, Episode(), renew=True)
    assert await left() == 31.5 * days


async def test_unfollowed_during_the_look(store: Store) -> None:
    """Then there is nothing to record it for."""
    await follow(store)
    meeting = await look(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)

    assert await store.meeting_queue.due_in() is None


async def test_the_clock_is_set_back(store: Store, clock: Clock) -> None:
    """An hour back does not mean an hour of silence: what seems to be due in an hour is due now."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(phase="live"), [Change()], next_check_in=60)

    clock.advance(-3600)

    assert await store.meeting_queue.due_in() == 0
    assert await store.card_queue.due_in() == 0
    await look(store)
    assert len(await store.card_queue.claim("announcer", 10, LEASE)) == 1


async def test_waits_are_bounded(store: Store) -> None:
    """No wait is longer than what a clock that was set back may cost."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=1e9)

    assert await store.meeting_queue.due_in() == MAX_WAIT_SECONDS


async def test_a_thousand_follows(store: Store, database: Database) -> None:
    """One change in a thousand channels is a handful of statements."""
    await follow(store)
    async with database.transaction() as connection:
        row = dict((await connection.execute(sa.select(follows))).mappings().one())
        many = [row | {"id": UUID(int=n), "channel_id": f"C{n}"} for n in range(1000, 1999)]
        await connection.execute(sa.insert(follows), many)
    statements: list[str] = []
    engine = store.meeting_queue._db.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    meeting = await look(store)
    statements.clear()

    await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)

    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) == 4
    async with database.read_only() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(cards)) == 1000
        assert await connection.scalar(sa.select(sa.func.count()).select_from(announcements)) == 1000

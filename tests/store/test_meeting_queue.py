"""Due meetings are checked by one replica each, and what was observed is kept with all that follows from it."""

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
    claim,
    count,
    follow,
    follow_and_check,
    follow_and_post,
    listed,
    look,
    recorded_statements,
    see,
)

LIVE = Episode(phase="live")


async def test_nothing_is_due_and_no_check_is_requested_without_follows(store: Store) -> None:
    assert await store.meeting_queue.claim("tracker", 10, LEASE) == []
    assert await store.meeting_queue.due_in() is None
    assert not await store.meeting_queue.request_check(MEETING)


async def test_claim_returns_what_is_known_and_keeps_others_away(store: Store, clock: Clock) -> None:
    await follow(store, episode=LIVE)
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


async def test_claims_take_no_more_meetings_than_asked_for(store: Store) -> None:
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)

    assert len(await store.meeting_queue.claim("a", 1, LEASE)) == 1
    assert len(await store.meeting_queue.claim("b", 10, LEASE)) == 1


@pytest.mark.parametrize("next_worker", ["another", "the same"])
async def test_claim_that_lost_its_lease_writes_nothing(store: Store, clock: Clock, next_worker: str) -> None:
    await follow(store)
    stale = await look(store, "the same")
    clock.advance(LEASE)

    taken = await look(store, next_worker)

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(stale, LIVE, [Change()], next_check_in=15)
    with pytest.raises(LeaseLost):
        await store.meeting_queue.release(stale, next_check_in=15)
    await store.meeting_queue.record(taken, Episode(phase="starting"), next_check_in=15)
    card = await claim(store)
    assert card.stored_episode["phase"] == "starting"
    assert card.announcements == ()


async def test_check_longer_than_its_lease_counts_if_no_other_began(store: Store, clock: Clock) -> None:
    await follow(store)
    meeting = await look(store)
    clock.advance(10 * LEASE)

    await store.meeting_queue.record(meeting, LIVE, next_check_in=15)

    assert (await listed(store)).phase == "live"


async def test_check_is_recorded_once(store: Store) -> None:
    await follow(store)
    meeting = await look(store)
    await store.meeting_queue.record(meeting, LIVE, [Change()], next_check_in=15)

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(meeting, LIVE, [Change()], next_check_in=15)

    assert len((await claim(store)).announcements) == 1


async def test_change_recorded_again_is_not_announced_again(store: Store) -> None:
    await follow(store)
    channel = Channel()
    await see(store, LIVE, Change(1))
    await see(store, LIVE, Change(1))
    await channel.work(store)

    await see(store, Episode(phase="ended"), Change(1), Change(2, "ended"))

    await channel.work(store)
    assert list(channel.threads.values()) == [["live", "ended"]]


async def test_next_check_is_due_after_the_given_time(store: Store, clock: Clock) -> None:
    await follow_and_check(store)

    assert await store.meeting_queue.due_in() == 60
    clock.advance(59)
    assert await store.meeting_queue.claim("tracker", 10, LEASE) == []
    clock.advance(1)
    assert not (await look(store)).check_requested


async def test_failures_are_counted_until_a_check_gets_an_answer(store: Store, clock: Clock) -> None:
    await follow(store)
    followed_at = from_epoch(clock.time)
    clock.advance(5)

    await store.meeting_queue.release(await look(store), next_check_in=20, failures=3)

    assert await store.meeting_queue.due_in() == 20
    assert (await listed(store)).last_checked_at == followed_at
    clock.advance(20)
    again = await look(store)
    assert again.consecutive_failures == 3
    assert again.last_checked_at == followed_at

    await store.meeting_queue.release(again, next_check_in=20)

    now = await listed(store)
    assert (now.last_checked_at, now.failures) == (from_epoch(clock.time), 0)


async def test_requested_checks_come_before_longer_overdue_ones(store: Store, clock: Clock) -> None:
    await follow_and_check(store, next_check_in=10)
    await follow_and_check(store, OTHER_MEETING)
    clock.advance(30)

    assert await store.meeting_queue.request_check(OTHER_MEETING)

    due = await store.meeting_queue.claim("t", 10, LEASE)
    assert [meeting.meeting_id for meeting in due] == [OTHER_MEETING, MEETING]


@pytest.mark.parametrize(("phases", "due"), [({"live", "starting"}, False), ({"waiting", "ended"}, True)])
async def test_check_is_requested_only_of_an_outdated_state(store: Store, phases: set[str], due: bool) -> None:
    await follow_and_check(store)

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
async def test_check_requested_during_a_check_follows_it_once(store: Store, how: str) -> None:
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


async def test_repeated_requests_lead_to_one_check(store: Store) -> None:
    await follow_and_check(store)

    assert all([await store.meeting_queue.request_check(MEETING) for _ in range(20)])

    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)
    assert await store.meeting_queue.due_in() == 60


async def test_request_does_not_postpone_an_overdue_check(store: Store, clock: Clock) -> None:
    await follow_and_check(store, next_check_in=10)
    clock.advance(30)

    await store.meeting_queue.request_check(MEETING)

    assert (await look(store)).due_at == from_epoch(clock.time - 20)


async def test_every_card_shows_a_change_and_quiet_follows_do_not_announce_it(store: Store) -> None:
    for level in Level:
        await follow(store, level.value, level=level)
    channel = Channel()

    await see(store, LIVE, Change())

    due = {card.follow.level: len(card.announcements) for card in await channel.work(store)}
    assert due == {Level.QUIET: 0, Level.NORMAL: 1, Level.LOUD: 1}
    assert all(card["phase"] == "live" for card in channel.cards.values())


async def test_announcement_has_the_change_and_its_times(store: Store, clock: Clock) -> None:
    await follow(store)
    change = Change(seq=7, kind="errored")

    await see(store, Episode(phase="errored"), change)

    (announcement,) = (await claim(store)).announcements
    assert (announcement.episode, announcement.seq, announcement.kind) == (1, 7, "errored")
    assert announcement.payload == change.to_dict()
    assert announcement.occurred_at == change.at
    assert announcement.recorded_at == from_epoch(clock.time)


async def test_invisible_change_is_stored_without_an_edit(store: Store) -> None:
    await follow_and_post(store)

    await see(store, LIVE, visible=False)

    assert await store.card_queue.due_in() is None
    assert (await listed(store)).phase == "live"


async def test_change_is_announced_without_an_edit_if_the_card_stays_as_it_is(store: Store) -> None:
    channel = await follow_and_post(store)

    await see(store, Episode(), Change(), visible=False)

    (card,) = await channel.work(store)
    assert not card.needs_edit
    assert list(channel.threads.values()) == [["live"]]


async def test_card_shows_the_last_of_several_states_and_its_thread_every_change(store: Store) -> None:
    await follow(store)
    await see(store, Episode(phase="starting"), Change(1, "starting"))
    await see(store, LIVE, Change(2, "live"))
    await see(store, Episode(phase="ended"), Change(3, "ended"))
    channel = Channel()

    (card,) = await channel.work(store)

    assert card.desired_version == 4
    assert list(channel.cards.values()) == [{"number": 1, "phase": "ended"}]
    assert list(channel.threads.values()) == [["starting", "live", "ended"]]


@pytest.mark.parametrize("checks", [1, 2])
async def test_next_episode_has_its_own_card_and_thread(store: Store, checks: int) -> None:
    """The end of the one before may be found in an earlier check, or in the same one."""
    channel = await follow_and_post(store)
    end, begin = Change(5, "ended"), Change(1, "live", episode=2)
    ended, live = Episode(phase="ended"), Episode(number=2, phase="live")
    if checks == 2:
        await see(store, ended, end)
        await channel.work(store)
        await see(store, live, begin, visible=False)
    else:
        await see(store, live, end, begin, ended=ended)
        await channel.work(store)
    await channel.work(store)

    assert list(channel.cards.values()) == [{"number": 1, "phase": "ended"}, {"number": 2, "phase": "live"}]
    assert list(channel.threads.values()) == [["ended"], ["live"]]


async def test_change_reaches_only_the_followers_of_its_meeting(store: Store) -> None:
    await follow(store, "C1")
    await follow(store, "C2", meeting=OTHER_MEETING)
    await Channel().work(store)
    due = {meeting.meeting_id: meeting for meeting in await store.meeting_queue.claim("tracker", 2, LEASE)}

    ended = Episode(number=1, phase="ended")
    await store.meeting_queue.record(
        due[MEETING],
        Episode(number=2, phase="live"),
        [Change(), Change(episode=2)],
        next_check_in=15,
        ended=ended,
    )

    assert {card.follow.channel_id for card in await store.card_queue.claim("a", 10, LEASE)} == {"C1"}


async def test_answer_without_a_name_keeps_the_known_one(store: Store) -> None:
    await follow(store)
    await see(store, Episode(name="Quarterly"))
    await see(store, Episode(name=None))

    assert (await listed(store)).name == "Quarterly"


async def test_livestream_renews_its_follows_once_a_day(store: Store, clock: Clock) -> None:
    await follow(store)
    begun, day = clock.time, 24 * 3600.0

    async def days_left() -> float:
        return ((await listed(store)).follow.expires_at.timestamp() - begun) / day

    clock.advance(0.5 * day)
    await see(store, Episode(), renew=True)
    assert await days_left() == 30
    clock.advance(1 * day)
    await see(store, Episode())
    assert await days_left() == 30
    await see(store, Episode(), renew=True)
    assert await days_left() == 31.5


async def test_check_of_a_meeting_that_was_unfollowed_meanwhile_is_not_recorded(store: Store) -> None:
    await follow(store)
    meeting = await look(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    with pytest.raises(LeaseLost):
        await store.meeting_queue.record(meeting, LIVE, [Change()], next_check_in=15)

    assert await store.meeting_queue.due_in() is None


async def test_meetings_and_cards_are_due_at_once_after_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    await follow(store)
    await store.meeting_queue.record(await look(store), LIVE, [Change()], next_check_in=60)

    clock.advance(-3600)

    assert await store.meeting_queue.due_in() == 0
    assert await store.card_queue.due_in() == 0
    await look(store)
    await claim(store)


async def test_wait_for_a_check_is_bounded(store: Store) -> None:
    await follow_and_check(store, next_check_in=1e9)

    assert await store.meeting_queue.due_in() == MAX_WAIT_SECONDS


async def test_change_in_a_thousand_channels_takes_four_statements(store: Store, database: Database) -> None:
    await follow(store)
    async with database.transaction() as connection:
        row = dict((await connection.execute(sa.select(follows))).mappings().one())
        many = [row | {"id": UUID(int=n), "channel_id": f"C{n}"} for n in range(1000, 1999)]
        await connection.execute(sa.insert(follows), many)
    meeting = await look(store)

    with recorded_statements(store) as statements:
        await store.meeting_queue.record(meeting, LIVE, [Change()], next_check_in=15)

    assert len(statements) == 4
    assert await count(database, cards) == 1000
    assert await count(database, announcements) == 1000

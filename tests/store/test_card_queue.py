"""Due cards are worked at by one replica each, and nothing in their threads is lost or repeated."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from bot.domain.follow import Level
from bot.errors import DatabaseUnavailable
from bot.store.card_queue import LATE_SECONDS
from bot.store.cards import MAX_BLOCKING_ATTEMPTS
from bot.store.database import Database, connect, is_sqlite
from bot.store.database_url import parse_database_url
from bot.store.due_cards import DueCard
from bot.store.leases import LeaseLost
from bot.store.rows import from_epoch
from bot.store.schema import announcements, cards
from bot.store.store import Store
from tests.store.helpers import CHANNEL, LEASE, MEETING, TEAM, Change, Channel, Clock, Episode, follow, look, see


async def claim(store: Store, worker_id: str = "a") -> DueCard:
    """Return the one card that is due."""
    (card,) = await store.card_queue.claim(worker_id, 10, LEASE)
    return card


async def change(store: Store, what: str) -> None:
    """Have the card show something else, with nothing to announce."""
    if what == "level":
        assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)
    elif what == "phase":
        await see(store, Episode(phase="interrupted"))
    else:
        await see(store, Episode(number=2), ended=Episode(phase="ended"))


async def test_a_claim_keeps_others_away(store: Store, clock: Clock) -> None:
    """Until the lease ends."""
    await follow(store)
    await claim(store)

    assert await store.card_queue.claim("b", 10, LEASE) == []
    assert await store.card_queue.due_in() == LEASE
    clock.advance(LEASE)
    assert (await claim(store, "b")).attempts == 1


async def test_claims_are_bounded_and_in_order(store: Store, clock: Clock) -> None:
    """Who has waited longest comes first."""
    for channel in ("C1", "C2", "C3"):
        await follow(store, channel)
        clock.advance(1)

    first = await store.card_queue.claim("a", 2, LEASE)
    second = await store.card_queue.claim("b", 2, LEASE)

    assert [card.follow.channel_id for card in first] == ["C1", "C2"]
    assert [card.follow.channel_id for card in second] == ["C3"]


async def test_posting(store: Store, clock: Clock) -> None:
    """Once it is posted and finished there is nothing to do, and the next one knows its message."""
    await follow(store)
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", card.desired_version)
    await store.card_queue.release(card)

    assert await store.card_queue.due_in() is None
    await see(store, Episode(phase="live"))
    card = await claim(store)
    assert card.message_ts == "1.0"
    assert (card.rendered_version, card.desired_version) == (1, 2)
    assert card.rendered_at == from_epoch(clock.time)
    await store.card_queue.mark_rendered(card, 2)
    await store.card_queue.release(card)
    assert await store.card_queue.due_in() is None


async def test_work_that_goes_on_is_not_overtaken(store: Store, clock: Clock) -> None:
    """Each step renews the lease."""
    await follow(store)
    await see(store, Episode(phase="live"), Change(1, "starting"), Change(2))
    card = await claim(store)

    clock.advance(LEASE - 1)
    await store.card_queue.mark_posted(card, "1.0", 2)
    clock.advance(LEASE - 1)
    await store.card_queue.mark_sent(card, 1, "1.1")
    clock.advance(LEASE - 1)

    assert await store.card_queue.claim("b", 10, LEASE) == []


async def test_a_stale_owner(store: Store, clock: Clock) -> None:
    """A worker that lost the lease, even to a later claim of its own, writes nothing."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())
    stale = await claim(store, "a")
    clock.advance(LEASE)
    card = await claim(store, "a")

    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(stale, "9.9", 9)
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_rendered(stale, 9)
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_sent(stale, 1, "9.9")
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_deleted(stale)
    with pytest.raises(LeaseLost):
        await store.card_queue.release(stale)
    with pytest.raises(LeaseLost):
        await store.card_queue.defer(stale, 60)
    assert await store.pauses.pause(stale, "not_in_channel") is None

    clock.advance(LEASE)
    again = await claim(store, "b")
    assert again.message_ts is None
    assert again.rendered_version < 9
    assert len(again.announcements) == 1
    with pytest.raises(LeaseLost):
        await store.card_queue.release(card)


async def test_killed_between_posting_and_knowing(store: Store, clock: Clock) -> None:
    """What was done and not stored is due again, with the same key, so that Slack can recognize it."""
    await follow(store)
    await see(store, Episode(phase="live"), Change(1, "starting"), Change(2))
    killed = await claim(store)
    await store.card_queue.mark_posted(killed, "1.0", 2)
    await store.card_queue.mark_sent(killed, 1, "1.1")

    clock.advance(LEASE)

    card = await claim(store, "b")
    assert card.message_ts == "1.0"
    assert not card.needs_edit
    assert card.announcements == killed.announcements[1:]


async def test_killed_before_it_was_known_what_was_posted(store: Store, clock: Clock) -> None:
    """Slack may show the first try, and continues to: so the worker that posts it later has to edit it."""
    await follow(store)
    await see(store, Episode(phase="starting"))
    assert not (await claim(store)).needs_edit
    await see(store, Episode(phase="live"))
    clock.advance(LEASE)

    for _ in range(2):
        card = await claim(store, "b")
        assert (card.message_ts, card.rendered_version, card.desired_version) == (None, 2, 3)
        await store.card_queue.defer(card, 0)

    card = await claim(store, "b")
    await store.card_queue.mark_deleted(card)
    await store.card_queue.release(card)
    assert not (await claim(store)).needs_edit


async def test_a_change_while_somebody_works(store: Store) -> None:
    """It is not lost when the work is released, and not announced by two at once."""
    await follow(store)
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", card.desired_version)

    await see(store, Episode(phase="live"), Change())

    assert await store.card_queue.claim("b", 10, LEASE) == []
    await store.card_queue.release(card)
    again = await claim(store, "b")
    assert (again.rendered_version, again.desired_version) == (1, 2)
    assert len(again.announcements) == 1


async def test_showing_an_older_version(store: Store) -> None:
    """A card that was edited while it changed again is due again."""
    await follow(store)
    card = await claim(store)
    await see(store, Episode(phase="live"))
    await store.card_queue.mark_posted(card, "1.0", card.desired_version)
    await store.card_queue.release(card)

    assert (await claim(store)).needs_edit


async def test_unfinished_work_given_back(store: Store) -> None:
    """Is due at once."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", 2)
    await store.card_queue.release(card)

    assert await store.card_queue.due_in() == 0
    assert len((await claim(store)).announcements) == 1


async def test_postpone(store: Store, clock: Clock) -> None:
    """As long as Slack asks for, whatever happens meanwhile; then all of it is announced."""
    await follow(store)
    await see(store, Episode(phase="live"), Change(1))
    await store.card_queue.defer(await claim(store), 600)

    await see(store, Episode(phase="ended"), Change(2, "ended"))

    assert await store.card_queue.due_in() == 600
    clock.advance(599)
    assert await store.card_queue.claim("a", 10, LEASE) == []
    clock.advance(1)
    card = await claim(store)
    assert [announcement.kind for announcement in card.announcements] == ["live", "ended"]
    assert card.attempts == 1


async def test_success_ends_the_attempts(store: Store) -> None:
    """So that the next failure waits as a first one."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())
    await store.card_queue.defer(await claim(store), 0)
    card = await claim(store)
    assert card.attempts == 1
    await store.card_queue.mark_posted(card, "1.0", 2)
    await store.card_queue.defer(card, 0)

    assert (await claim(store)).attempts == 0


async def test_a_deleted_card(store: Store) -> None:
    """Its next message shows all, and what was announced is not announced again."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="live"), Change(2, "ended"), visible=False)
    card = await claim(store)
    assert not card.needs_edit

    await store.card_queue.mark_deleted(card)

    await store.card_queue.release(card)
    (card,) = await channel.work(store)
    assert card.message_ts is None
    assert card.times_deleted == 1
    assert list(channel.threads.values()) == [["live"], ["ended"]]


async def test_sent_twice(store: Store, database: Database) -> None:
    """The first message stays the one that is known."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", 2)

    await store.card_queue.mark_sent(card, 1, "1.1")
    await store.card_queue.mark_sent(card, 1, "1.1")
    assert await store.card_queue.mark_sent(card, 1, "1.2") is True

    await store.card_queue.release(card)
    assert await store.card_queue.due_in() is None
    async with database.read_only() as connection:
        assert await connection.scalar(sa.select(announcements.c.sent_ts)) == "1.1"


@pytest.mark.parametrize("first", ["the one before", "the holder", "both are one message"])
async def test_one_of_two_replies_is_known_to_be_one_too_many(store: Store, clock: Clock, first: str) -> None:
    """A holder that was frozen and the next one have both announced a change: the later one to record it learns it."""
    await follow(store)
    await Channel().work(store)
    await see(store, Episode(phase="live"), Change(), visible=False)
    frozen = await claim(store)
    clock.advance(LEASE)
    card = await claim(store, "b")
    report = ("1.1", "1.1" if first == "both are one message" else "1.2")

    if first == "the holder":
        assert await store.card_queue.mark_sent(card, 1, report[1], last=True) is False
        assert not await store.card_queue.report_reply(frozen, 1, report[0])
    else:
        assert await store.card_queue.report_reply(frozen, 1, report[0])
        is_duplicate = first != "both are one message"
        assert await store.card_queue.mark_sent(card, 1, report[1], last=True) is is_duplicate

    with pytest.raises(LeaseLost):
        await store.card_queue.release(card)


async def test_the_last_step(store: Store) -> None:
    """Of each kind releases the card too: due at once if anything is left, and otherwise idle."""
    await follow(store)
    await see(store, Episode(phase="live"), Change(1), Change(2))
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", 1, last=True)

    assert await store.card_queue.due_in() == 0
    card = await claim(store)
    await store.card_queue.mark_sent(card, 1, "1.1", version=2)
    await store.card_queue.mark_sent(card, 2, "1.2", last=True)
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_sent(card, 2, "1.2")
    assert await store.card_queue.due_in() is None
    await see(store, Episode(phase="ended"))
    card = await claim(store)
    assert (card.message_ts, card.rendered_version, card.desired_version) == ("1.0", 2, 3)
    await store.card_queue.mark_rendered(card, 3, last=True)
    assert await store.card_queue.due_in() is None


async def test_many_steps_at_once(store: Store, clock: Clock) -> None:
    """Those whose lease is held are written, each for itself, and the others are not."""
    for number in range(60):
        await follow(store, f"C{number:02}")
    stale = await store.card_queue.claim("a", 30, LEASE)
    clock.advance(LEASE)
    due = await store.card_queue.claim("b", 60, LEASE)

    written = await asyncio.gather(
        *(store.card_queue.mark_posted(card, f"{number}.0", 1, last=True) for number, card in enumerate(stale + due)),
        return_exceptions=True,
    )

    assert [type(each) for each in written[:30]] == [LeaseLost] * 30
    assert written[30:] == [None] * 60
    assert await store.card_queue.due_in() is None
    posted = {listed.ts for card in due for listed in await store.follows.in_channel("T1", card.follow.channel_id)}
    assert posted == {f"{number}.0" for number in range(30, 90)}


async def test_a_row_that_somebody_is_at(store: Store, database: Database) -> None:
    """It is waited for, and nothing else waits with it."""
    await follow(store, "C1")
    await follow(store, "C2")
    first, second = await store.card_queue.claim("a", 2, LEASE)

    async with database.transaction() as connection:
        await connection.execute(sa.update(cards).where(cards.c.follow_id == first.follow.id).values(desired_version=2))
        steps = [
            asyncio.create_task(store.card_queue.mark_posted(card, "1.0", 1, last=True)) for card in (first, second)
        ]
        await asyncio.sleep(0.05)
        if not is_sqlite(database.engine.url):  # which has one lock for everything
            async with asyncio.timeout(30):
                await steps[1]

    await asyncio.gather(*steps)
    (card,) = await store.card_queue.claim("a", 2, LEASE)
    assert card.follow == first.follow
    assert card.needs_edit


async def test_a_step_that_nobody_waits_for(store: Store) -> None:
    """It is written nevertheless, and disturbs no other."""
    await follow(store, "C1")
    await follow(store, "C2")
    first, second = await store.card_queue.claim("a", 2, LEASE)
    given_up = asyncio.create_task(store.card_queue.mark_posted(first, "1.0", 1, last=True))
    other = asyncio.create_task(store.card_queue.mark_posted(second, "2.0", 1, last=True))
    await asyncio.sleep(0)
    given_up.cancel()

    await other

    assert await store.card_queue.due_in() is None


async def test_steps_that_cannot_be_written(store: Store, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waiting caller gets the reason; the next one is written."""
    await follow(store, "C1")
    await follow(store, "C2")
    due = await store.card_queue.claim("a", 2, LEASE)

    def unreachable(db: Database) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", unreachable)
        steps = [asyncio.create_task(store.card_queue.mark_posted(card, "1.0", 1)) for card in due]
        given_up = asyncio.create_task(store.card_queue.release(due[0]))
        await asyncio.sleep(0)
        given_up.cancel()
        errors = await asyncio.gather(*steps, return_exceptions=True)

    assert [type(error) for error in errors] == [DatabaseUnavailable] * 2
    await store.card_queue.mark_posted(due[0], "1.0", 1)


@pytest.mark.parametrize("what", ["phase", "level", "last"])
async def test_a_change_does_not_wait_for_the_edit_that_confirms_an_earlier_one(store: Store, what: str) -> None:
    await follow(store)
    (card,) = await Channel().work(store)
    assert await store.card_queue.report_edit(card, unconfirmed=True)
    assert await store.card_queue.due_in() == pytest.approx(LATE_SECONDS)

    await change(store, what)

    due = await store.card_queue.claim("a", 10, LEASE)
    assert 1 in [each.episode for each in due if each.needs_edit]


@pytest.mark.parametrize("what", ["phase", "level", "last"])
@pytest.mark.parametrize("unconfirmed", [False, True])
async def test_a_change_keeps_to_the_limit_of_edits(store: Store, clock: Clock, what: str, unconfirmed: bool) -> None:
    await follow(store)
    (card,) = await Channel().work(store)
    if unconfirmed:
        assert await store.card_queue.report_edit(card, unconfirmed=True)
        clock.advance(LATE_SECONDS)
    else:
        await change(store, "phase")
    await store.card_queue.defer(await claim(store), 1_800, failed=False)

    await change(store, what)

    due = await store.card_queue.claim("b", 10, LEASE)
    assert 1 not in [each.episode for each in due]


async def test_a_change_keeps_a_paused_card_at_rest(store: Store) -> None:
    await follow(store)
    (card,) = await Channel().work(store)
    assert await store.card_queue.report_edit(card, unconfirmed=True)
    await see(store, Episode(phase="live"), Change())
    assert await store.pauses.pause(await claim(store), "not_in_channel")

    await change(store, "phase")

    assert await store.card_queue.due_in() is None


async def test_unfollowed_while_somebody_works(store: Store) -> None:
    """Then nothing is left to write to."""
    followed = await follow(store)
    card = await claim(store)
    await store.follows.unfollow("T1", "C1", followed.follow.meeting_id, user_id="U2")

    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1.0", 1)
    with pytest.raises(LeaseLost):
        await store.card_queue.release(card)


async def two_runs(store: Store) -> None:
    """Let a follow's first session be live, and its next one begin."""
    await follow(store)
    await see(store, Episode(phase="live"), Change(1))
    await see(store, Episode(number=2, phase="live"), Change(1, "starting", episode=2))


async def test_two_cards_of_one_follow(store: Store) -> None:
    """Are different work, and each gets its own announcements: the previous episode first."""
    await two_runs(store)

    channel = Channel()
    told = [
        {card.episode: [each.kind for each in card.announcements] for card in await channel.work(store)}
        for _ in range(2)
    ]

    assert told == [{1: ["live"]}, {2: ["starting"]}]


async def test_the_next_run_waits_for_the_one_before(store: Store, clock: Clock) -> None:
    """As long as there is anything to announce of that, and no worker is woken for nothing meanwhile."""
    await two_runs(store)
    before = await claim(store)
    await store.card_queue.defer(before, 300)

    assert await store.card_queue.claim("b", 10, LEASE) == []
    assert await store.card_queue.due_in() == 300
    clock.advance(300)
    before = await claim(store)
    await store.card_queue.mark_posted(before, "1.0", before.desired_version)
    assert await store.card_queue.claim("b", 10, LEASE) == []
    await store.card_queue.mark_sent(before, 1, "1.1", last=True)
    assert (await claim(store)).episode == 2


async def test_the_next_run_does_not_wait_for_a_mere_edit(store: Store) -> None:
    """Slack may take no edits while it takes messages."""
    await follow(store)
    await Channel().work(store)
    await see(store, Episode(phase="live"))
    await store.card_queue.defer(await claim(store), 300)
    await see(store, Episode(number=2, phase="live"), Change(1, episode=2))

    assert (await claim(store)).episode == 2


async def test_the_next_run_does_not_wait_for_ever(store: Store, clock: Clock) -> None:
    """What fails again and again is overtaken."""
    await two_runs(store)
    for _ in range(MAX_BLOCKING_ATTEMPTS):
        assert (await claim(store)).episode == 1
        clock.advance(LEASE)

    assert {card.episode for card in await store.card_queue.claim("a", 10, LEASE)} == {1, 2}


async def test_looking_does_not_disturb_the_announcer(store: Store) -> None:
    """A meeting and its cards are leased apart."""
    await follow(store)
    await look(store)

    assert (await claim(store)).message_ts is None


async def test_since_when_slack_refuses_survives_a_restart(store: Store, url: str, clock: Clock) -> None:
    """Another process reads what the last one wrote, until a step of the work clears it."""
    failing = {"post": {"code": "update_failed", "first_at": 1.0, "code_first_at": 2.0}}
    await follow(store)
    await store.card_queue.defer(replace(await claim(store), failing=failing), 60)
    another = Store(Database(connect(parse_database_url(url)), clock), check_spacing=0)
    clock.advance(60)

    card = await claim(another, "b")
    (listed,) = await another.follows.in_channel(TEAM, CHANNEL)

    assert card.failing == failing
    assert listed.failing == (failing,)
    await another.card_queue.mark_posted(replace(card, failing=None), "1800000000.000001", 1, last=True)
    (listed,) = await another.follows.in_channel(TEAM, CHANNEL)
    assert listed.failing == ()
    await another.close()


@pytest.mark.parametrize("step", ["posted", "shown", "sent"])
async def test_each_step_keeps_what_still_fails(store: Store, step: str) -> None:
    """An edit that Slack refuses is not forgotten since a reply works."""
    failing = {"edit": {"code": "update_failed", "first_at": 1.0, "code_first_at": 1.0}}
    await follow(store)
    await store.card_queue.mark_posted(await claim(store), "1800000000.000001", 1, last=True)
    await see(store, Episode(phase="live"), Change())
    card = replace(await claim(store), failing=failing)

    match step:
        case "posted":
            await store.card_queue.mark_posted(card, "1800000000.000001", 1)
        case "shown":
            await store.card_queue.mark_rendered(card, 1)
        case "sent":
            await store.card_queue.mark_sent(card, 1, "1800000000.000002")

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.failing == (failing,)


async def test_a_pause_begins_anew_with_what_fails(store: Store) -> None:
    """A new invitation gives Slack all the time again."""
    await follow(store)
    card = replace(await claim(store), failing={"post": {"code": "x", "first_at": 1.0, "code_first_at": 1.0}})
    await store.card_queue.defer(card, 0)

    assert await store.pauses.pause(await claim(store), "x") is not None

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.failing == ()

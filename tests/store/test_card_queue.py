"""Due cards are worked at by one replica each, and nothing in their threads is lost or repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.follow import Level
from bot.errors import DatabaseUnavailable
from bot.store.card_queue import LATE_SECONDS
from bot.store.cards import MAX_BLOCKING_ATTEMPTS
from bot.store.database import Database, is_sqlite
from bot.store.due_cards import DueCard
from bot.store.leases import LeaseLost
from bot.store.rows import from_epoch
from bot.store.schema import announcements, cards
from bot.store.store import Store
from tests.store.helpers import (
    CHANNEL,
    LEASE,
    MEETING,
    TEAM,
    Change,
    Channel,
    Clock,
    Episode,
    claim,
    follow,
    follow_and_post,
    listed,
    look,
    pause,
    see,
)

LIVE = Episode(phase="live")


async def follow_live(store: Store, *changes: Change) -> None:
    """Follow a meeting that is live by now, and whose card is not posted."""
    await follow(store)
    await see(store, LIVE, *(changes or [Change()]))


async def change(store: Store, what: str) -> None:
    """Have the card show something else, with nothing to announce."""
    if what == "level":
        assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)
    elif what == "phase":
        await see(store, Episode(phase="interrupted"))
    else:
        await see(store, Episode(number=2), ended=Episode(phase="ended"))


async def test_claimed_card_is_not_due_until_its_lease_ends(store: Store, clock: Clock) -> None:
    await follow(store)
    await look(store)  # A meeting and its cards are leased apart.
    assert (await claim(store)).message_ts is None

    assert await store.card_queue.claim("b", 10, LEASE) == []
    assert await store.card_queue.due_in() == LEASE
    clock.advance(LEASE)
    assert (await claim(store, "b")).attempts == 1


async def test_cards_are_claimed_up_to_a_limit_longest_waiting_first(store: Store, clock: Clock) -> None:
    for channel in ("C1", "C2", "C3"):
        await follow(store, channel)
        clock.advance(1)

    first = await store.card_queue.claim("a", 2, LEASE)
    second = await store.card_queue.claim("b", 2, LEASE)

    assert [card.follow.channel_id for card in first] == ["C1", "C2"]
    assert [card.follow.channel_id for card in second] == ["C3"]


async def test_posted_card_is_idle_until_it_changes(store: Store, clock: Clock) -> None:
    await follow(store)
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", card.desired_version)
    await store.card_queue.release(card)

    assert await store.card_queue.due_in() is None
    await see(store, LIVE)
    card = await claim(store)
    assert card.message_ts == "1.0"
    assert (card.rendered_version, card.desired_version) == (1, 2)
    assert card.rendered_at == from_epoch(clock.time)
    await store.card_queue.mark_rendered(card, 2)
    await store.card_queue.release(card)
    assert await store.card_queue.due_in() is None


async def test_each_step_renews_the_lease(store: Store, clock: Clock) -> None:
    await follow_live(store, Change(1, "starting"), Change(2))
    card = await claim(store)

    clock.advance(LEASE - 1)
    await store.card_queue.mark_posted(card, "1.0", 2)
    clock.advance(LEASE - 1)
    await store.card_queue.mark_sent(card, 1, "1.1")
    clock.advance(LEASE - 1)

    assert await store.card_queue.claim("b", 10, LEASE) == []


STEPS: dict[str, Callable[[Store, DueCard], Awaitable[Any]]] = {
    "mark_posted": lambda store, card: store.card_queue.mark_posted(card, "9.9", 9),
    "mark_rendered": lambda store, card: store.card_queue.mark_rendered(card, 9),
    "mark_sent": lambda store, card: store.card_queue.mark_sent(card, 1, "9.9"),
    "mark_deleted": lambda store, card: store.card_queue.mark_deleted(card),
    "release": lambda store, card: store.card_queue.release(card),
    "defer": lambda store, card: store.card_queue.defer(card, 60),
}


async def test_lost_lease_writes_nothing_even_if_the_same_worker_claimed_again(store: Store, clock: Clock) -> None:
    await follow_live(store)
    stale = await claim(store, "a")
    clock.advance(LEASE)
    card = await claim(store, "a")

    for step in STEPS.values():
        with pytest.raises(LeaseLost):
            await step(store, stale)
    assert await store.pauses.pause(stale, "not_in_channel") is None

    clock.advance(LEASE)
    again = await claim(store, "b")
    assert again.message_ts is None
    assert again.rendered_version < 9
    assert len(again.announcements) == 1
    with pytest.raises(LeaseLost):
        await store.card_queue.release(card)


async def test_unfollowed_card_takes_no_more_steps(store: Store) -> None:
    await follow(store)
    card = await claim(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    for step in ("mark_posted", "release"):
        with pytest.raises(LeaseLost):
            await STEPS[step](store, card)


async def test_unsent_steps_of_a_killed_worker_are_due_again_with_the_same_keys(store: Store, clock: Clock) -> None:
    await follow_live(store, Change(1, "starting"), Change(2))
    killed = await claim(store)
    await store.card_queue.mark_posted(killed, "1.0", 2)
    await store.card_queue.mark_sent(killed, 1, "1.1")

    clock.advance(LEASE)

    card = await claim(store, "b")
    assert card.message_ts == "1.0"
    assert not card.needs_edit
    assert card.announcements == killed.announcements[1:]


async def test_card_that_may_have_been_posted_with_older_content_needs_an_edit(store: Store, clock: Clock) -> None:
    """Slack continues to show what was tried first."""
    await follow(store)
    await see(store, Episode(phase="starting"))
    assert not (await claim(store)).needs_edit
    await see(store, LIVE)
    clock.advance(LEASE)

    for _ in range(2):
        card = await claim(store, "b")
        assert (card.message_ts, card.rendered_version, card.desired_version) == (None, 2, 3)
        await store.card_queue.defer(card, 0)

    card = await claim(store, "b")
    await store.card_queue.mark_deleted(card)
    await store.card_queue.release(card)
    assert not (await claim(store)).needs_edit


async def test_change_during_work_makes_the_released_card_due_at_once(store: Store) -> None:
    await follow(store)
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", card.desired_version)

    await see(store, LIVE, Change())

    assert await store.card_queue.claim("b", 10, LEASE) == []
    await store.card_queue.release(card)
    assert await store.card_queue.due_in() == 0
    again = await claim(store, "b")
    assert (again.rendered_version, again.desired_version) == (1, 2)
    assert again.needs_edit
    assert len(again.announcements) == 1


async def test_deferred_card_waits_whatever_happens_and_then_announces_everything(store: Store, clock: Clock) -> None:
    await follow_live(store)
    await store.card_queue.defer(await claim(store), 600)

    await see(store, Episode(phase="ended"), Change(2, "ended"))

    assert await store.card_queue.due_in() == 600
    clock.advance(599)
    assert await store.card_queue.claim("a", 10, LEASE) == []
    clock.advance(1)
    card = await claim(store)
    assert [announcement.kind for announcement in card.announcements] == ["live", "ended"]
    assert card.attempts == 1


async def test_successful_step_resets_the_attempts(store: Store) -> None:
    await follow_live(store)
    await store.card_queue.defer(await claim(store), 0)
    card = await claim(store)
    assert card.attempts == 1
    await store.card_queue.mark_posted(card, "1.0", 2)
    await store.card_queue.defer(card, 0)

    assert (await claim(store)).attempts == 0


async def test_deleted_card_is_posted_again_without_repeating_announcements(store: Store) -> None:
    await follow_live(store)
    channel = Channel()
    await channel.work(store)
    await see(store, LIVE, Change(2, "ended"), visible=False)
    card = await claim(store)
    assert not card.needs_edit

    await store.card_queue.mark_deleted(card)

    await store.card_queue.release(card)
    (card,) = await channel.work(store)
    assert card.message_ts is None
    assert card.times_deleted == 1
    assert list(channel.threads.values()) == [["live"], ["ended"]]


async def test_announcement_sent_twice_keeps_its_first_message(store: Store, database: Database) -> None:
    await follow_live(store)
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
async def test_later_of_two_replies_is_known_to_be_a_duplicate(store: Store, clock: Clock, first: str) -> None:
    """A holder that was frozen and the next one have both announced a change."""
    await follow_and_post(store)
    await see(store, LIVE, Change(), visible=False)
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


async def test_last_step_releases_the_card_due_at_once_or_idle(store: Store) -> None:
    await follow_live(store, Change(1), Change(2))
    await store.card_queue.mark_posted(await claim(store), "1.0", 1, last=True)

    assert await store.card_queue.due_in() == 0
    card = await claim(store)
    assert card.needs_edit
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


async def test_steps_written_together_are_fenced_one_by_one(store: Store, clock: Clock) -> None:
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
    posted = {(await listed(store, card.follow.channel_id)).ts for card in due}
    assert posted == {f"{number}.0" for number in range(30, 90)}


async def two_claimed_cards(store: Store) -> list[DueCard]:
    for channel in ("C1", "C2"):
        await follow(store, channel)
    return await store.card_queue.claim("a", 2, LEASE)


async def test_step_waits_for_a_locked_row_and_others_do_not_wait_with_it(store: Store, database: Database) -> None:
    first, second = await two_claimed_cards(store)

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
    card = await claim(store)
    assert card.follow == first.follow
    assert card.needs_edit


async def test_canceled_step_is_written_and_disturbs_no_other(store: Store) -> None:
    first, second = await two_claimed_cards(store)
    given_up = asyncio.create_task(store.card_queue.mark_posted(first, "1.0", 1, last=True))
    other = asyncio.create_task(store.card_queue.mark_posted(second, "2.0", 1, last=True))
    await asyncio.sleep(0)
    given_up.cancel()

    await other

    assert await store.card_queue.due_in() is None


async def test_unavailable_database_fails_every_waiting_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    due = await two_claimed_cards(store)

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


async def unconfirmed_edit(store: Store) -> None:
    """Follow a meeting whose card Slack may not have edited."""
    await follow(store)
    (card,) = await Channel().work(store)
    assert await store.card_queue.report_edit(card, unconfirmed=True)


@pytest.mark.parametrize("what", ["phase", "level", "last"])
async def test_change_does_not_wait_for_the_edit_that_confirms_an_earlier_one(store: Store, what: str) -> None:
    await unconfirmed_edit(store)
    assert await store.card_queue.due_in() == pytest.approx(LATE_SECONDS)

    await change(store, what)

    due = await store.card_queue.claim("a", 10, LEASE)
    assert 1 in [each.episode for each in due if each.needs_edit]


@pytest.mark.parametrize("what", ["phase", "level", "last"])
@pytest.mark.parametrize("unconfirmed", [False, True])
async def test_change_keeps_to_the_limit_of_edits(store: Store, clock: Clock, what: str, unconfirmed: bool) -> None:
    if unconfirmed:
        await unconfirmed_edit(store)
        clock.advance(LATE_SECONDS)
    else:
        await follow_and_post(store)
        await change(store, "phase")
    await store.card_queue.defer(await claim(store), 1_800, failed=False)

    await change(store, what)

    due = await store.card_queue.claim("b", 10, LEASE)
    assert 1 not in [each.episode for each in due]


async def test_change_leaves_a_paused_card_idle(store: Store) -> None:
    await unconfirmed_edit(store)
    await see(store, LIVE, Change())
    await pause(store)

    await change(store, "phase")

    assert await store.card_queue.due_in() is None


async def two_episodes(store: Store) -> None:
    """Follow a meeting whose first episode was live, and whose next one has begun."""
    await follow_live(store)
    await see(store, Episode(number=2, phase="live"), Change(1, "starting", episode=2))


async def test_earlier_episode_is_announced_before_the_next_one(store: Store) -> None:
    await two_episodes(store)

    channel = Channel()
    told = [
        {card.episode: [each.kind for each in card.announcements] for card in await channel.work(store)}
        for _ in range(2)
    ]

    assert told == [{1: ["live"]}, {2: ["starting"]}]


async def test_next_episode_is_not_due_while_announcements_of_the_last_one_wait(store: Store, clock: Clock) -> None:
    await two_episodes(store)
    await store.card_queue.defer(await claim(store), 300)

    assert await store.card_queue.claim("b", 10, LEASE) == []
    assert await store.card_queue.due_in() == 300
    clock.advance(300)
    before = await claim(store)
    await store.card_queue.mark_posted(before, "1.0", before.desired_version)
    assert await store.card_queue.claim("b", 10, LEASE) == []
    await store.card_queue.mark_sent(before, 1, "1.1", last=True)
    assert (await claim(store)).episode == 2


async def test_next_episode_does_not_wait_for_a_mere_edit(store: Store) -> None:
    await follow_and_post(store)
    await see(store, LIVE)
    await store.card_queue.defer(await claim(store), 300)
    await see(store, Episode(number=2, phase="live"), Change(1, episode=2))

    assert (await claim(store)).episode == 2


async def test_next_episode_overtakes_one_that_fails_again_and_again(store: Store, clock: Clock) -> None:
    await two_episodes(store)
    for _ in range(MAX_BLOCKING_ATTEMPTS):
        assert (await claim(store)).episode == 1
        clock.advance(LEASE)

    assert {card.episode for card in await store.card_queue.claim("a", 10, LEASE)} == {1, 2}


def failing(call: str) -> dict[str, Any]:
    return {call: {"code": "update_failed", "first_at": 1.0, "code_first_at": 2.0}}


async def test_time_of_the_first_refusal_is_kept_until_a_step_clears_it(replicas: list[Store], clock: Clock) -> None:
    store, another, *_ = replicas
    await follow(store)
    await store.card_queue.defer(replace(await claim(store), failing=failing("post")), 60)
    clock.advance(60)

    card = await claim(another, "b")

    assert card.failing == failing("post")
    assert (await listed(another)).failing == (failing("post"),)
    await another.card_queue.mark_posted(replace(card, failing=None), "1800000000.000001", 1, last=True)
    assert (await listed(another)).failing == ()


@pytest.mark.parametrize("step", ["mark_posted", "mark_rendered", "mark_sent"])
async def test_step_keeps_what_still_fails(store: Store, step: str) -> None:
    await follow_and_post(store)
    await see(store, LIVE, Change())

    await STEPS[step](store, replace(await claim(store), failing=failing("edit")))

    assert (await listed(store)).failing == (failing("edit"),)


async def test_pause_forgets_since_when_slack_refuses(store: Store) -> None:
    await follow(store)
    await store.card_queue.defer(replace(await claim(store), failing=failing("post")), 0)

    await pause(store)

    assert (await listed(store)).failing == ()

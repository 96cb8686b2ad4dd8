"""What replicas know of the one budget."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from bot.errors import DatabaseUnavailable, LookupsLimited
from bot.following.rate_budget import (
    BOT_FLOOR,
    BOT_LIMIT,
    CLOUDFLARE_LIMIT,
    MIN_BATCH_SIZE,
    PEOPLE_LIMIT,
    SWEEP_SHARE,
    RateBudget,
)
from bot.realtimekit.rate_limit import RateLimitState
from bot.store.request_windows import Used
from bot.store.store import Store, open_store
from sandbox.clock import Clock

EPOCH = 1_800_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(EPOCH, speed=0)


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:///{tmp_path / 'livestream.db'}", clock=clock.now)
    yield store
    await store.close()


@contextlib.asynccontextmanager
async def running(*budgets: RateBudget) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in budgets]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], object], clock: Clock, seconds: float = 0, running: int = 1) -> None:
    """Let this many seconds pass repeatedly until the condition holds. Time stands still during a database call."""
    async with asyncio.timeout(30):
        while not condition():
            if len(clock._sleepers) == running:
                clock.advance(seconds)
            await asyncio.sleep(0.01)


def budget_of(store: Store, clock: Clock, limit: int = BOT_LIMIT) -> RateBudget:
    return RateBudget(store.request_windows, RateLimitState(), clock, limit)


async def test_what_was_spent_here_counts_at_once(store: Store, clock: Clock) -> None:
    """Announced to the others or not."""
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 3)
    for _ in range(3):
        assert rate_budget.can_check()
        rate_budget.record_request()

    assert not rate_budget.can_check()
    assert rate_budget.remaining == CLOUDFLARE_LIMIT - 3


async def test_sweeps_have_something_left(store: Store, clock: Clock) -> None:
    """When checks have stopped, the list is still requested, as long as people have enough."""
    rate_budget = budget_of(store, clock)
    for _ in range(BOT_LIMIT - 1):
        rate_budget.record_request()
    assert not rate_budget.can_check()
    assert rate_budget.can_list()

    rate_budget.record_request()

    assert not rate_budget.can_list()


async def test_delay_between_checks_grows_as_the_share_runs_out(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 8)
    pauses = []
    for _ in range(10):
        pauses.append(rate_budget.delay())
        rate_budget.record_request()

    assert pauses == [0, 0, 0, 0, 0.5, pytest.approx(2 / 3), 1, 2, 2, 2]


async def test_news_has_a_quarter_of_the_checks_for_itself(store: Store, clock: Clock) -> None:
    """There is no pause before it until only that quarter is left, and then more the less is left."""
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 8)
    routine, news, pauses = [], [], []
    for _ in range(9):
        routine.append(rate_budget.can_check())
        news.append(rate_budget.can_check(news=True))
        pauses.append(rate_budget.delay(news=True))
        rate_budget.record_request()

    assert routine == [True] * 6 + [False] * 3
    assert news == [True] * 8 + [False]
    assert pauses == [0] * 6 + [0.5, 1, 1]


async def test_a_crowd_leaves_news_a_quarter_of_the_floor(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock)
    await store.request_windows.add(PEOPLE_LIMIT, people=PEOPLE_LIMIT)
    await store.request_windows.add(150)
    async with running(rate_budget):
        await until(lambda: rate_budget.remaining < CLOUDFLARE_LIMIT, clock)

        assert not rate_budget.can_check()
        assert rate_budget.can_check(news=True)


async def test_the_others_are_told(store: Store, clock: Clock) -> None:
    """Another replica learns of requests some seconds later; people may send more than the poller."""
    one, other = (
        budget_of(store, clock),
        budget_of(store, clock),
    )
    async with running(one, other):
        await store.request_windows.add(BOT_LIMIT - 1)
        one.record_request()
        await until(lambda: not one.can_list() and not other.can_list(), clock, 1, running=2)

        assert clock.now() - EPOCH < 60
        assert (await store.request_windows.count()).all == BOT_LIMIT
        assert other.remaining == CLOUDFLARE_LIMIT - BOT_LIMIT


async def test_it_comes_back(store: Store, clock: Clock) -> None:
    """When what was spent is more than five minutes ago."""
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 1)
    await store.request_windows.add(1)
    async with running(rate_budget):
        await until(lambda: not rate_budget.can_check(), clock)
        await until(rate_budget.can_check, clock, 30)

        assert clock.now() - EPOCH >= 300
        assert rate_budget.remaining == CLOUDFLARE_LIMIT


@pytest.mark.parametrize(
    ("used", "batch"), [(0, PEOPLE_LIMIT // 8), (PEOPLE_LIMIT - 240, 30), (PEOPLE_LIMIT - 10, MIN_BATCH_SIZE)]
)
async def test_batch_to_share_shrinks_as_the_limit_comes_near(
    store: Store, clock: Clock, used: int, batch: int
) -> None:
    """The poller waits until a full batch is shared, which takes no time."""
    await store.request_windows.add(used, people=used)
    rate_budget = budget_of(store, clock)
    async with running(rate_budget):
        await until(lambda: rate_budget.remaining == CLOUDFLARE_LIMIT - used, clock)
        sent = 0
        while rate_budget.can_check():
            rate_budget.record_request()
            sent += 1
        await until(rate_budget.can_check, clock)

        assert (await store.request_windows.count()).all == used + sent
    assert batch <= sent <= batch + 1


@pytest.mark.parametrize("replicas", [2, 3, 8])
async def test_replicas_that_know_nothing_of_each_other_stay_within_the_limit(
    store: Store, clock: Clock, replicas: int
) -> None:
    """Each sends for people as much as it may before it has to share, and shares it only when all have done so."""
    budgets = [budget_of(store, clock) for _ in range(replicas)]
    while any(each._is_left_for_people(PEOPLE_LIMIT) for each in budgets):
        for each in budgets:
            while not each._is_sharing_due and each._is_left_for_people(PEOPLE_LIMIT):
                each.record_for_people()
        for each in (*budgets, *budgets):
            each._is_batch_full.set()
            await each._flush()

    assert PEOPLE_LIMIT <= (await store.request_windows.count()).people <= PEOPLE_LIMIT + replicas * MIN_BATCH_SIZE


async def test_a_raised_limit_raises_every_share(store: Store, clock: Clock) -> None:
    rate_budget = RateBudget(store.request_windows, RateLimitState(), clock, accepted=10 * CLOUDFLARE_LIMIT)

    assert spend_all_of_peoples(rate_budget) == 10 * PEOPLE_LIMIT
    assert rate_budget.remaining == 10 * (CLOUDFLARE_LIMIT - PEOPLE_LIMIT)


async def test_unshared_requests_stay_counted_until_the_database_is_back(
    store: Store, clock: Clock, mocker: MockerFixture
) -> None:
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 10)
    spend = mocker.patch.object(store.request_windows, "add", side_effect=DatabaseUnavailable)
    async with running(rate_budget):
        for _ in range(10):
            rate_budget.record_request()
        await until(lambda: spend.call_count > 1, clock, 5)
        assert not rate_budget.can_check()
        mocker.stopall()
        await until(lambda: not rate_budget._unflushed, clock, 5)

        assert (await store.request_windows.count()).all == 10
        assert not rate_budget.can_check()


async def test_spent_while_it_is_told(store: Store, clock: Clock, mocker: MockerFixture) -> None:
    """It is reported the next time: nothing is counted twice or not at all."""
    rate_budget = budget_of(store, clock)
    spend = store.request_windows.add

    async def slowly(count: int, people: int = 0) -> Used:
        if patched.call_count == 1:
            rate_budget.record_request()
        return await spend(count, people)

    patched = mocker.patch.object(store.request_windows, "add", side_effect=slowly)
    rate_budget.record_request()
    async with running(rate_budget):
        await until(lambda: patched.call_count == 2 and not rate_budget._unflushed, clock, 1)

        assert (await store.request_windows.count()).all == 2
        assert rate_budget.remaining == CLOUDFLARE_LIMIT - 2


def spend_all_of_peoples(rate_budget: RateBudget) -> int:
    """Look up until that is refused; how many requests that were."""
    for number in range(20 * CLOUDFLARE_LIMIT):
        try:
            rate_budget.spend_for_people()
        except LookupsLimited:
            return number
    raise AssertionError("people are never refused")


async def test_a_crowd_leaves_the_list_and_the_checks_their_floor(store: Store, clock: Clock) -> None:
    """However many lookups people request, and in whatever order."""
    rate_budget = budget_of(store, clock)
    async with running(rate_budget):
        assert spend_all_of_peoples(rate_budget) == PEOPLE_LIMIT
        await until(rate_budget.can_check, clock)
        assert rate_budget.delay() <= 2
        for _ in range(BOT_FLOOR - SWEEP_SHARE):
            rate_budget.record_request()
        assert not rate_budget.can_check()
        for _ in range(SWEEP_SHARE):
            assert rate_budget.can_list()
            rate_budget.record_request()

        assert not rate_budget.can_list()
        assert rate_budget.remaining > 0


async def test_the_bot_leaves_people_their_floor(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock)
    while rate_budget.can_list():
        rate_budget.record_request()

    assert 150 <= spend_all_of_peoples(rate_budget) <= 200


async def test_what_people_have_spent_elsewhere_counts(store: Store, clock: Clock) -> None:
    """One crowd that reaches two replicas is one crowd."""
    rate_budget = budget_of(store, clock)
    await store.request_windows.add(PEOPLE_LIMIT - 3, people=PEOPLE_LIMIT - 3)
    async with running(rate_budget):
        await until(lambda: rate_budget.remaining < CLOUDFLARE_LIMIT, clock)

        assert spend_all_of_peoples(rate_budget) == 3

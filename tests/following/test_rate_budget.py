"""The rate limit that replicas share, and the shares of people, lists and checks."""

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
from tests.store.helpers import sqlite_with_tables

EPOCH = 1_800_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(EPOCH, speed=0)


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    store = await open_store(await sqlite_with_tables(tmp_path / "livestream.db"), clock=clock.now)
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
    """Advance the clock by steps of so many seconds until the condition holds, only while every task sleeps."""
    async with asyncio.timeout(30):
        while not condition():
            if len(clock._sleepers) == running:
                clock.advance(seconds)
            await asyncio.sleep(0.01)


def budget_of(store: Store, clock: Clock, limit: int = BOT_LIMIT) -> RateBudget:
    return RateBudget(store.request_windows, RateLimitState(), clock, limit)


async def test_own_requests_count_before_they_are_shared(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 3)
    for _ in range(3):
        assert rate_budget.can_check()
        rate_budget.record_request()

    assert not rate_budget.can_check()
    assert rate_budget.remaining == CLOUDFLARE_LIMIT - 3


async def test_list_is_read_after_checks_have_used_their_share(store: Store, clock: Clock) -> None:
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


async def test_last_quarter_of_the_checks_is_for_news(store: Store, clock: Clock) -> None:
    """The pause before them grows only in that quarter."""
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


async def test_people_leave_news_a_quarter_of_the_floor(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock)
    await store.request_windows.add(PEOPLE_LIMIT, people=PEOPLE_LIMIT)
    await store.request_windows.add(150)
    async with running(rate_budget):
        await until(lambda: rate_budget.remaining < CLOUDFLARE_LIMIT, clock)

        assert not rate_budget.can_check()
        assert rate_budget.can_check(news=True)


async def test_requests_are_shared_with_other_replicas(store: Store, clock: Clock) -> None:
    one, other = budget_of(store, clock), budget_of(store, clock)
    async with running(one, other):
        await store.request_windows.add(BOT_LIMIT - 1)
        one.record_request()
        await until(lambda: not one.can_list() and not other.can_list(), clock, 1, running=2)

        assert clock.now() - EPOCH < 60
        assert (await store.request_windows.count()).all == BOT_LIMIT
        assert other.remaining == CLOUDFLARE_LIMIT - BOT_LIMIT


async def test_requests_are_forgotten_after_five_minutes(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock, limit=SWEEP_SHARE + 1)
    await store.request_windows.add(1)
    async with running(rate_budget):
        await until(lambda: not rate_budget.can_check(), clock)
        await until(rate_budget.can_check, clock, 30)

        assert clock.now() - EPOCH >= 300
        assert rate_budget.remaining == CLOUDFLARE_LIMIT


async def test_full_batch_is_shared_before_more_checks(store: Store, clock: Clock) -> None:
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


async def test_request_during_sharing_is_shared_the_next_time(
    store: Store, clock: Clock, mocker: MockerFixture
) -> None:
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
    """Return how many requests people may send before they are refused."""
    for number in range(2 * CLOUDFLARE_LIMIT):
        try:
            rate_budget.spend_for_people()
        except LookupsLimited:
            return number
    raise AssertionError("people are never refused")


async def test_people_leave_lists_and_checks_their_floor(store: Store, clock: Clock) -> None:
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


async def test_bot_leaves_people_their_floor(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock)
    while rate_budget.can_list():
        rate_budget.record_request()

    assert 150 <= spend_all_of_peoples(rate_budget) <= 200


async def test_requests_of_people_in_other_replicas_count(store: Store, clock: Clock) -> None:
    rate_budget = budget_of(store, clock)
    await store.request_windows.add(PEOPLE_LIMIT - 3, people=PEOPLE_LIMIT - 3)
    async with running(rate_budget):
        await until(lambda: rate_budget.remaining < CLOUDFLARE_LIMIT, clock)

        assert spend_all_of_peoples(rate_budget) == 3

"""SingleFlight: concurrent calls with the same key share one result."""

import asyncio
import gc
from typing import Any

import pytest
import structlog

from bot.realtimekit.single_flight import SingleFlight


class Operation:
    """Counts its calls, and returns when the test sets its result."""

    def __init__(self) -> None:
        self.calls = 0
        self.result: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.calls += 1
        return await self.result


async def run_pending_tasks() -> None:
    """Let every task run that can run now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_concurrent_calls_with_one_key_share_one_run() -> None:
    flight, operation, other = SingleFlight(), Operation(), Operation()
    runs = [*[("key", operation)] * 50, ("other", other)]
    waiting = [asyncio.create_task(flight.run(*run)) for run in runs]
    await run_pending_tasks()

    operation.result.set_result("result")
    other.result.set_result("other")

    assert await asyncio.gather(*waiting) == ["result"] * 50 + ["other"]
    assert operation.calls == 1


async def test_finished_result_is_not_cached() -> None:
    flight, operation = SingleFlight(), Operation()
    operation.result.set_result("result")

    await flight.run("key", operation)
    await flight.run("key", operation)

    assert operation.calls == 2


async def test_cancelled_caller_does_not_cancel_the_shared_run() -> None:
    flight, operation = SingleFlight(), Operation()
    first = asyncio.create_task(flight.run("key", operation))
    second = asyncio.create_task(flight.run("key", operation))
    await run_pending_tasks()

    first.cancel()
    await run_pending_tasks()
    operation.result.set_result("result")

    assert await second == "result"
    assert first.cancelled()
    assert operation.calls == 1


async def test_error_is_shared_and_not_cached() -> None:
    flight, failing, operation = SingleFlight(), Operation(), Operation()
    waiting = [asyncio.create_task(flight.run("key", failing)) for _ in range(3)]
    await run_pending_tasks()

    failing.result.set_exception(ValueError("no"))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    operation.result.set_result("result")

    assert [str(outcome) for outcome in outcomes] == ["no"] * 3
    assert failing.calls == 1
    assert await flight.run("key", operation) == "result"


async def test_error_without_a_waiting_caller_is_not_reported_as_unhandled() -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    flight, operation = SingleFlight(), Operation()
    waiting = asyncio.create_task(flight.run("key", operation))
    await run_pending_tasks()

    waiting.cancel()
    await run_pending_tasks()
    operation.result.set_exception(ValueError("no"))
    await run_pending_tasks()
    del waiting
    gc.collect()

    assert unhandled == []


@pytest.mark.parametrize("outcome", ["result", ValueError("no"), None])
async def test_no_state_remains_after_result_error_or_cancellation(outcome: str | Exception | None) -> None:
    flight, operation = SingleFlight(), Operation()
    waiting = asyncio.create_task(flight.run("key", operation))
    await run_pending_tasks()

    if isinstance(outcome, str):
        operation.result.set_result(outcome)
    elif outcome is not None:
        operation.result.set_exception(outcome)
    else:
        operation.result.cancel()
    await asyncio.wait([waiting])
    await run_pending_tasks()

    assert not vars(flight)["_running"]
    assert not vars(flight)["_latest"]
    assert waiting.cancelled() or waiting.exception() is outcome or waiting.result() == outcome


async def test_cancel_ends_every_run_and_its_callers() -> None:
    flight, first, second = SingleFlight(), Operation(), Operation()
    waiting = [asyncio.create_task(flight.run(key, q)) for key, q in (("1", first), ("1", first), ("2", second))]
    await run_pending_tasks()

    await flight.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    assert first.result.cancelled()
    assert second.result.cancelled()


async def test_late_caller_starts_its_own_run() -> None:
    """A caller that joined a long-running one would have too little time left."""
    now = 0.0
    flight, first, second = SingleFlight(join_within=2, timer=lambda: now), Operation(), Operation()
    early = asyncio.create_task(flight.run("key", first))
    await run_pending_tasks()
    now = 2.1
    late = asyncio.create_task(flight.run("key", second))
    await run_pending_tasks()
    joined = asyncio.create_task(flight.run("key", first))
    await run_pending_tasks()

    first.result.set_result("old")
    second.result.set_result("new")

    assert list(await asyncio.gather(early, late, joined)) == ["old", "new", "new"]


async def test_run_does_not_inherit_the_first_callers_log_context() -> None:
    structlog.contextvars.bind_contextvars(user="ann")

    async def operation() -> dict[str, Any]:
        return structlog.contextvars.get_contextvars()

    assert await SingleFlight().run("key", operation) == {}

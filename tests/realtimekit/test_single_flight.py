"""Asking the same question once."""

import asyncio
import gc
from typing import Any

import pytest
import structlog

from bot.realtimekit.single_flight import SingleFlight


class Question:
    """Counts how often it is asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.asked += 1
        return await self.answer


async def a_moment() -> None:
    """Let everything run that can run now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_asked_once_for_all_who_wait() -> None:
    """Fifty who ask at once get the answer of one question."""
    flight, question = SingleFlight(), Question()
    waiting = [asyncio.create_task(flight.run("key", question)) for _ in range(50)]
    await a_moment()

    question.answer.set_result("answer")

    assert await asyncio.gather(*waiting) == ["answer"] * 50
    assert question.asked == 1


async def test_other_keys_are_other_questions() -> None:
    """Only the same key is the same question."""
    flight, first, second = SingleFlight(), Question(), Question()
    first.answer.set_result("1")
    second.answer.set_result("2")

    one, two = await asyncio.gather(flight.run("first", first), flight.run("second", second))

    assert (one, two) == ("1", "2")


async def test_asked_again_once_answered() -> None:
    """An answer is not kept: whoever asks later asks anew."""
    flight, question = SingleFlight(), Question()
    question.answer.set_result("answer")

    await flight.run("key", question)
    await flight.run("key", question)

    assert question.asked == 2


async def test_one_who_stops_waiting_does_not_stop_the_others() -> None:
    """Cancelling the first one to ask leaves the question running for the second."""
    flight, question = SingleFlight(), Question()
    first = asyncio.create_task(flight.run("key", question))
    second = asyncio.create_task(flight.run("key", question))
    await a_moment()

    first.cancel()
    await a_moment()
    question.answer.set_result("answer")

    assert await second == "answer"
    assert first.cancelled()
    assert question.asked == 1


async def test_all_share_the_error_and_the_next_one_asks_anew() -> None:
    """An error reaches everybody who waits, and is not kept."""
    flight, failing, question = SingleFlight(), Question(), Question()
    waiting = [asyncio.create_task(flight.run("key", failing)) for _ in range(3)]
    await a_moment()

    failing.answer.set_exception(ValueError("no"))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    question.answer.set_result("answer")

    assert [str(outcome) for outcome in outcomes] == ["no"] * 3
    assert failing.asked == 1
    assert await flight.run("key", question) == "answer"


async def test_an_error_that_nobody_waits_for_any_more_is_no_noise() -> None:
    """When all have stopped waiting, the error of their question reaches no unhandled-exception hook."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    flight, question = SingleFlight(), Question()
    waiting = asyncio.create_task(flight.run("key", question))
    await a_moment()

    waiting.cancel()
    await a_moment()
    question.answer.set_exception(ValueError("no"))
    await a_moment()
    del waiting
    gc.collect()

    assert unhandled == []


@pytest.mark.parametrize("outcome", ["answer", ValueError("no"), None])
async def test_nothing_is_kept_afterwards(outcome: str | Exception | None) -> None:
    """Answered, failed or cancelled: no question is left behind."""
    flight, question = SingleFlight(), Question()
    waiting = asyncio.create_task(flight.run("key", question))
    await a_moment()

    if isinstance(outcome, str):
        question.answer.set_result(outcome)
    elif outcome is not None:
        question.answer.set_exception(outcome)
    else:
        question.answer.cancel()
    await asyncio.wait([waiting])
    await a_moment()

    assert not vars(flight)["_running"]
    assert not vars(flight)["_latest"]
    assert waiting.cancelled() or waiting.exception() is outcome or waiting.result() == outcome


async def test_cancelled_as_a_whole() -> None:
    """Cancelling ends every question, and all who wait learn of it."""
    flight, first, second = SingleFlight(), Question(), Question()
    waiting = [asyncio.create_task(flight.run(key, q)) for key, q in (("1", first), ("1", first), ("2", second))]
    await a_moment()

    await flight.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    assert first.answer.cancelled()
    assert second.answer.cancelled()


async def test_nothing_to_cancel() -> None:
    """Cancelling with no question under way does nothing."""
    await SingleFlight().cancel()


async def test_late_comers_ask_anew() -> None:
    """Who comes when a question has been under way for long gets an answer of their own, with all the time for it."""
    now = 0.0
    flight, first, second = SingleFlight(join_within=2, timer=lambda: now), Question(), Question()
    early = asyncio.create_task(flight.run("key", first))
    await a_moment()
    now = 2.1
    late = asyncio.create_task(flight.run("key", second))
    await a_moment()
    joined = asyncio.create_task(flight.run("key", first))
    await a_moment()

    first.answer.set_result("old")
    second.answer.set_result("new")

    assert list(await asyncio.gather(early, late, joined)) == ["old", "new", "new"]


async def test_no_context_of_the_first_asker() -> None:
    """What a question logs is not said to be the doing of whoever happened to ask it first."""
    structlog.contextvars.bind_contextvars(user="ann")

    async def question() -> dict[str, Any]:
        return structlog.contextvars.get_contextvars()

    assert await SingleFlight().run("key", question) == {}

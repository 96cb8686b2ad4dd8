"""Whether the bot is ready, as its HTTP server says it in two places."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.health import Check
from bot.http_server import create_web
from bot.metrics import Metrics
from bot.uvicorn_server import listen, serving


class Checked:
    """A bot's HTTP server with checks of ours behind it."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http

    async def problems(self, query: str = "") -> dict[str, str]:
        """What /readyz says is not ready; its status and its words agree."""
        async with self._http.get(f"{self.url}/readyz{query}") as response:
            answer = await response.json()
            assert (response.status, answer["ready"]) == ((503, False) if answer["problems"] else (200, True))
            problems: dict[str, str] = answer["problems"]
            return problems

    async def ready(self) -> dict[str, float]:
        """What /metrics says of each check."""
        async with self._http.get(f"{self.url}/metrics") as response:
            assert response.status == 200
            lines = [line.split() for line in (await response.text()).splitlines()]
        return {
            name.partition('check="')[2].rstrip('"}'): float(value)
            for name, value in (line for line in lines if len(line) == 2)
            if name.startswith("livestream_bot_ready{")
        }


@contextlib.asynccontextmanager
async def checking(checks: dict[str, Check], metrics: Metrics | None = None) -> AsyncIterator[Checked]:
    async with (
        serving(create_web(metrics or Metrics(), checks, None), listen(), drain_seconds=1) as url,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http,
    ):
        yield Checked(url, http)


async def fine() -> str | None:
    return None


async def gone() -> str | None:
    return "It is gone."


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("", {"database": "It is gone.", "tracker": "It is gone."}),
        ("?exclude=database", {"tracker": "It is gone."}),
        ("?exclude=database&exclude=tracker", {}),
        ("?exclude=tracker&exclude=slack_token&exclude=database", {}),
        ("?exclude=socket_mode&exclude=database", {"tracker": "It is gone."}),
        ("?without=database", {"database": "It is gone.", "tracker": "It is gone."}),
    ],
)
async def test_ready_without(query: str, problems: dict[str, str]) -> None:
    """A probe may leave out checks by name, also one that this bot's mode does not have."""
    async with checking({"slack_token": fine, "database": gone, "tracker": gone}) as bot:
        assert await bot.problems(query) == problems


@pytest.mark.parametrize("name", ["nonsense", "", "database,tracker", "Database", "database "])
async def test_excluding_an_unknown_check_is_an_error_that_names_the_known_ones(name: str) -> None:
    async with (
        checking({"database": fine, "tracker": gone}) as bot,
        aiohttp.ClientSession() as http,
        http.get(f"{bot.url}/readyz", params={"exclude": name}) as response,
    ):
        answer = await response.json()

    assert response.status == 400
    assert answer == {
        "error": "Unknown check in exclude. Use one of: database, socket_mode, tracker.",
        "unknown": [name],
    }


async def test_what_is_left_out_is_not_checked() -> None:
    """A check that is left out is not made, so that it costs nothing and holds up nobody."""
    made: list[str] = []

    async def count() -> str | None:
        made.append("database")
        return None

    async with checking({"slack_token": fine, "database": count}) as bot:
        await bot.problems("?exclude=database")

        assert made == []
        await bot.problems()
        assert made == ["database"]


async def test_ready_in_metrics() -> None:
    """Metrics tell of each check as it is now, without anybody's asking whether the bot is ready."""
    database = ["It is gone."]

    async def check() -> str | None:
        return database[0] or None

    async with checking({"slack_token": fine, "database": check}) as bot:
        first = await bot.ready()
        database[0] = ""
        second = await bot.ready()

    assert first == {"slack_token": 1, "database": 0}
    assert second == {"slack_token": 1, "database": 1}


async def test_readyz_sets_the_metric() -> None:
    """What a probe was answered is what is measured."""
    metrics = Metrics()

    async with checking({"slack_token": fine, "database": gone}, metrics) as bot:
        await bot.problems()

    read = metrics.registry.get_sample_value
    assert read("livestream_bot_ready", {"check": "slack_token"}) == 1
    assert read("livestream_bot_ready", {"check": "database"}) == 0


async def test_check_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that hangs counts as not ready and holds up neither answer; it is not begun anew meanwhile."""
    monkeypatch.setattr("bot.health.CHECK_SECONDS", 0.05)
    begun, over = [], asyncio.Event()

    async def hang() -> str | None:
        begun.append("database")
        await over.wait()
        return None

    async with checking({"slack_token": fine, "database": hang}) as bot:
        for _ in range(3):
            assert await bot.problems() == {"database": "No answer within 0.05 seconds."}
            assert await bot.ready() == {"slack_token": 1, "database": 0}
        assert len(begun) == 1

        over.set()
        assert await bot.ready() == {"slack_token": 1, "database": 1}
        assert await bot.problems() == {}


async def test_late_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks when a check is late already is told so at once, and does not take its late answer for one in time."""
    monkeypatch.setattr("bot.health.CHECK_SECONDS", 0.05)
    over = asyncio.Event()

    async def slow() -> str | None:
        await over.wait()
        return None

    async with checking({"database": slow}) as bot:
        await bot.problems()
        # For as long a new one would be waited for.
        monkeypatch.setattr("bot.health.CHECK_SECONDS", 3600)

        assert await bot.ready() == {"database": 0}
        over.set()


async def test_checks_go_side_by_side() -> None:
    """No check waits for another."""
    meeting = asyncio.Barrier(3)

    async def meet() -> str | None:
        await meeting.wait()
        return None

    async with checking({"database": meet, "announcer": meet, "tracker": meet}) as bot:
        assert await bot.problems() == {}
        assert await bot.ready() == {"database": 1, "announcer": 1, "tracker": 1}


async def test_check_that_breaks(log: io.StringIO) -> None:
    """A check that breaks counts as not ready, is logged, and costs nobody the metrics."""

    async def broken() -> str | None:
        raise LookupError("no such table")

    async with checking({"slack_token": fine, "database": broken}) as bot:
        assert await bot.problems() == {"database": "The check itself failed. See the log."}
        assert await bot.ready() == {"slack_token": 1, "database": 0}

    [line, _] = [json.loads(line) for line in log.getvalue().splitlines() if "readiness_check_failed" in line]
    assert line["check"] == "database"
    assert "no such table" in line["exception"]

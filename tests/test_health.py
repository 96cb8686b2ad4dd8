"""The readiness checks in /readyz and in the metrics."""

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


class HealthClient:
    """A client of an HTTP server with a test's checks."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http

    async def problems(self, query: str = "") -> dict[str, str]:
        """Return the problems in /readyz, whose status must agree with them."""
        async with self._http.get(f"{self.url}/readyz{query}") as response:
            answer = await response.json()
            assert (response.status, answer["ready"]) == ((503, False) if answer["problems"] else (200, True))
            problems: dict[str, str] = answer["problems"]
            return problems

    async def ready(self) -> dict[str, float]:
        """Return the checks in /metrics."""
        async with self._http.get(f"{self.url}/metrics") as response:
            assert response.status == 200
            lines = [line.split() for line in (await response.text()).splitlines()]
        return {
            name.partition('check="')[2].rstrip('"}'): float(value)
            for name, value in (line for line in lines if len(line) == 2)
            if name.startswith("livestream_bot_ready{")
        }


@contextlib.asynccontextmanager
async def serving_checks(checks: dict[str, Check], metrics: Metrics | None = None) -> AsyncIterator[HealthClient]:
    async with (
        serving(create_web(metrics or Metrics(), checks, None), listen(), drain_seconds=1) as url,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http,
    ):
        yield HealthClient(url, http)


async def passing() -> str | None:
    return None


async def failing() -> str | None:
    return "It is failing."


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("", {"database": "It is failing.", "tracker": "It is failing."}),
        ("?exclude=database", {"tracker": "It is failing."}),
        ("?exclude=database&exclude=tracker", {}),
        ("?exclude=tracker&exclude=slack_token&exclude=database", {}),
        ("?exclude=socket_mode&exclude=database", {"tracker": "It is failing."}),
        ("?without=database", {"database": "It is failing.", "tracker": "It is failing."}),
    ],
)
async def test_probe_can_exclude_checks_by_name(query: str, problems: dict[str, str]) -> None:
    """Also a check that this bot's mode does not have."""
    async with serving_checks({"slack_token": passing, "database": failing, "tracker": failing}) as bot:
        assert await bot.problems(query) == problems


@pytest.mark.parametrize("name", ["nonsense", "", "database,tracker", "Database", "database "])
async def test_excluding_an_unknown_check_is_an_error_with_the_known_names(name: str) -> None:
    async with (
        serving_checks({"database": passing, "tracker": failing}) as bot,
        aiohttp.ClientSession() as http,
        http.get(f"{bot.url}/readyz", params={"exclude": name}) as response,
    ):
        answer = await response.json()

    assert response.status == 400
    assert answer == {
        "error": "Unknown check in exclude. Use one of: database, socket_mode, tracker.",
        "unknown": [name],
    }


async def test_excluded_check_does_not_run() -> None:
    made: list[str] = []

    async def count() -> str | None:
        made.append("database")
        return None

    async with serving_checks({"slack_token": passing, "database": count}) as bot:
        await bot.problems("?exclude=database")

        assert made == []
        await bot.problems()
        assert made == ["database"]


async def test_metrics_have_the_current_state_of_each_check() -> None:
    database = ["It is failing."]

    async def check() -> str | None:
        return database[0] or None

    async with serving_checks({"slack_token": passing, "database": check}) as bot:
        first = await bot.ready()
        database[0] = ""
        second = await bot.ready()

    assert first == {"slack_token": 1, "database": 0}
    assert second == {"slack_token": 1, "database": 1}


async def test_readyz_sets_the_metric() -> None:
    metrics = Metrics()

    async with serving_checks({"slack_token": passing, "database": failing}, metrics) as bot:
        await bot.problems()

    read = metrics.registry.get_sample_value
    assert read("livestream_bot_ready", {"check": "slack_token"}) == 1
    assert read("livestream_bot_ready", {"check": "database"}) == 0


async def test_hanging_check_is_not_ready_and_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.health.CHECK_SECONDS", 0.05)
    started, over = [], asyncio.Event()

    async def hang() -> str | None:
        started.append("database")
        await over.wait()
        return None

    async with serving_checks({"slack_token": passing, "database": hang}) as bot:
        for _ in range(3):
            assert await bot.problems() == {"database": "No answer within 0.05 seconds."}
            assert await bot.ready() == {"slack_token": 1, "database": 0}
        assert len(started) == 1

        over.set()
        assert await bot.ready() == {"slack_token": 1, "database": 1}
        assert await bot.problems() == {}


async def test_late_check_fails_at_once_for_later_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.health.CHECK_SECONDS", 0.05)
    over = asyncio.Event()

    async def slow() -> str | None:
        await over.wait()
        return None

    async with serving_checks({"database": slow}) as bot:
        await bot.problems()
        # How long a new check could take.
        monkeypatch.setattr("bot.health.CHECK_SECONDS", 3600)

        assert await bot.ready() == {"database": 0}
        over.set()


async def test_checks_run_concurrently() -> None:
    meeting = asyncio.Barrier(3)

    async def meet() -> str | None:
        await meeting.wait()
        return None

    async with serving_checks({"database": meet, "announcer": meet, "tracker": meet}) as bot:
        assert await bot.problems() == {}
        assert await bot.ready() == {"database": 1, "announcer": 1, "tracker": 1}


async def test_crashed_check_is_not_ready_and_logged(log: io.StringIO) -> None:
    async def broken() -> str | None:
        raise LookupError("no such table")

    async with serving_checks({"slack_token": passing, "database": broken}) as bot:
        assert await bot.problems() == {"database": "The check itself failed. See the log."}
        assert await bot.ready() == {"slack_token": 1, "database": 0}

    [line, _] = [json.loads(line) for line in log.getvalue().splitlines() if "readiness_check_failed" in line]
    assert line["check"] == "database"
    assert "no such table" in line["exception"]

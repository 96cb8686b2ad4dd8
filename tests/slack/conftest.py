"""A local Slack and a client of it, without the bot around them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.metrics import Metrics
from bot.slack.api_client import SlackClient, open_session
from sandbox.clock import Clock
from sandbox.slack import Slack
from tests.slack.helpers import make_client


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[Slack]:
    async with Slack(clock).running() as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@pytest.fixture
async def hasty() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that gives a call up after 40 ms instead of 10 s."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.04)) as session:
        yield session


@pytest.fixture
def client(slack: Slack, session: aiohttp.ClientSession, metrics: Metrics) -> SlackClient:
    return make_client(slack.api_url, session, metrics)

"""What the bot says of its own accord reaches Slack, or it is known why not."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_mock import MockerFixture

from bot.metrics import Metrics
from bot.slack.api_client import SlackClient, open_session
from bot.slack.errors import TokenRejected
from bot.slack.messages import message
from bot.slack.messages.message import section
from bot.slack.publisher import MessageDeleted, MessageNotFound, PermanentError, Publisher, TransientError
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from bot.uvicorn_server import listen, url_of
from sandbox.clock import Clock
from sandbox.slack import EVENTS, RANDOM, Fault, Message, Slack

HELLO = message.Message("Hello there", (section("*Hello* there"),))
ID = "5b8efdc2-7c1f-5a4e-9d1a-0a4a8f6f0001"
OTHER_ID = "5b8efdc2-7c1f-5a4e-9d1a-0a4a8f6f0002"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0, speed=0)


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
def client(slack: Slack, session: aiohttp.ClientSession, metrics: Metrics) -> SlackClient:
    token = slack.credentials.bot_token
    return SlackClient(token=token, base_url=slack.api_url, session=session, metrics=metrics)


@pytest.fixture
def publisher(client: SlackClient, clock: Clock, metrics: Metrics) -> Publisher:
    return Publisher(client, SlackRateLimiter(clock), clock, metrics)


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Return what was said, with which outcome."""
    return {
        (sample.labels["operation"], sample.labels["outcome"]): sample.value
        for family in metrics.announcements.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def the_message(slack: Slack) -> Message:
    (message,) = slack.messages(EVENTS)
    return message


async def test_post_appears_without_link_previews(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    """The publisher returns the message's ts."""
    ts = await publisher.post(EVENTS, HELLO, ID)

    message = the_message(slack)
    assert (message.ts, message.text) == (ts, "Hello there")
    assert message.blocks[0]["text"]["text"] == "*Hello* there"
    assert message.client_msg_id == ID
    sent = json.loads(slack.sent[-1].body)
    assert not any(json.loads(str(sent[name]).lower()) for name in ("unfurl_links", "unfurl_media"))
    assert counted(metrics) == {("post", "sent"): 1}


@pytest.mark.parametrize("broadcast", [True, False])
async def test_reply_appears_in_its_thread(
    slack: Slack, publisher: Publisher, metrics: Metrics, broadcast: bool
) -> None:
    """A broadcast reply appears in the channel too."""
    ts = await publisher.post(EVENTS, HELLO, ID)
    await publisher.post(EVENTS, message.Message("News"), OTHER_ID, thread_ts=ts, broadcast=broadcast)

    (reply,) = slack.replies(slack.messages(EVENTS)[0])
    assert (reply.text, reply.is_broadcast) == ("News", broadcast)
    assert len(slack.messages(EVENTS)) == 1 + broadcast
    assert counted(metrics) == {("post", "sent"): 1, ("reply", "sent"): 1}


async def test_edit_replaces_the_content(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    ts = await publisher.post(EVENTS, HELLO, ID)
    await publisher.edit(EVENTS, ts, message.Message("Bye", (section("*Bye*"),)))

    assert the_message(slack).text == "Bye"
    assert counted(metrics)["edit", "sent"] == 1


@pytest.mark.parametrize(
    "code",
    ["not_in_channel", "is_archived", "restricted_action", "channel_is_limited_access", "slack_connect_x_blocked"],
)
async def test_permanent_rejection_has_slacks_code(
    slack: Slack, publisher: Publisher, metrics: Metrics, code: str
) -> None:
    slack.refuse_next("chat.postMessage", code)

    with pytest.raises(PermanentError, match=code):
        await publisher.post(EVENTS, HELLO, ID)

    assert counted(metrics) == {("post", "refused"): 1}


async def test_where_the_bot_is_not(publisher: Publisher) -> None:
    """Nor can it post there."""
    with pytest.raises(PermanentError, match="not_in_channel"):
        await publisher.post(RANDOM, HELLO, ID)


async def test_missing_message_is_not_found(slack: Slack, publisher: Publisher) -> None:
    """A deleted message can be neither edited nor replied to."""
    ts = await publisher.post(EVENTS, HELLO, ID)
    slack.delete_message(the_message(slack))

    with pytest.raises(MessageNotFound, match="message_not_found"):
        await publisher.edit(EVENTS, ts, HELLO)
    with pytest.raises(MessageNotFound, match="thread_not_found"):
        await publisher.post(EVENTS, HELLO, OTHER_ID, thread_ts="1.1")


@pytest.mark.parametrize("code", ["duplicate_message_not_found", "duplicate_channel_not_found"])
async def test_repeated_post_of_a_deleted_message_is_told_apart(slack: Slack, publisher: Publisher, code: str) -> None:
    slack.refuse_next("chat.postMessage", code)

    with pytest.raises(MessageDeleted):
        await publisher.post(EVENTS, HELLO, ID)


async def test_told_to_wait(slack: Slack, publisher: Publisher, metrics: Metrics, clock: Clock) -> None:
    """As long as Slack says nothing more is sent to the channel."""
    slack.rate_limit_next("chat.postMessage", retry_after=600)
    with pytest.raises(TransientError) as later:
        await publisher.post(EVENTS, HELLO, ID)
    assert later.value.seconds == 600

    with pytest.raises(TransientError) as later:
        await publisher.post(EVENTS, HELLO, ID)

    assert later.value.seconds == pytest.approx(600)
    assert len(slack.calls) == 1
    assert counted(metrics) == {("post", "waiting"): 2}
    clock.advance(600)
    assert await publisher.post(EVENTS, HELLO, ID)


async def test_edits_are_told_to_wait(slack: Slack, publisher: Publisher) -> None:
    """Posts are not affected."""
    ts = await publisher.post(EVENTS, HELLO, ID)
    slack.rate_limit_next("chat.update", retry_after=30)
    for _ in range(2):
        with pytest.raises(TransientError) as later:
            await publisher.edit(EVENTS, ts, HELLO)
        assert later.value.seconds == pytest.approx(30)
    with pytest.raises(TransientError) as later:
        await publisher.edit(RANDOM, ts, HELLO)
    assert later.value.seconds == pytest.approx(30)

    assert await publisher.post(EVENTS, HELLO, OTHER_ID)


async def test_a_turn_that_comes_soon(publisher: Publisher, slack: Slack, clock: Clock) -> None:
    """It is waited for."""
    for _ in range(3):
        await publisher.post(EVENTS, HELLO, ID)

    fourth = asyncio.create_task(publisher.post(EVENTS, HELLO, OTHER_ID))
    await asyncio.sleep(0.01)
    assert len(slack.calls) == 3
    clock.advance(1)

    await fourth
    assert len(slack.messages(EVENTS)) == 2


async def test_post_that_would_wait_long_for_a_token_fails(
    client: SlackClient, slack: Slack, clock: Clock, metrics: Metrics
) -> None:
    """The publisher gives up instead: the caller has other work to do."""
    slow = Rate(per_second=0.1, burst=1)
    publisher = Publisher(client, SlackRateLimiter(clock, per_channel=slow), clock, metrics)
    await publisher.post(EVENTS, HELLO, ID)

    with pytest.raises(TransientError) as later:
        await publisher.post(EVENTS, HELLO, OTHER_ID)

    assert later.value.seconds == pytest.approx(10)
    assert len(slack.calls) == 1


async def test_unconfirmed_post_appears_once_if_repeated(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    """The repeated post has the same ID."""
    slack.fault = Fault.DROP
    with pytest.raises(TransientError) as later:
        await publisher.post(EVENTS, HELLO, ID)
    assert later.value.seconds is None
    slack.fault = Fault.NONE

    ts = await publisher.post(EVENTS, HELLO, ID)

    assert the_message(slack).ts == ts
    assert counted(metrics) == {("post", "unconfirmed"): 1, ("post", "sent"): 1}


async def test_a_channel_that_refuses_every_edit_does_not_hold_the_others_each_time(
    publisher: Publisher, slack: Slack, clock: Clock
) -> None:
    """Not before Slack has accepted one there."""
    slack.invite_bot(RANDOM)
    here, there = await publisher.post(EVENTS, HELLO, ID), await publisher.post(RANDOM, HELLO, OTHER_ID)
    for held in (30.0, 0.0):
        slack.rate_limit_next("chat.update", retry_after=30)
        with pytest.raises(TransientError):
            await publisher.edit(EVENTS, here, HELLO)
        assert publisher._rate_limiter.acquire_edit(RANDOM) == pytest.approx(held)
        clock.advance(30)
        await publisher.edit(RANDOM, there, HELLO)

    await publisher.edit(EVENTS, here, HELLO)
    slack.rate_limit_next("chat.update", retry_after=30)
    with pytest.raises(TransientError):
        await publisher.edit(EVENTS, here, HELLO)

    assert publisher._rate_limiter.acquire_edit(RANDOM) == pytest.approx(30)


@pytest.mark.parametrize("code", ["internal_error", "missing_scope", "update_failed", "a_word_of_tomorrow"])
async def test_a_code_that_may_pass_is_tried_again(slack: Slack, publisher: Publisher, code: str) -> None:
    """Nothing is given up for a word that is not known to be final."""
    slack.refuse_next("chat.postMessage", code)

    with pytest.raises(TransientError, match=code):
        await publisher.post(EVENTS, HELLO, ID)

    assert await publisher.post(EVENTS, HELLO, ID)


async def test_blocks_that_slack_does_not_take(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    """The message goes without them."""
    bad = message.Message("Hello there", (section("x" * 3_001),))

    ts = await publisher.post(EVENTS, bad, ID)
    assert the_message(slack).text == "Hello there"
    await publisher.edit(EVENTS, ts, message.Message("Bye", bad.blocks))

    assert the_message(slack).text == "Bye"
    assert counted(metrics) == {("post", "sent"): 1, ("edit", "sent"): 1}


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long", "too_many_attachments"])
async def test_a_message_that_slack_does_not_take(
    slack: Slack, publisher: Publisher, metrics: Metrics, code: str
) -> None:
    """If it is not even accepted without them, that is final."""
    slack.refuse_next("chat.postMessage", code, times=2)

    with pytest.raises(PermanentError, match=code):
        await publisher.post(EVENTS, HELLO, ID)

    assert counted(metrics) == {("post", "refused"): 1}


async def test_a_text_that_is_too_long_is_cut(slack: Slack, publisher: Publisher) -> None:
    """Slack counts in its own way: what it calls too long is sent shorter."""
    slack.refuse_next("chat.postMessage", "msg_too_long")

    await publisher.post(EVENTS, message.Message("x" * 3_900), ID)

    assert the_message(slack).text == "x" * 3_000


async def test_nothing_is_sent_while_slack_refuses_the_token(
    slack: Slack, publisher: Publisher, client: SlackClient
) -> None:
    """One refusal says it for all channels, until Slack accepts the token again."""
    slack.refuse_next("chat.postMessage", "token_revoked")
    for channel in (EVENTS, RANDOM, EVENTS):
        with pytest.raises(TokenRejected, match="token_revoked"):
            await publisher.post(channel, HELLO, ID)
    assert len(slack.calls) == 1

    await client.auth_test()

    assert await publisher.post(EVENTS, HELLO, ID)


@pytest.mark.parametrize("code", ["edit_window_closed", "cant_update_message"])
async def test_a_message_that_cannot_be_edited_any_longer(slack: Slack, publisher: Publisher, code: str) -> None:
    """Another one takes its place."""
    ts = await publisher.post(EVENTS, HELLO, ID)
    slack.refuse_next("chat.update", code)

    with pytest.raises(MessageNotFound, match=code):
        await publisher.edit(EVENTS, ts, HELLO)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({}, 30), ({"Retry-After": "soon"}, 30), ({"Retry-After": "0"}, 1), ({"Retry-After": "86400"}, 1_800)],
)
async def test_how_long_to_wait(
    session: aiohttp.ClientSession, clock: Clock, metrics: Metrics, headers: dict[str, str], seconds: float
) -> None:
    """Where Slack says nothing that can be understood it is half a minute, and never more than half an hour."""

    async def too_many(request: web.BaseRequest) -> web.StreamResponse:
        answer: Any = {"ok": False, "error": "ratelimited"}
        return web.json_response(answer, status=429, headers=headers)

    runner, sock = web.ServerRunner(web.Server(too_many)), listen()
    await runner.setup()
    await web.SockSite(runner, sock).start()
    client = SlackClient(token="xoxb-x", base_url=f"{url_of(sock)}/api/", session=session, metrics=metrics)

    with pytest.raises(TransientError) as later:
        await Publisher(client, SlackRateLimiter(clock), clock, metrics).post(EVENTS, HELLO, ID)

    assert later.value.seconds == seconds
    await runner.cleanup()


async def test_channels_that_the_bot_is_in(
    slack: Slack, client: SlackClient, clock: Clock, metrics: Metrics, mocker: MockerFixture
) -> None:
    """Page by page, at Slack's pace, until all requested ones have been found."""
    mocker.patch("bot.slack.publisher.PAGE_SIZE", 1)
    mocker.patch("bot.slack.publisher.PAGE_INTERVAL_SECONDS", 0)
    publisher = Publisher(client, SlackRateLimiter(clock), clock, metrics)
    slack.remove_bot(RANDOM)
    joined = [channel.id for channel in slack.workspace.channels.values() if channel.has_bot and not channel.is_im]

    assert await publisher.joined_channels({joined[0], RANDOM}) == {joined[0]}
    everything = len(slack.calls)
    assert everything == len(joined) > 1
    assert await publisher.joined_channels({joined[0]}) == {joined[0]}
    assert len(slack.calls) == everything + 1
    assert await publisher.joined_channels(set()) == set()
    assert len(slack.calls) == everything + 1


@pytest.mark.parametrize(("code", "kind"), [("internal_error", TransientError), ("token_revoked", TokenRejected)])
async def test_channels_that_slack_does_not_say(publisher: Publisher, slack: Slack, code: str, kind: type) -> None:
    """No channel counts as one that the bot is in."""
    slack.refuse("users.conversations", code)

    for _ in range(2):
        with pytest.raises(kind):
            await publisher.joined_channels({EVENTS})

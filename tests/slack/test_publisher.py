"""What the bot says of its own accord reaches Slack, or it is known why not."""

import asyncio
import json

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.metrics import Metrics
from bot.slack.api_client import SlackClient
from bot.slack.errors import TokenRejected
from bot.slack.messages.message import Message, section
from bot.slack.publisher import MessageDeleted, MessageNotFound, PermanentError, Publisher, TransientError
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from sandbox.clock import Clock
from sandbox.slack import EVENTS, RANDOM, Fault, Slack
from sandbox.slack import Message as Shown
from tests.slack.helpers import answering, counts, make_client

HELLO = Message("Hello there", (section("*Hello* there"),))
ID = "5b8efdc2-7c1f-5a4e-9d1a-0a4a8f6f0001"
OTHER_ID = "5b8efdc2-7c1f-5a4e-9d1a-0a4a8f6f0002"
POST, EDIT = "chat.postMessage", "chat.update"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0, speed=0)


@pytest.fixture
def limiter(clock: Clock) -> SlackRateLimiter:
    return SlackRateLimiter(clock)


@pytest.fixture
def publisher(client: SlackClient, limiter: SlackRateLimiter, clock: Clock, metrics: Metrics) -> Publisher:
    return Publisher(client, limiter, clock, metrics)


def the_message(slack: Slack) -> Shown:
    (message,) = slack.messages(EVENTS)
    return message


async def test_post_appears_without_link_previews(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    ts = await publisher.post(EVENTS, HELLO, ID)

    message = the_message(slack)
    assert (message.ts, message.text, message.client_msg_id) == (ts, "Hello there", ID)
    assert message.blocks[0]["text"]["text"] == "*Hello* there"
    sent = json.loads(slack.sent[-1].body)
    assert not any(json.loads(str(sent[name]).lower()) for name in ("unfurl_links", "unfurl_media"))
    assert counts(metrics.announcements) == {("post", "sent"): 1}


@pytest.mark.parametrize("broadcast", [True, False])
async def test_reply_appears_in_its_thread(
    slack: Slack, publisher: Publisher, metrics: Metrics, broadcast: bool
) -> None:
    """A broadcast reply appears in the channel too."""
    ts = await publisher.post(EVENTS, HELLO, ID)
    await publisher.post(EVENTS, Message("News"), OTHER_ID, thread_ts=ts, broadcast=broadcast)

    (reply,) = slack.replies(slack.messages(EVENTS)[0])
    assert (reply.text, reply.is_broadcast) == ("News", broadcast)
    assert len(slack.messages(EVENTS)) == 1 + broadcast
    assert counts(metrics.announcements) == {("post", "sent"): 1, ("reply", "sent"): 1}


async def test_edit_replaces_the_content(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    ts = await publisher.post(EVENTS, HELLO, ID)
    await publisher.edit(EVENTS, ts, Message("Bye", (section("*Bye*"),)))

    assert the_message(slack).text == "Bye"
    assert counts(metrics.announcements)["edit", "sent"] == 1


@pytest.mark.parametrize(
    ("code", "times"),
    [
        *((code, 1) for code in ("not_in_channel", "is_archived", "restricted_action", "slack_connect_x_blocked")),
        ("channel_is_limited_access", 1),
        # Rejected content is permanent if Slack does not even accept the text alone.
        *((code, 2) for code in ("invalid_blocks", "msg_too_long", "too_many_attachments")),
    ],
)
async def test_permanent_rejection_has_slacks_code(
    slack: Slack, publisher: Publisher, metrics: Metrics, code: str, times: int
) -> None:
    slack.refuse_next(POST, code, times)

    with pytest.raises(PermanentError, match=code):
        await publisher.post(EVENTS, HELLO, ID)

    assert len(slack.calls) == times
    assert counts(metrics.announcements) == {("post", "refused"): 1}


async def test_channel_without_the_bot_rejects_posts_permanently(publisher: Publisher) -> None:
    with pytest.raises(PermanentError, match="not_in_channel"):
        await publisher.post(RANDOM, HELLO, ID)


async def test_deleted_message_is_neither_edited_nor_replied_to(slack: Slack, publisher: Publisher) -> None:
    ts = await publisher.post(EVENTS, HELLO, ID)
    slack.delete_message(the_message(slack))

    with pytest.raises(MessageNotFound, match="message_not_found"):
        await publisher.edit(EVENTS, ts, HELLO)
    with pytest.raises(MessageNotFound, match="thread_not_found"):
        await publisher.post(EVENTS, HELLO, OTHER_ID, thread_ts="1.1")


@pytest.mark.parametrize("code", ["edit_window_closed", "cant_update_message"])
async def test_message_that_cannot_be_edited_anymore_counts_as_missing(
    slack: Slack, publisher: Publisher, code: str
) -> None:
    """Another one takes its place."""
    ts = await publisher.post(EVENTS, HELLO, ID)
    slack.refuse_next(EDIT, code)

    with pytest.raises(MessageNotFound, match=code):
        await publisher.edit(EVENTS, ts, HELLO)


@pytest.mark.parametrize("code", ["duplicate_message_not_found", "duplicate_channel_not_found"])
async def test_repeated_post_of_a_deleted_message_has_its_own_error(
    slack: Slack, publisher: Publisher, code: str
) -> None:
    slack.refuse_next(POST, code)

    with pytest.raises(MessageDeleted):
        await publisher.post(EVENTS, HELLO, ID)


@pytest.mark.parametrize("code", ["internal_error", "missing_scope", "update_failed", "a_word_of_tomorrow"])
async def test_code_that_may_pass_is_transient(slack: Slack, publisher: Publisher, code: str) -> None:
    """Nothing is given up for a code that is not known to be final."""
    slack.refuse_next(POST, code)

    with pytest.raises(TransientError, match=code):
        await publisher.post(EVENTS, HELLO, ID)

    assert await publisher.post(EVENTS, HELLO, ID)


async def test_unconfirmed_post_appears_once_if_repeated(slack: Slack, publisher: Publisher, metrics: Metrics) -> None:
    """The repeated post has the same ID."""
    slack.fault = Fault.DROP
    with pytest.raises(TransientError) as later:
        await publisher.post(EVENTS, HELLO, ID)
    assert later.value.seconds is None
    slack.fault = Fault.NONE

    ts = await publisher.post(EVENTS, HELLO, ID)

    assert the_message(slack).ts == ts
    assert counts(metrics.announcements) == {("post", "unconfirmed"): 1, ("post", "sent"): 1}


async def test_text_is_sent_alone_if_slack_rejects_the_blocks(
    slack: Slack, publisher: Publisher, metrics: Metrics
) -> None:
    bad = Message("Hello there", (section("x" * 3_001),))

    ts = await publisher.post(EVENTS, bad, ID)
    assert the_message(slack).text == "Hello there"
    await publisher.edit(EVENTS, ts, Message("Bye", bad.blocks))

    assert the_message(slack).text == "Bye"
    assert counts(metrics.announcements) == {("post", "sent"): 1, ("edit", "sent"): 1}


async def test_text_that_slack_calls_too_long_is_cut(slack: Slack, publisher: Publisher) -> None:
    """Slack counts in its own way."""
    slack.refuse_next(POST, "msg_too_long")

    await publisher.post(EVENTS, Message("x" * 3_900), ID)

    assert the_message(slack).text == "x" * 3_000


async def test_rate_limited_channel_gets_no_post_until_the_wait_is_over(
    slack: Slack, publisher: Publisher, metrics: Metrics, clock: Clock
) -> None:
    slack.rate_limit_next(POST, retry_after=600)
    for _ in range(2):
        with pytest.raises(TransientError) as later:
            await publisher.post(EVENTS, HELLO, ID)
        assert later.value.seconds == pytest.approx(600)

    assert len(slack.calls) == 1
    assert counts(metrics.announcements) == {("post", "waiting"): 2}
    clock.advance(600)
    assert await publisher.post(EVENTS, HELLO, ID)


async def test_rate_limited_edits_wait_in_all_channels_and_posts_do_not(slack: Slack, publisher: Publisher) -> None:
    ts = await publisher.post(EVENTS, HELLO, ID)
    slack.rate_limit_next(EDIT, retry_after=30)
    for channel in (EVENTS, EVENTS, RANDOM):
        with pytest.raises(TransientError) as later:
            await publisher.edit(channel, ts, HELLO)
        assert later.value.seconds == pytest.approx(30)

    assert await publisher.post(EVENTS, HELLO, OTHER_ID)


async def test_channel_that_refuses_every_edit_holds_the_others_only_once_between_successes(
    publisher: Publisher, limiter: SlackRateLimiter, slack: Slack, clock: Clock
) -> None:
    slack.invite_bot(RANDOM)
    here, there = await publisher.post(EVENTS, HELLO, ID), await publisher.post(RANDOM, HELLO, OTHER_ID)
    for held in (30.0, 0.0, 30.0):
        slack.rate_limit_next(EDIT, retry_after=30)
        with pytest.raises(TransientError):
            await publisher.edit(EVENTS, here, HELLO)
        assert limiter.acquire_edit(RANDOM) == pytest.approx(held)
        clock.advance(30)
        await publisher.edit(RANDOM, there, HELLO)
        if held == 0:
            await publisher.edit(EVENTS, here, HELLO)


async def test_short_wait_for_a_token_is_waited(publisher: Publisher, slack: Slack, clock: Clock) -> None:
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
    """The caller has other work to do."""
    slow = Rate(per_second=0.1, burst=1)
    publisher = Publisher(client, SlackRateLimiter(clock, per_channel=slow), clock, metrics)
    await publisher.post(EVENTS, HELLO, ID)

    with pytest.raises(TransientError) as later:
        await publisher.post(EVENTS, HELLO, OTHER_ID)

    assert later.value.seconds == pytest.approx(10)
    assert len(slack.calls) == 1


@pytest.mark.parametrize(("headers", "seconds"), [({}, 30), ({"Retry-After": "86400"}, 1_800)])
async def test_wait_is_read_from_the_headers(
    session: aiohttp.ClientSession,
    limiter: SlackRateLimiter,
    clock: Clock,
    metrics: Metrics,
    headers: dict[str, str],
    seconds: float,
) -> None:
    limited = {"status": 429, "text": '{"ok": false}', "content_type": "application/json", "headers": headers}
    async with answering(**limited) as stranger:
        publisher = Publisher(make_client(stranger.url, session), limiter, clock, metrics)
        with pytest.raises(TransientError) as later:
            await publisher.post(EVENTS, HELLO, ID)

    assert later.value.seconds == seconds


async def test_nothing_is_sent_while_slack_refuses_the_token(
    slack: Slack, publisher: Publisher, client: SlackClient
) -> None:
    """One refusal is enough for all channels, until Slack accepts the token again."""
    slack.refuse_next(POST, "token_revoked")
    for channel in (EVENTS, RANDOM, EVENTS):
        with pytest.raises(TokenRejected, match="token_revoked"):
            await publisher.post(channel, HELLO, ID)
    assert len(slack.calls) == 1

    await client.auth_test()

    assert await publisher.post(EVENTS, HELLO, ID)


async def test_joined_channels_are_read_page_by_page_until_all_are_found(
    slack: Slack, publisher: Publisher, mocker: MockerFixture
) -> None:
    mocker.patch("bot.slack.publisher.PAGE_SIZE", 1)
    mocker.patch("bot.slack.publisher.PAGE_INTERVAL_SECONDS", 0)
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
async def test_channels_that_slack_does_not_list_are_an_error(
    publisher: Publisher, slack: Slack, code: str, kind: type[Exception]
) -> None:
    slack.refuse("users.conversations", code)

    for _ in range(2):
        with pytest.raises(kind):
            await publisher.joined_channels({EVENTS})

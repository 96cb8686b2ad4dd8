"""How the bot's words get to Slack, and what happens when they do not."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import pytest
from aiohttp import web

from bot.errors import (
    ChannelArchived,
    NotInChannel,
    SlackAccessDenied,
    SlackBusy,
    SlackError,
    SlackRejected,
    SlackUnconfirmed,
)
from bot.metrics import Metrics
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.api_client import SlackClient, open_session
from bot.slack.messages import lookup_card
from bot.slack.messages.message import Message, section
from bot.slack.payloads import Request
from bot.slack.publisher import MAX_PERSON_WAIT_SECONDS, Publisher
from bot.slack.rate_limiter import SlackRateLimiter
from bot.slack.responder import Responder
from bot.uvicorn_server import listen, url_of
from sandbox.clock import Clock
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, EVENTS, GENERAL, RANDOM, RESPONSE_URL, Fault, Slack
from sandbox.slack import Message as Shown

MESSAGE = lookup_card.notice("Launch keynote is live.")
NOWHERE = "C0NOWHERE01"


@dataclass
class Desk:
    """A Slack, the replies that go there, and the seconds for which they waited."""

    slack: Slack
    responder: Responder
    metrics: Metrics
    slept: list[float]
    rate_limiter: SlackRateLimiter

    def request(self, channel: str = GENERAL, original: Shown | None = None) -> Request:
        """Return what Ann typed, or pressed on the original."""
        path = self.slack.response_urls.issue("1.2.3", "actions" if original else "commands", channel, ANN, original)
        return Request(
            "command",
            self.slack.workspace.team.id,
            ANN,
            channel,
            f"{self.slack.base_url}{path}",
            message_ts=original.ts if original else "",
        )

    def texts(self, viewer: str | None = None, channel: str = GENERAL) -> list[str]:
        return [message.text for message in self.slack.messages(channel, viewer)]

    def calls(self) -> list[str]:
        """Return the methods that were called, with the errors that Slack answered."""
        return [f"{call.method} {call.error}" if call.error else call.method for call in self.slack.calls]

    def counted(self, method: str, outcome: str) -> float | None:
        labels = {"method": method, "outcome": outcome}
        return self.metrics.registry.get_sample_value("livestream_bot_slack_api_requests_total", labels)


@dataclass
class AdvancingClock:
    """A clock without real waits: a sleep is noted, and advances it."""

    clock: Clock
    slept: list[float]

    def now(self) -> float:
        return self.clock.now()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


@contextlib.asynccontextmanager
async def at_desk(clock: Clock, session: aiohttp.ClientSession) -> AsyncIterator[Desk]:
    metrics, slept, rate_limiter = Metrics(), list[float](), SlackRateLimiter(clock)
    waiting = AdvancingClock(clock, slept)

    async with Slack(clock).running() as slack, session:
        client = SlackClient(
            token=slack.credentials.bot_token, base_url=slack.api_url, session=session, metrics=metrics
        )
        publisher = Publisher(client, rate_limiter, waiting, metrics)
        yield Desk(
            slack,
            Responder(session, client, publisher, waiting),
            metrics,
            slept,
            rate_limiter,
        )


@pytest.fixture
async def desk(clock: Clock) -> AsyncIterator[Desk]:
    async with at_desk(clock, open_session()) as desk:
        yield desk


@pytest.fixture
async def hasty(clock: Clock) -> AsyncIterator[Desk]:
    """Yield a desk whose calls are given up after 40 ms instead of 10 s."""
    async with at_desk(clock, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.04))) as desk:
        yield desk


@contextlib.asynccontextmanager
async def answering(response: web.Response | None) -> AsyncIterator[str]:
    """Yield a URL that answers everything like this; None cuts the connection."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if response is None:
            await request.read()  # who closes with something unread resets the connection
            assert request.transport is not None
            request.transport.abort()
        return web.Response() if response is None else response

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    sock = listen()
    await web.SockSite(runner, sock).start()
    try:
        yield url_of(sock)
    finally:
        await runner.cleanup()


# To one person


async def test_answer_reaches_only_the_requester(desk: Desk) -> None:
    """It has all its blocks, and takes one request."""
    await desk.responder.respond(desk.request(), MESSAGE)

    [shown] = desk.slack.messages(GENERAL)
    assert (shown.ephemeral_to, shown.text) == (ANN, MESSAGE.text)
    assert shown.blocks[0]["text"] == MESSAGE.blocks[0]["text"]
    assert desk.texts(BEN) == []
    assert desk.calls() == ["response_url"]
    assert desk.counted("response_url", "ok") == 1


async def test_answer_needs_no_membership(desk: Desk) -> None:
    """A response_url works in channels that the bot is not in."""
    await desk.responder.respond(desk.request(BACKSTAGE), MESSAGE)

    assert desk.texts(ANN, BACKSTAGE) == [MESSAGE.text]


async def test_answer_in_place(desk: Desk) -> None:
    """An answer to a button takes the place of the message that the button was on."""
    await desk.responder.respond(desk.request(), lookup_card.notice("Before."))
    [before] = desk.slack.messages(GENERAL)

    await desk.responder.respond(desk.request(original=before), MESSAGE, replace=True)

    [after] = desk.slack.messages(GENERAL)
    assert (after.ts, after.text) == (before.ts, MESSAGE.text)


async def test_answer_leaves_the_message_with_the_button_alone(desk: Desk) -> None:
    """Unless it replaces that message."""
    await desk.responder.respond(desk.request(), lookup_card.notice("Before."))
    [before] = desk.slack.messages(GENERAL)

    await desk.responder.respond(desk.request(original=before), MESSAGE)

    assert desk.texts(ANN) == ["Before.", MESSAGE.text]


async def test_message_with_the_button_can_be_deleted(desk: Desk) -> None:
    await desk.responder.respond(desk.request(), lookup_card.notice("Before."))
    [before] = desk.slack.messages(GENERAL)

    await desk.responder.delete_original(desk.request(original=before))

    assert desk.slack.messages(GENERAL) == []


async def test_remove_original_too_late(desk: Desk) -> None:
    """A message that can no longer be deleted stays, and no other is sent."""
    await desk.responder.respond(desk.request(), lookup_card.notice("Before."))
    [before] = desk.slack.messages(GENERAL)
    request = desk.request(original=before)
    desk.slack.expire_response_urls()

    await desk.responder.delete_original(request)

    assert desk.texts(ANN) == ["Before."]


async def test_expired_response_url_falls_back_to_an_ephemeral_message(desk: Desk, log: io.StringIO) -> None:
    """The URL is not logged."""
    request = desk.request()
    desk.slack.expire_response_urls()

    await desk.responder.respond(request, MESSAGE)

    assert desk.calls() == ["response_url expired_url", "chat.postEphemeral"]
    [shown] = desk.slack.messages(GENERAL)
    assert (shown.ephemeral_to, shown.text) == (ANN, MESSAGE.text)
    assert shown.blocks[0]["text"] == MESSAGE.blocks[0]["text"]
    assert '"outcome": "expired_url"' in log.getvalue()
    assert request.response_url not in log.getvalue()


async def test_sixth_answer_falls_back_to_an_ephemeral_message(desk: Desk) -> None:
    """A response_url accepts five answers."""
    request = desk.request()

    for _ in range(6):
        await desk.responder.respond(request, MESSAGE)

    assert desk.calls()[5:] == ["response_url used_url", "chat.postEphemeral"]
    assert desk.texts(ANN) == [MESSAGE.text] * 6


async def test_asked_to_wait_a_little(desk: Desk) -> None:
    """A short wait is waited, and the answer comes the usual way."""
    desk.slack.rate_limit_next(RESPONSE_URL, retry_after=3)

    await desk.responder.respond(desk.request(), MESSAGE)

    assert desk.slept == [3.0]
    assert desk.calls() == ["response_url ratelimited", "response_url"]
    assert desk.counted("response_url", "ratelimited") == desk.counted("response_url", "ok") == 1


async def test_asked_to_wait_twice(desk: Desk) -> None:
    """It is waited once; the person gets the answer the other way then."""
    desk.slack.rate_limit_next(RESPONSE_URL, retry_after=1, times=2)

    await desk.responder.respond(desk.request(), MESSAGE)

    assert desk.slept == [1.0]
    assert desk.calls()[2:] == ["chat.postEphemeral"]


async def test_asked_to_wait_long(desk: Desk) -> None:
    """A long wait is not waited."""
    desk.slack.rate_limit_next(RESPONSE_URL, retry_after=int(MAX_PERSON_WAIT_SECONDS) + 1)

    await desk.responder.respond(desk.request(), MESSAGE)

    assert desk.slept == []
    assert desk.calls() == ["response_url ratelimited", "chat.postEphemeral"]


async def test_both_asked_to_wait(desk: Desk) -> None:
    """The second way is as patient as the first."""
    desk.slack.rate_limit_next(RESPONSE_URL, retry_after=60)
    desk.slack.rate_limit_next("chat.postEphemeral", retry_after=2)

    await desk.responder.respond(desk.request(), MESSAGE)

    assert desk.slept == [2.0]
    assert desk.texts(ANN) == [MESSAGE.text]


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (web.Response(status=404, text="<html>not found</html>"), '"http_404"'),
        (web.Response(status=404, text="używany"), '"http_404"'),
        (web.Response(status=404, text="no_such_url_" * 20), '"http_404"'),
        (web.Response(status=404, body=b"\xff"), '"http_404"'),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), '"http_302"'),
        (web.Response(status=429), '"ratelimited"'),
        (web.Response(status=429, headers={"Retry-After": "soon"}), '"ratelimited"'),
        (web.Response(status=429, headers={"Retry-After": "1.5"}), '"ratelimited"'),
        (web.Response(status=429, headers={"Retry-After": "-1"}), '"ratelimited"'),
        (web.Response(status=429, headers={"Retry-After": "²"}), '"ratelimited"'),
        (web.Response(text='{"ok": false, "error": "expired_url"}'), '"expired_url"'),
        (web.Response(text='{"ok": false}'), '"not_ok"'),
        (web.Response(text="<html>Please log in</html>"), '"http_200"'),
    ],
)
async def test_unexpected_responses_fall_back_to_an_ephemeral_message(
    desk: Desk, log: io.StringIO, response: web.Response | None, outcome: str
) -> None:
    """The log says why."""
    async with answering(response) as url:
        await desk.responder.respond(replace(desk.request(), response_url=url), MESSAGE)

    assert desk.texts(ANN) == [MESSAGE.text]
    assert f'"outcome": {outcome}' in log.getvalue()
    assert desk.slept == []


@pytest.mark.parametrize("url", ["", "hooks.slack.com", "ftp://hooks.slack.com/x", "http://[", "http://127.0.0.1:1/x"])
async def test_unusable_response_url_falls_back_to_an_ephemeral_message(desk: Desk, url: str) -> None:
    await desk.responder.respond(replace(desk.request(), response_url=url), MESSAGE)

    assert desk.texts(ANN) == [MESSAGE.text]
    assert desk.counted("response_url", "failed") == (2 if url.startswith("http://127") else 1)


@pytest.mark.parametrize("body", ["ok", "", '{"ok": true}'])
async def test_accepted_answer_is_not_sent_twice(desk: Desk, body: str) -> None:
    """These are the bodies with which Slack accepts an answer."""
    async with answering(web.Response(text=body)) as url:
        await desk.responder.respond(replace(desk.request(), response_url=url), MESSAGE)

    assert desk.calls() == []


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.HANG])
async def test_unconfirmed_answer_is_not_said_twice(hasty: Desk, log: io.StringIO, fault: Fault) -> None:
    """Slack may show it, so there is no second answer and no warning."""
    hasty.slack.fault = fault

    await hasty.responder.respond(hasty.request(), MESSAGE)

    assert hasty.texts(ANN) in ([], [MESSAGE.text])
    assert [call for call in hasty.calls() if call.startswith("chat.")] == []
    assert '"level": "warning"' not in log.getvalue()
    assert '"event": "reply_unconfirmed"' in log.getvalue()


@pytest.mark.parametrize(
    "response",
    [
        web.Response(status=500, text="ok"),
        web.Response(status=502, text="<html>Bad gateway</html>"),
        web.Response(status=503, text="no_service"),
        web.Response(status=500, text='{"ok": false, "error": "internal_error"}'),
        web.Response(text='{"ok": false, "error": "fatal_error"}'),
        web.Response(text="internal_error"),
        web.Response(status=400, text="service_unavailable"),
    ],
    ids=lambda response: f"{response.status} {response.text[:20]}",
)
async def test_answer_that_slack_failed_to_confirm_is_not_said_twice(
    desk: Desk, log: io.StringIO, response: web.Response
) -> None:
    """A server error does not mean that nothing was shown."""
    async with answering(response) as url:
        await desk.responder.respond(replace(desk.request(), response_url=url), MESSAGE)

    assert desk.calls() == []
    assert desk.texts(ANN) == []
    assert '"event": "reply_unconfirmed"' in log.getvalue()


async def test_unconfirmed_replacement_is_repeated(desk: Desk) -> None:
    """It only says the same in the same place."""
    await desk.responder.respond(desk.request(), MESSAGE)
    [original] = desk.slack.messages(GENERAL)
    desk.slack.drop_after_accepting_next(RESPONSE_URL)

    await desk.responder.respond(desk.request(original=original), lookup_card.notice("Newer."), replace=True)

    assert desk.calls()[1:] == ["response_url drop", "response_url"]
    assert desk.texts(ANN) == ["Newer."]


async def test_replacement_after_a_server_error_is_repeated(desk: Desk) -> None:
    """As after no answer at all: it only says the same in the same place."""
    await desk.responder.respond(desk.request(), MESSAGE)
    [original] = desk.slack.messages(GENERAL)
    desk.slack.refuse_next(RESPONSE_URL, "internal_error")

    await desk.responder.respond(desk.request(original=original), lookup_card.notice("Newer."), replace=True)

    assert desk.calls()[1:] == ["response_url internal_error", "response_url"]
    assert desk.texts(ANN) == ["Newer."]


async def test_blocks_that_slack_refuses(desk: Desk) -> None:
    """The text alone arrives, as with cards."""
    await desk.responder.respond(desk.request(), Message("Launch keynote is live.", (section("x" * 3_001),)))

    assert desk.texts(ANN) == ["Launch keynote is live."]
    assert [call.split()[0] for call in desk.calls()] == ["response_url", "response_url"]


@pytest.mark.parametrize("code", ["invalid_blocks", "invalid_blocks_format", "msg_too_long"])
async def test_public_blocks_that_slack_refuses(desk: Desk, code: str) -> None:
    """The same for what all can see, posted and edited."""
    desk.slack.refuse_next("chat.postMessage", code)
    await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")
    [shown] = desk.slack.messages(EVENTS)
    desk.slack.refuse_next("chat.update", code)

    await desk.responder.edit(EVENTS, shown.ts, Message("Newer.", MESSAGE.blocks))

    assert desk.texts(channel=EVENTS) == ["Newer."]


async def test_slack_is_out_of_order(desk: Desk, log: io.StringIO) -> None:
    """When both ways are barred that is logged once, without the answer, and nothing is raised."""
    desk.slack.fault = Fault.RATE_LIMITED

    await desk.responder.respond(desk.request(), MESSAGE)

    assert_lost_once(log)


def assert_lost_once(log: io.StringIO) -> None:
    assert log.getvalue().count('"event": "reply_failed"') == 1
    assert MESSAGE.text not in log.getvalue()
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("gone", ["delete_channel", "archive"])
async def test_channel_is_gone(desk: Desk, log: io.StringIO, gone: str) -> None:
    """If the channel was deleted or archived in the meantime, the answer is lost, and that is logged."""
    request = desk.request()
    getattr(desk.slack, gone)(GENERAL)

    await desk.responder.respond(request, MESSAGE)

    assert [call.split()[0] for call in desk.calls()] == ["response_url", "chat.postEphemeral"]
    assert '"event": "reply_failed"' in log.getvalue()


# To a channel


async def test_post_is_public_and_has_no_link_previews(desk: Desk) -> None:
    await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    [shown] = desk.slack.messages(EVENTS, BEN)
    assert (shown.author, shown.text, shown.ephemeral_to) == (BOT, MESSAGE.text, None)
    assert shown.blocks[0]["text"] == MESSAGE.blocks[0]["text"]
    assert '"unfurl_links": false' in desk.slack.sent[-1].body


@pytest.mark.parametrize("honoured", [True, False])
async def test_same_post_twice(desk: Desk, honoured: bool) -> None:
    """The same post sent again, as by a double click, appears once wherever Slack honors its ID."""
    desk.slack.honors_client_msg_id = honoured

    for _ in range(2):
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert len(desk.texts(channel=EVENTS)) == (1 if honoured else 2)


async def test_equal_posts_with_different_ids_both_appear(desk: Desk) -> None:
    for client_msg_id in ("one", "two"):
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id=client_msg_id)

    assert desk.texts(channel=EVENTS) == [MESSAGE.text] * 2


@pytest.mark.parametrize(
    ("channel", "code"), [(RANDOM, "not_in_channel"), (BACKSTAGE, "channel_not_found"), (NOWHERE, "channel_not_found")]
)
async def test_no_way_in(desk: Desk, channel: str, code: str) -> None:
    """In a channel that the bot is not in, the error asks for an invitation; Slack hides private channels."""
    with pytest.raises(NotInChannel) as raised:
        await desk.responder.post(channel, MESSAGE, client_msg_id="one")

    assert raised.value.detail == code
    assert desk.calls() == [f"chat.postMessage {code}"]


async def test_post_in_an_archived_channel_fails(desk: Desk) -> None:
    desk.slack.archive(EVENTS)

    with pytest.raises(ChannelArchived):
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("account_inactive", SlackAccessDenied),
        ("missing_scope", SlackAccessDenied),
        ("accesslimited", SlackAccessDenied),
        ("ekm_access_denied", SlackRejected),
        ("restricted_action", SlackRejected),
        ("rate_limited", SlackBusy),
        ("internal_error", SlackUnconfirmed),
        ("fatal_error", SlackUnconfirmed),
        ("service_unavailable", SlackUnconfirmed),
        ("request_timeout", SlackUnconfirmed),
    ],
)
async def test_slacks_code_selects_the_persons_message(desk: Desk, code: str, error: type[SlackError]) -> None:
    desk.slack.refuse_next("chat.postMessage", code)

    with pytest.raises(SlackError) as raised:
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert (type(raised.value), raised.value.detail) == (error, code)
    assert desk.calls() == [f"chat.postMessage {code}"]


async def test_post_after_a_little(desk: Desk) -> None:
    """A short wait is waited: Slack has posted nothing when it asks for one."""
    desk.slack.rate_limit_next("chat.postMessage", retry_after=2)

    await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert desk.slept == [2.0]
    assert desk.texts(channel=EVENTS) == [MESSAGE.text]


async def test_what_people_cause_waits_for_what_the_bot_posts_by_itself(desk: Desk) -> None:
    """A short wait is waited; a long one is for the person to decide, and Slack is not asked."""
    ts = (await posted(desk)).ts
    for _ in range(21):
        assert desk.rate_limiter.acquire_edit() == 0

    await desk.responder.edit(EVENTS, ts, Message("one"))
    assert len(desk.slept) == 1
    for _ in range(15):
        assert desk.rate_limiter.acquire_edit() == 0
    calls = desk.calls()
    with pytest.raises(SlackBusy):
        await desk.responder.edit(EVENTS, ts, Message("two"))

    assert desk.calls() == calls


async def test_a_rate_limit_that_a_person_meets_holds_for_what_the_bot_posts_by_itself(desk: Desk) -> None:
    desk.slack.rate_limit_next("chat.postMessage", retry_after=20)

    with pytest.raises(SlackBusy):
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert desk.rate_limiter.acquire_post(EVENTS) == pytest.approx(20, abs=0.1)


async def test_the_same_content_within_a_moment_is_one_edit(desk: Desk) -> None:
    ts = (await posted(desk)).ts
    before = len(desk.calls())

    for _ in range(30):
        await desk.responder.edit(EVENTS, ts, Message("now"))
    assert desk.calls()[before:] == ["chat.update"]
    await desk.responder.edit(EVENTS, ts, Message("later"))
    await desk.responder.edit(EVENTS, ts, Message("now"))
    assert desk.calls()[before:] == ["chat.update"] * 3


async def test_a_crowd_that_shares_an_edit_shares_its_error(desk: Desk) -> None:
    """If Slack is slow to refuse, people do not wait for each other's attempts."""
    ts = (await posted(desk)).ts
    before = len(desk.calls())
    desk.slack.refuse("chat.update", "not_in_channel")

    edits = [desk.responder.edit(EVENTS, ts, Message("now")) for _ in range(30)]
    errors = await asyncio.gather(*edits, return_exceptions=True)

    assert [type(error) for error in errors] == [NotInChannel] * 30
    assert desk.calls()[before:] == ["chat.update not_in_channel"]


async def test_the_same_content_is_written_again_after_a_failure_and_after_a_while(desk: Desk, clock: Clock) -> None:
    ts = (await posted(desk)).ts
    before = len(desk.calls())
    desk.slack.refuse_next("chat.update", "not_in_channel")
    with pytest.raises(NotInChannel):
        await desk.responder.edit(EVENTS, ts, Message("now"))

    await desk.responder.edit(EVENTS, ts, Message("now"))
    clock.advance(ANSWER_SECONDS + 0.1)
    await desk.responder.edit(EVENTS, ts, Message("now"))

    assert desk.calls()[before:] == ["chat.update not_in_channel", "chat.update", "chat.update"]


@pytest.mark.parametrize(("retry_after", "times", "slept"), [(6, 1, []), (600, 1, []), (1, 2, [1.0])])
async def test_post_would_take_long(desk: Desk, retry_after: int, times: int, slept: list[float]) -> None:
    """A long wait, or a second one, is for the person to decide."""
    desk.slack.rate_limit_next("chat.postMessage", retry_after=retry_after, times=times)

    with pytest.raises(SlackBusy):
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert desk.slept == slept
    assert desk.texts(channel=EVENTS) == []


@pytest.mark.parametrize(("fault", "texts"), [(Fault.DROP, [MESSAGE.text]), (Fault.SERVER_ERROR, [])])
async def test_unconfirmed_post_is_not_repeated(desk: Desk, fault: Fault, texts: list[str]) -> None:
    """The answer asks the person to check the channel."""
    desk.slack.fault = fault

    with pytest.raises(SlackUnconfirmed):
        await desk.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert desk.calls() == [f"chat.postMessage {fault.value}"]
    assert desk.texts(channel=EVENTS) == texts


async def test_no_answer_in_time(hasty: Desk) -> None:
    """A post that Slack does not answer in time may be there: it is not sent again either."""
    hasty.slack.fault = Fault.HANG

    with pytest.raises(SlackUnconfirmed) as raised:
        await hasty.responder.post(EVENTS, MESSAGE, client_msg_id="one")

    assert "Timeout" in raised.value.detail
    assert len(hasty.calls()) <= 1


# A public card


async def posted(desk: Desk) -> Shown:
    await desk.responder.post(EVENTS, lookup_card.notice("Before."), client_msg_id="one")
    [shown] = desk.slack.messages(EVENTS)
    return shown


async def test_public_card_changes_in_place(desk: Desk) -> None:
    before = await posted(desk)

    await desk.responder.edit(EVENTS, before.ts, MESSAGE)

    [after] = desk.slack.messages(EVENTS, BEN)
    assert (after.ts, after.text) == (before.ts, MESSAGE.text)
    assert after.blocks[0]["text"] == MESSAGE.blocks[0]["text"]


async def test_longest_card_fits_in_an_edit(desk: Desk) -> None:
    """An edit accepts less text than a post."""
    before = await posted(desk)
    longest = Message("&" * 4_000, MESSAGE.blocks)

    await desk.responder.edit(EVENTS, before.ts, longest)

    assert desk.texts(channel=EVENTS) == [longest.text]


async def test_replace_in_an_archived_channel(desk: Desk) -> None:
    """Slack has another word for an edit in an archived channel, which means the same."""
    before = await posted(desk)
    desk.slack.archive(EVENTS)

    with pytest.raises(ChannelArchived):
        await desk.responder.edit(EVENTS, before.ts, MESSAGE)


async def test_replace_what_is_gone(desk: Desk) -> None:
    """A deleted card is not changed."""
    before = await posted(desk)
    desk.slack.delete_message(before)

    with pytest.raises(SlackRejected) as raised:
        await desk.responder.edit(EVENTS, before.ts, MESSAGE)

    assert raised.value.detail == "message_not_found"

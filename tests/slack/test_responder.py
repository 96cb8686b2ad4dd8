"""How the bot's words get to Slack, and what happens when they do not."""

import asyncio
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from bot.errors import (
    ChannelArchived,
    DirectMessageNotSupported,
    NotInChannel,
    SlackAccessDenied,
    SlackBusy,
    SlackError,
    SlackRejected,
    SlackUnconfirmed,
)
from bot.metrics import Metrics
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.messages import lookup_card
from bot.slack.messages.message import Message, section
from bot.slack.payloads import Request
from bot.slack.publisher import MAX_PERSON_WAIT_SECONDS, Publisher
from bot.slack.rate_limiter import SlackRateLimiter
from bot.slack.responder import SLOW_AFTER_SECONDS, STILL_CHECKING, Responder
from sandbox.clock import Clock
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, EVENTS, GENERAL, RANDOM, RESPONSE_URL, Fault, Slack
from sandbox.slack import Message as Shown
from tests.conftest import PATIENCE
from tests.slack.helpers import answering, counts, make_client

MESSAGE, NEWER = lookup_card.notice("Launch keynote is live."), lookup_card.notice("Newer.")
EPHEMERAL, POST, EDIT = "chat.postEphemeral", "chat.postMessage", "chat.update"
TOO_LONG = int(MAX_PERSON_WAIT_SECONDS) + 1


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


class Desk:
    """A Slack, the replies that go there, and the seconds for which they waited."""

    def __init__(
        self,
        slack: Slack,
        session: aiohttp.ClientSession,
        metrics: Metrics,
        clock: Clock,
        slow_after: float = SLOW_AFTER_SECONDS,
    ) -> None:
        client = make_client(slack.api_url, session, metrics)
        self.slack = slack
        self.slept: list[float] = []
        self.rate_limiter = SlackRateLimiter(clock)
        waiting = AdvancingClock(clock, self.slept)
        publisher = Publisher(client, self.rate_limiter, waiting, metrics)
        self.responder = Responder(session, client, publisher, waiting, slow_after)

    def request(self, channel: str = GENERAL, original: Shown | None = None) -> Request:
        """Return what Ann typed, or pressed on the original."""
        path = self.slack.response_urls.issue("1.2.3", "actions" if original else "commands", channel, ANN, original)
        team, url = self.slack.workspace.team.id, f"{self.slack.base_url}{path}"
        return Request("command", team, ANN, channel, url, message_ts=original.ts if original else "")

    async def post(self, client_msg_id: str = "one") -> None:
        await self.responder.post(EVENTS, MESSAGE, client_msg_id=client_msg_id)

    async def edit(self, card: Shown, text: str) -> None:
        await self.responder.edit(EVENTS, card.ts, Message(text))

    def texts(self, viewer: str | None = None, channel: str = GENERAL) -> list[str]:
        return [message.text for message in self.slack.messages(channel, viewer)]

    def calls(self) -> list[str]:
        """Return the methods that were called, with the errors that Slack answered."""
        return [f"{call.method} {call.error}" if call.error else call.method for call in self.slack.calls]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0, speed=0)


@pytest.fixture
def desk(slack: Slack, session: aiohttp.ClientSession, metrics: Metrics, clock: Clock) -> Desk:
    return Desk(slack, session, metrics, clock)


@pytest.fixture
def hasty_desk(slack: Slack, hasty: aiohttp.ClientSession, metrics: Metrics, clock: Clock) -> Desk:
    return Desk(slack, hasty, metrics, clock)


# To one person


@pytest.fixture
async def original(desk: Desk) -> Shown:
    """Return a private answer whose button Ann presses."""
    await desk.responder.respond(desk.request(), lookup_card.notice("Before."))
    [shown] = desk.slack.messages(GENERAL)
    desk.slack.calls.clear()
    return shown


async def test_answer_reaches_only_the_requester(desk: Desk, metrics: Metrics) -> None:
    """It has all its blocks, and takes one request."""
    await desk.responder.respond(desk.request(), MESSAGE)

    [shown] = desk.slack.messages(GENERAL)
    assert (shown.ephemeral_to, shown.text) == (ANN, MESSAGE.text)
    assert shown.blocks[0]["text"] == MESSAGE.blocks[0]["text"]
    assert desk.texts(BEN) == []
    assert desk.calls() == [RESPONSE_URL]
    assert counts(metrics.slack_calls) == {(RESPONSE_URL, "ok"): 1}


async def test_answer_needs_no_membership(desk: Desk) -> None:
    """A response_url works in channels that the bot is not in."""
    await desk.responder.respond(desk.request(BACKSTAGE), MESSAGE)

    assert desk.texts(ANN, BACKSTAGE) == [MESSAGE.text]


@pytest.mark.parametrize(("replaces", "texts"), [(True, ["Newer."]), (False, ["Before.", "Newer."])])
async def test_answer_to_a_click_takes_the_place_of_its_message_only_if_it_replaces_it(
    desk: Desk, original: Shown, replaces: bool, texts: list[str]
) -> None:
    await desk.responder.respond(desk.request(original=original), NEWER, replace=replaces)

    assert desk.slack.messages(GENERAL)[0].ts == original.ts
    assert desk.texts(ANN) == texts


@pytest.mark.parametrize(("expired", "texts"), [(False, []), (True, ["Before."])])
async def test_clicked_message_is_deleted_unless_it_is_too_late(
    desk: Desk, original: Shown, expired: bool, texts: list[str]
) -> None:
    """Then it stays, and no other is sent."""
    request = desk.request(original=original)
    if expired:
        desk.slack.expire_response_urls()

    await desk.responder.delete_original(request)

    assert desk.texts(ANN) == texts


def limited(retry_after: int, times: int = 1, *, ephemeral_too: int = 0) -> Callable[[Slack], None]:
    def arrange(slack: Slack) -> None:
        slack.rate_limit_next(RESPONSE_URL, retry_after, times)
        if ephemeral_too:
            slack.rate_limit_next(EPHEMERAL, ephemeral_too)

    return arrange


LIMITED, EPHEMERAL_LIMITED = f"{RESPONSE_URL} ratelimited", f"{EPHEMERAL} ratelimited"


@pytest.mark.parametrize(
    ("arrange", "calls", "slept"),
    [
        pytest.param(Slack.expire_response_urls, [f"{RESPONSE_URL} expired_url", EPHEMERAL], [], id="expired URL"),
        pytest.param(limited(3), [LIMITED, RESPONSE_URL], [3.0], id="short wait is waited"),
        pytest.param(limited(1, 2), [LIMITED, LIMITED, EPHEMERAL], [1.0], id="second wait is not waited"),
        pytest.param(limited(TOO_LONG), [LIMITED, EPHEMERAL], [], id="long wait is not waited"),
        pytest.param(
            limited(60, ephemeral_too=2), [LIMITED, EPHEMERAL_LIMITED, EPHEMERAL], [2.0], id="fallback waits as well"
        ),
    ],
)
async def test_answer_arrives_though_slack_does_not_take_it_at_once(
    desk: Desk,
    metrics: Metrics,
    log: io.StringIO,
    arrange: Callable[[Slack], None],
    calls: list[str],
    slept: list[float],
) -> None:
    """The fallback is an ephemeral message. The log says why, without the URL."""
    request = desk.request()
    arrange(desk.slack)

    await desk.responder.respond(request, MESSAGE)

    [shown] = desk.slack.messages(GENERAL)
    assert (shown.ephemeral_to, shown.text) == (ANN, MESSAGE.text)
    assert shown.blocks[0]["text"] == MESSAGE.blocks[0]["text"]
    assert (desk.calls(), desk.slept) == (calls, slept)
    assert counts(metrics.slack_calls).get((RESPONSE_URL, "ratelimited"), 0) == calls.count(LIMITED)
    assert counts(metrics.slack_calls).get((RESPONSE_URL, "ok"), 0) == calls.count(RESPONSE_URL)
    assert (f'"outcome": "{calls[0].split()[1]}"' in log.getvalue()) == (EPHEMERAL in calls)
    assert request.response_url not in log.getvalue()


async def test_sixth_answer_falls_back_to_an_ephemeral_message(desk: Desk) -> None:
    """A response_url accepts five answers."""
    request = desk.request()

    for _ in range(6):
        await desk.responder.respond(request, MESSAGE)

    assert desk.calls()[5:] == [f"{RESPONSE_URL} used_url", EPHEMERAL]
    assert desk.texts(ANN) == [MESSAGE.text] * 6


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ({"status": 404, "text": "<html>not found</html>"}, "http_404"),
        ({"status": 404, "text": "używany"}, "http_404"),
        ({"status": 404, "text": "no_such_url_" * 20}, "http_404"),
        ({"status": 404, "body": b"\xff"}, "http_404"),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, "http_302"),
        ({"status": 429}, "ratelimited"),
        ({"status": 429, "headers": {"Retry-After": "soon"}}, "ratelimited"),
        ({"status": 429, "headers": {"Retry-After": "1.5"}}, "ratelimited"),
        ({"status": 429, "headers": {"Retry-After": "-1"}}, "ratelimited"),
        ({"status": 429, "headers": {"Retry-After": "²"}}, "ratelimited"),
        ({"text": '{"ok": false, "error": "expired_url"}'}, "expired_url"),
        ({"text": '{"ok": false}'}, "not_ok"),
        ({"text": "<html>Please log in</html>"}, "http_200"),
    ],
)
async def test_unexpected_responses_fall_back_to_an_ephemeral_message(
    desk: Desk, log: io.StringIO, response: dict[str, Any], outcome: str
) -> None:
    """The log says why."""
    async with answering(**response) as stranger:
        await desk.responder.respond(replace(desk.request(), response_url=stranger.url), MESSAGE)

    assert desk.texts(ANN) == [MESSAGE.text]
    assert f'"outcome": "{outcome}"' in log.getvalue()
    assert desk.slept == []


@pytest.mark.parametrize("url", ["", "hooks.slack.com", "ftp://hooks.slack.com/x", "http://[", "http://127.0.0.1:1/x"])
async def test_unusable_response_url_falls_back_to_an_ephemeral_message(desk: Desk, metrics: Metrics, url: str) -> None:
    await desk.responder.respond(replace(desk.request(), response_url=url), MESSAGE)

    assert desk.texts(ANN) == [MESSAGE.text]
    assert counts(metrics.slack_calls)[RESPONSE_URL, "failed"] == (2 if url.startswith("http://127") else 1)


@pytest.mark.parametrize(
    ("status", "text", "confirmed"),
    [
        (200, "ok", True),
        (200, "", True),
        (200, '{"ok": true}', True),
        (500, "ok", False),
        (502, "<html>Bad gateway</html>", False),
        (503, "no_service", False),
        (500, '{"ok": false, "error": "internal_error"}', False),
        (200, '{"ok": false, "error": "fatal_error"}', False),
        (200, "internal_error", False),
        (400, "service_unavailable", False),
    ],
)
async def test_answer_that_slack_may_show_is_not_sent_twice(
    desk: Desk, log: io.StringIO, status: int, text: str, confirmed: bool
) -> None:
    """A server error does not mean that nothing was shown."""
    async with answering(status=status, text=text) as stranger:
        await desk.responder.respond(replace(desk.request(), response_url=stranger.url), MESSAGE)

    assert len(stranger.connections) == 1
    assert (desk.calls(), desk.texts(ANN)) == ([], [])
    assert ('"event": "reply_unconfirmed"' in log.getvalue()) is not confirmed


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.HANG])
async def test_answer_without_a_response_is_not_sent_twice(hasty_desk: Desk, log: io.StringIO, fault: Fault) -> None:
    """Slack may show it, so there is no second answer and no warning."""
    hasty_desk.slack.fault = fault

    await hasty_desk.responder.respond(hasty_desk.request(), MESSAGE)

    assert hasty_desk.texts(ANN) in ([], [MESSAGE.text])
    assert [call for call in hasty_desk.calls() if call.startswith("chat.")] == []
    assert '"level": "warning"' not in log.getvalue()
    assert '"event": "reply_unconfirmed"' in log.getvalue()


@pytest.mark.parametrize("problem", ["drop", "internal_error"])
async def test_unconfirmed_replacement_is_repeated(desk: Desk, original: Shown, problem: str) -> None:
    """It only says the same in the same place."""
    if problem == "drop":
        desk.slack.drop_after_accepting_next(RESPONSE_URL)
    else:
        desk.slack.refuse_next(RESPONSE_URL, problem)

    await desk.responder.respond(desk.request(original=original), NEWER, replace=True)

    assert desk.calls() == [f"{RESPONSE_URL} {problem}", RESPONSE_URL]
    assert desk.texts(ANN) == ["Newer."]


async def test_text_arrives_alone_if_slack_rejects_the_blocks(desk: Desk) -> None:
    await desk.responder.respond(desk.request(), Message(MESSAGE.text, (section("x" * 3_001),)))

    assert desk.texts(ANN) == [MESSAGE.text]
    assert [call.split()[0] for call in desk.calls()] == [RESPONSE_URL, RESPONSE_URL]


@pytest.mark.parametrize("code", ["", "invalid_blocks"])
async def test_note_of_a_slow_lookup_arrives_also_without_its_blocks(
    slack: Slack, session: aiohttp.ClientSession, metrics: Metrics, clock: Clock, code: str
) -> None:
    desk = Desk(slack, session, metrics, clock, slow_after=0)
    if code:
        slack.refuse_next(RESPONSE_URL, code)

    async with desk.responder.note_if_slow(desk.request()):
        note = await slack.wait_for_message(lambda message: message.ephemeral_to == ANN, timeout=PATIENCE)

    assert note.text == STILL_CHECKING
    assert bool(note.blocks) is not bool(code)
    assert desk.texts(ANN) == [STILL_CHECKING]


def rate_limit_everything(slack: Slack) -> None:
    slack.fault = Fault.RATE_LIMITED


def delete_the_channel(slack: Slack) -> None:
    slack.delete_channel(GENERAL)


def archive_the_channel(slack: Slack) -> None:
    slack.archive(GENERAL)


@pytest.mark.parametrize(
    ("arrange", "attempts"), [(rate_limit_everything, 2), (delete_the_channel, 1), (archive_the_channel, 1)]
)
async def test_answer_that_cannot_arrive_is_logged_once_without_its_text(
    desk: Desk, log: io.StringIO, arrange: Callable[[Slack], None], attempts: int
) -> None:
    """Nothing is raised."""
    request = desk.request()
    arrange(desk.slack)

    await desk.responder.respond(request, MESSAGE)

    assert [call.split()[0] for call in desk.calls()] == [RESPONSE_URL] * attempts + [EPHEMERAL] * attempts
    assert log.getvalue().count('"event": "reply_failed"') == 1
    assert MESSAGE.text not in log.getvalue()
    assert '"level": "error"' not in log.getvalue()
    assert "Traceback" not in log.getvalue()


# To a channel


@pytest.fixture
async def card(desk: Desk) -> Shown:
    """Return a public card that the bot has posted."""
    await desk.responder.post(EVENTS, lookup_card.notice("Before."), client_msg_id="card")
    [shown] = desk.slack.messages(EVENTS)
    desk.slack.calls.clear()
    return shown


async def test_post_is_public_and_has_no_link_previews(desk: Desk) -> None:
    await desk.post()

    [shown] = desk.slack.messages(EVENTS, BEN)
    assert (shown.author, shown.text, shown.ephemeral_to) == (BOT, MESSAGE.text, None)
    assert shown.blocks[0]["text"] == MESSAGE.blocks[0]["text"]
    assert '"unfurl_links": false' in desk.slack.sent[-1].body


@pytest.mark.parametrize(
    ("honored", "second", "shown"),
    [
        pytest.param(True, "one", 1, id="the same post twice"),
        pytest.param(False, "one", 2, id="the same post twice, where Slack ignores its ID"),
        pytest.param(True, "two", 2, id="two equal posts"),
    ],
)
async def test_post_appears_once_for_each_id(desk: Desk, honored: bool, second: str, shown: int) -> None:
    """A double click posts once wherever Slack honors the post's ID."""
    desk.slack.honors_client_msg_id = honored

    await desk.post("one")
    await desk.post(second)

    assert desk.texts(channel=EVENTS) == [MESSAGE.text] * shown


@pytest.mark.parametrize(
    ("channel", "code", "error"),
    [
        (RANDOM, "not_in_channel", NotInChannel),
        (BACKSTAGE, "channel_not_found", NotInChannel),
        ("C0NOWHERE01", "channel_not_found", NotInChannel),
        ("D0NOWHERE01", "channel_not_found", DirectMessageNotSupported),
        (EVENTS, "is_archived", ChannelArchived),
        (EVENTS, "account_inactive", SlackAccessDenied),
        (EVENTS, "missing_scope", SlackAccessDenied),
        (EVENTS, "accesslimited", SlackAccessDenied),
        (EVENTS, "ekm_access_denied", SlackRejected),
        (EVENTS, "restricted_action", SlackRejected),
        (EVENTS, "rate_limited", SlackBusy),
        (EVENTS, "internal_error", SlackUnconfirmed),
        (EVENTS, "fatal_error", SlackUnconfirmed),
        (EVENTS, "service_unavailable", SlackUnconfirmed),
        (EVENTS, "request_timeout", SlackUnconfirmed),
    ],
)
async def test_slacks_code_selects_the_persons_message(
    desk: Desk, channel: str, code: str, error: type[SlackError]
) -> None:
    """Where the bot can be invited, the message asks for that; Slack hides private channels."""
    if channel == EVENTS:
        desk.slack.refuse_next(POST, code)

    with pytest.raises(SlackError) as raised:
        await desk.responder.post(channel, MESSAGE, client_msg_id="one")

    assert (type(raised.value), raised.value.detail) == (error, code)
    assert desk.calls() == [f"{POST} {code}"]


@pytest.mark.parametrize(
    ("retry_after", "times", "slept", "is_posted"), [(2, 1, [2.0], True), (1, 2, [1.0], False), (6, 1, [], False)]
)
async def test_post_waits_out_one_short_rate_limit(
    desk: Desk, retry_after: int, times: int, slept: list[float], is_posted: bool
) -> None:
    """Slack has posted nothing when it asks for a wait. A long one, or a second one, is for the person to decide."""
    desk.slack.rate_limit_next(POST, retry_after, times)

    with contextlib.nullcontext() if is_posted else pytest.raises(SlackBusy):
        await desk.post()

    assert desk.slept == slept
    assert desk.texts(channel=EVENTS) == [MESSAGE.text] * is_posted


async def test_rate_limit_that_a_person_meets_holds_for_what_the_bot_posts_by_itself(desk: Desk) -> None:
    desk.slack.rate_limit_next(POST, retry_after=600)

    with pytest.raises(SlackBusy):
        await desk.post()

    assert desk.slept == []
    assert desk.rate_limiter.acquire_post(EVENTS) == pytest.approx(600)


async def test_what_people_cause_waits_for_what_the_bot_posts_by_itself(desk: Desk, card: Shown) -> None:
    """A short wait is waited; a long one is for the person to decide, and Slack is not asked."""
    for _ in range(21):
        assert desk.rate_limiter.acquire_edit() == 0

    await desk.edit(card, "one")
    assert len(desk.slept) == 1
    for _ in range(15):
        assert desk.rate_limiter.acquire_edit() == 0
    with pytest.raises(SlackBusy):
        await desk.edit(card, "two")

    assert desk.calls() == [EDIT]


@pytest.mark.parametrize(("fault", "texts"), [(Fault.DROP, [MESSAGE.text]), (Fault.SERVER_ERROR, [])])
async def test_unconfirmed_post_is_not_repeated(desk: Desk, fault: Fault, texts: list[str]) -> None:
    """The answer asks the person to check the channel."""
    desk.slack.fault = fault

    with pytest.raises(SlackUnconfirmed):
        await desk.post()

    assert desk.calls() == [f"{POST} {fault.value}"]
    assert desk.texts(channel=EVENTS) == texts


async def test_post_that_is_not_answered_in_time_is_not_repeated(hasty_desk: Desk) -> None:
    hasty_desk.slack.fault = Fault.HANG

    with pytest.raises(SlackUnconfirmed) as raised:
        await hasty_desk.post()

    assert "Timeout" in raised.value.detail
    assert len(hasty_desk.calls()) <= 1


async def test_same_content_within_a_moment_is_one_edit(desk: Desk, card: Shown) -> None:
    for _ in range(30):
        await desk.edit(card, "now")
    assert desk.calls() == [EDIT]
    await desk.edit(card, "later")
    await desk.edit(card, "now")

    assert desk.calls() == [EDIT] * 3


async def test_same_content_is_written_again_after_a_failure_and_after_a_while(
    desk: Desk, card: Shown, clock: Clock
) -> None:
    desk.slack.refuse_next(EDIT, "not_in_channel")
    with pytest.raises(NotInChannel):
        await desk.edit(card, "now")

    await desk.edit(card, "now")
    clock.advance(ANSWER_SECONDS + 0.1)
    await desk.edit(card, "now")

    assert desk.calls() == [f"{EDIT} not_in_channel", EDIT, EDIT]


async def test_crowd_that_shares_an_edit_shares_its_error(desk: Desk, card: Shown) -> None:
    """If Slack is slow to refuse, people do not wait for each other's attempts."""
    desk.slack.refuse(EDIT, "not_in_channel")

    errors = await asyncio.gather(*(desk.edit(card, "now") for _ in range(30)), return_exceptions=True)

    assert [type(error) for error in errors] == [NotInChannel] * 30
    assert desk.calls() == [f"{EDIT} not_in_channel"]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(MESSAGE, id="a card"),
        pytest.param(Message("&" * 4_000, MESSAGE.blocks), id="the longest card, of which an edit takes less"),
    ],
)
async def test_public_card_changes_in_place(desk: Desk, card: Shown, message: Message) -> None:
    await desk.responder.edit(EVENTS, card.ts, message)

    [after] = desk.slack.messages(EVENTS, BEN)
    assert (after.ts, after.text) == (card.ts, message.text)
    assert after.blocks[0]["text"] == MESSAGE.blocks[0]["text"]


async def test_card_in_an_archived_channel_cannot_be_edited(desk: Desk, card: Shown) -> None:
    """Slack has another code for that than for a post there."""
    desk.slack.archive(EVENTS)

    with pytest.raises(ChannelArchived):
        await desk.edit(card, "now")


async def test_deleted_card_cannot_be_edited(desk: Desk, card: Shown) -> None:
    desk.slack.delete_message(card)

    with pytest.raises(SlackRejected) as raised:
        await desk.edit(card, "now")

    assert raised.value.detail == "message_not_found"

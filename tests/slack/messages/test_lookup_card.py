"""The card of a lookup: the words of every state, and that nothing from outside breaks out of them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.domain.observation import Status
from bot.errors import (
    AuthenticationFailed,
    BotError,
    CloudflareUnavailable,
    InvalidInteraction,
    InvalidResponse,
    MeetingNotFound,
    NotInChannel,
    RateLimited,
    Unreachable,
)
from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Livestream, Session
from bot.slack.messages import lookup_card
from bot.slack.messages.message import ActionValue, Message
from bot.slack.messages.mrkdwn import escape, escape_entities
from sandbox.slack.blocks import complaints
from tests.slack.helpers import elements, labels
from tests.slack.messages.helpers import BEGAN, HOSTILE, MEETING, assert_harmless, shown

ANN = "U0ANN000001"
VIDEO = "0123456789abcdef0123456789abcdef"
HOST = "customer-s4ndb0x.cloudflarestream.com"
STREAM = f"https://{HOST}/{VIDEO}/manifest/video.m3u8"
PLAYER = f"https://{HOST}/{VIDEO}/iframe"
OLD_STREAM = "https://a1b2.us-east-1.playback.live-video.net/api/video/v1/channel.m3u8"
CHECKED = datetime(2026, 6, 3, 10, 25, tzinfo=UTC)


def a_lookup(
    status: str | None = "LIVE", *, name: str | None = "Launch keynote", since: datetime | None = None, **fields: Any
) -> Lookup:
    """Return a lookup made of what Cloudflare says, read as the client reads it; no status is no livestream."""
    reason = fields.pop("reason", None)
    session = Session.model_validate(
        {"err_message": reason, "started_time": since.isoformat() if since is not None else None}
    )
    livestream = None if status is None else Livestream.model_validate({"status": status, **fields})
    return Lookup(MEETING, name, livestream, session, CHECKED)


def card(*args: Any, **fields: Any) -> Message:
    """Return the private card of such a lookup."""
    return lookup_card.lookup_card(a_lookup(*args, **fields))


def button(message: Message, label: str) -> dict[str, Any]:
    (found,) = [element for element in elements(message) if element["text"]["text"] == label]
    return found


def test_live_card_has_name_start_and_link() -> None:
    """The start is in each reader's time zone."""
    message = card(since=BEGAN, playback_url=STREAM)

    assert message.text == f"Launch keynote is live. Started 2026-06-03 10:00 UTC. Watch: {STREAM}"
    assert "*Launch keynote*\n:red_circle: *Live* · <!date^1780480800^started " in shown(message)
    assert f"<{STREAM}|Playback link>" in shown(message)
    assert labels(message) == ["Watch", "Refresh", "Post here", "Follow here"]


def test_live_card_without_start_and_playback_url_has_neither() -> None:
    message = card()

    assert message.text == "Launch keynote is live."
    assert ":red_circle: *Live*\n" in shown(message)
    assert "Playback" not in shown(message)
    assert labels(message) == ["Refresh", "Post here", "Follow here"]


@pytest.mark.parametrize(
    ("lookup", "text", "headline"),
    [
        (a_lookup("INVOKED"), "is starting. No video yet.", ":large_yellow_circle: *Starting*\nNo video yet."),
        (a_lookup("IDLE"), "is not live.", ":white_circle: *Not live*"),
        (a_lookup("OFFLINE"), "is not live.", ":white_circle: *Not live*"),
        (a_lookup(None), "is not live.", ":white_circle: *Not live*"),
        (
            a_lookup("ERRORED", reason="Ingest stopped: HEVC."),
            "has an error: Ingest stopped: HEVC.",
            ":warning: *Error*\nIngest stopped: HEVC.",
        ),
        *(
            (
                a_lookup("ERRORED", reason=invisible),
                "has an error: Cloudflare gave no reason.",
                ":warning: *Error*\nCloudflare gave no reason.",
            )
            for invisible in (None, "\u202e")
        ),
        (
            a_lookup("PAUSED"),
            "has an unknown status. Cloudflare reports “PAUSED”, a status this bot doesn't recognize.",
            ":grey_question: *Unknown status*\nCloudflare reports “PAUSED”, a status this bot doesn't recognize.",
        ),
        (
            a_lookup(""),
            "has an unknown status. Cloudflare reports no status.",
            ":grey_question: *Unknown status*\nCloudflare reports no status.",
        ),
    ],
)
def test_each_status_has_its_own_words(lookup: Lookup, text: str, headline: str) -> None:
    """In the sentence and on the card; an emoji is never the only sign of it."""
    message = lookup_card.lookup_card(lookup)

    assert message.text == f"Launch keynote {text}"
    assert shown(message).startswith(f"*Launch keynote*\n{headline}\n")


@pytest.mark.parametrize(
    ("status", "may_have_link"),
    [("INVOKED", True), ("PAUSED", True), ("IDLE", False), ("OFFLINE", False), ("ERRORED", False)],
)
def test_only_a_live_card_has_a_watch_button(status: str, may_have_link: bool) -> None:
    """Whatever URL Cloudflare still has. A card that is off air has no link either: it would play nothing."""
    message = card(status, playback_url=STREAM)

    assert labels(message) == ["Refresh", "Post here", "Follow here"]
    assert may_have_link or "cloudflarestream" not in message.text + str(message.blocks)


@pytest.mark.parametrize(("playback", "opened"), [(STREAM, PLAYER), (OLD_STREAM, OLD_STREAM)])
def test_watch_opens_the_hosted_player_where_there_is_one(playback: str, opened: str) -> None:
    watch = button(card(playback_url=playback), "Watch")

    assert (watch["action_id"], watch["url"], watch["style"]) == (lookup_card.WATCH, opened, "primary")


@pytest.mark.parametrize("playback", ["javascript:alert(1)", "rtmps://live.example/x", "https://", "https://a b", 7])
def test_only_web_addresses_become_links(playback: Any) -> None:
    message = card(playback_url=playback)

    assert message.text == "Launch keynote is live."
    assert "url" not in str(message.blocks)


def test_url_that_no_message_can_hold_is_left_to_the_button() -> None:
    """It grows when it is escaped."""
    message = card(playback_url="https://a.example/?" + "&" * 1_900)

    assert complaints(list(message.blocks)) == []
    assert message.text == "Launch keynote is live."
    assert "Watch" in labels(message)


def test_private_card_can_be_posted_and_names_no_one() -> None:
    assert button(card(), "Post here")["action_id"] == lookup_card.POST_HERE
    assert "Posted by" not in shown(card())


def test_public_card_names_its_poster_also_after_a_refresh() -> None:
    """What Refresh carries makes the same card again. It cannot be posted again."""
    message = lookup_card.lookup_card(a_lookup(), posted_by=ANN)
    state = ActionValue.read(button(message, "Refresh")["value"])

    assert f"Posted by <@{ANN}>" in shown(message)
    assert labels(message) == ["Refresh"]
    assert state is not None
    assert lookup_card.lookup_card(a_lookup(), posted_by=state.posted_by) == message
    assert state.meeting_id == str(MEETING)
    assert "Posted by ann" in shown(lookup_card.lookup_card(a_lookup(), posted_by=ANN, posted_as="ann"))


def test_footer_has_check_and_meeting_and_whether_the_livestream_is_disabled() -> None:
    enabled, disabled = shown(card(disabled="false")), shown(card(disabled=True))

    assert "<!date^1780482300^Checked {date_short_pretty} at {time}|Checked 2026-06-03 10:25 UTC>" in enabled
    assert enabled.endswith(f"Meeting `{MEETING}`")
    assert "Disabled in RealtimeKit" not in enabled
    assert "Disabled in RealtimeKit" in disabled


@pytest.mark.parametrize("name", [None, "", "\x00\x1b", "\u202e\u200b"])
def test_meeting_without_a_visible_name_is_unnamed(name: str | None) -> None:
    message = card("IDLE", name=name)

    assert message.text == "This meeting is not live."
    assert shown(message).startswith("*This meeting*\n")


def test_name_is_shown_as_it_is_spelled() -> None:
    message = card("IDLE", name="<!channel> & <@U1>")

    assert message.text == "&lt;!channel&gt; &amp; &lt;@U1&gt; is not live."
    assert "*&lt;!channel&gt; &amp; &lt;@U1&gt;*" in shown(message)


ADDRESSES = st.builds(
    "{}://{}/{}".format,
    st.sampled_from(["https", "http", "HTTPS", "javascript", "rtmps"]),
    st.sampled_from([HOST, f"evil.example\\.{HOST}", "a1.playback.live-video.net", "[::1]", "a<b>", ""]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), max_size=100)
    | st.sampled_from([f"{VIDEO}/manifest/video.m3u8", "&" * 1_900, "a=&" * 600, "x" * 1_900, "x" * 3_000]),
)
LOOKUPS = st.builds(
    a_lookup,
    st.sampled_from(["LIVE", "INVOKED", "IDLE", "OFFLINE", "ERRORED", None]) | HOSTILE,
    name=st.none() | HOSTILE,
    reason=st.none() | HOSTILE,
    since=st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    playback_url=st.none() | ADDRESSES,
    disabled=st.none() | st.booleans(),
)
STATUS_WORDS = {
    Status.LIVE: " live",
    Status.STARTING: "is starting. No video yet",
    Status.NOT_BROADCASTING: "is not live",
    Status.ERRORED: "has an error",
    Status.UNKNOWN: "has an unknown status",
}


@given(LOOKUPS, st.sampled_from([None, ANN]))
@example(a_lookup("ERRORED", name="&" * 1_000, reason="&" * 1_000), None)
@example(a_lookup(name="&" * 1_000, since=BEGAN, playback_url="https://a.example/" + "&" * 300 + "x" * 500), None)
@example(a_lookup("&" * 1_000, name="&" * 1_000, playback_url="https://a.example/" + "&" * 396), ANN)
def test_any_card_is_harmless_and_has_name_status_and_link(lookup: Lookup, posted_by: str | None) -> None:
    """Whatever Cloudflare says, Slack accepts the card, and it notifies no one."""
    message = lookup_card.lookup_card(lookup, posted_by=posted_by)

    assert_harmless(message)
    assert "<" not in message.text
    for element in elements(message):
        assert len(element["value"]) <= 100
        assert element.get("url", "https://").lower().startswith(("https://", "http://"))
    assert message.text.startswith(escape(lookup.name or "", lookup_card.MAX_NAME_LENGTH) or lookup_card.UNNAMED)
    assert STATUS_WORDS[lookup.status] in message.text
    playback = escape_entities(lookup.playback_url or "")
    assert (f"Watch: {playback}" in message.text) == (0 < len(playback) <= lookup_card.MAX_LINK_LENGTH)


@given(HOSTILE)
def test_name_is_cut_as_it_is_read(name: str) -> None:
    """Not as it is escaped, and never inside an entity."""
    headline = shown(card("IDLE", name=name)).splitlines()[0]

    read = headline.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("\u200b", "")

    assert len(read) <= lookup_card.MAX_NAME_LENGTH + len("**")


@pytest.mark.parametrize(
    ("error", "buttons"),
    [
        (CloudflareUnavailable(), ["Try again"]),
        (RateLimited(45), ["Try again"]),
        (Unreachable(), ["Try again"]),
        (InvalidResponse(), ["Try again"]),
        (MeetingNotFound(), []),
        (AuthenticationFailed(detail="HTTP 401, 10000: Authentication error"), []),
    ],
)
def test_error_message_offers_to_try_again_only_where_it_may_help(error: BotError, buttons: list[str]) -> None:
    """Details are only for the log."""
    message = lookup_card.error_message(error, MEETING)

    assert message.text == error.sentence
    read = shown(message).replace("<https://www.cloudflarestatus.com|cloudflarestatus.com>", "cloudflarestatus.com")
    assert read == f":warning: {error.sentence}\nMeeting `{MEETING}`"
    assert ("|cloudflarestatus.com>" in shown(message)) == ("cloudflarestatus.com" in error.sentence)
    assert labels(message) == buttons
    assert complaints(list(message.blocks)) == []
    assert "10000" not in message.text + str(message.blocks)


def test_try_again_looks_up_the_same_meeting() -> None:
    again = button(lookup_card.error_message(Unreachable(), MEETING), "Try again")

    assert again["action_id"] == lookup_card.REFRESH
    assert ActionValue.read(again["value"]) == ActionValue(m=str(MEETING))


@pytest.mark.parametrize("error", [NotInChannel(), InvalidInteraction(), InvalidResponse()])
def test_error_that_is_about_no_meeting_has_no_buttons(error: BotError) -> None:
    message = lookup_card.error_message(error)

    assert message.blocks == ({"type": "section", "text": message.blocks[0]["text"]},)
    assert shown(message) == f":warning: {error.sentence}"


def test_several_meetings_are_listed_for_copying() -> None:
    first, second = UUID(int=1), UUID(int=2)

    message = lookup_card.ambiguous((first, second))

    assert message.text == f"I found 2 meeting IDs: {first}, {second}. Please send one at a time."
    assert f"`{first}`, `{second}`" in shown(message)


def test_five_of_very_many_meetings_are_listed() -> None:
    message = lookup_card.ambiguous(tuple(UUID(int=number) for number in range(80)))

    assert "I found 80 meeting IDs" in message.text
    assert str(UUID(int=4)) in message.text
    assert str(UUID(int=5)) not in message.text
    assert "and 75 more." in message.text
    assert complaints(list(message.blocks)) == []


def test_internal_error_has_the_logs_reference() -> None:
    message = lookup_card.internal_error("a1b2c3d4")

    assert message.text.endswith("give whoever runs this bot the reference a1b2c3d4.")
    assert message.text in shown(message)


def test_notice_is_one_sentence() -> None:
    message = lookup_card.notice("Done.")

    assert message.text == shown(message) == "Done."

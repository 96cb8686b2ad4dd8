"""What the bot says: the words of every state, and that nothing from outside breaks out of them."""

import json
import re
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

MEETING = UUID("50c8940e-1b97-402a-97d6-2708b7feca41")
VIDEO = "0123456789abcdef0123456789abcdef"
HOST = "customer-s4ndb0x.cloudflarestream.com"
STREAM = f"https://{HOST}/{VIDEO}/manifest/video.m3u8"
PLAYER = f"https://{HOST}/{VIDEO}/iframe"
OLD_STREAM = "https://a1b2.us-east-1.playback.live-video.net/api/video/v1/channel.m3u8"
SINCE = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
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


def shown(message: Message) -> str:
    """All that the blocks say, a block a line."""
    return "\n".join(
        part["text"]
        for block in message.blocks
        for part in ([block["text"]] if "text" in block else block["elements"])
        if part["type"] == "mrkdwn"
    )


def buttons(message: Message) -> dict[str, dict[str, Any]]:
    """Return the buttons by label."""
    return {
        element["text"]["text"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


def test_live_card_has_name_start_and_link() -> None:
    """The start is in each reader's time zone."""
    message = lookup_card.lookup_card(a_lookup(since=SINCE, playback_url=STREAM))

    assert message.text == f"Launch keynote is live. Started 2026-06-03 10:00 UTC. Watch: {STREAM}"
    assert "*Launch keynote*\n:red_circle: *Live* · <!date^1780480800^started " in shown(message)
    assert f"<{STREAM}|Playback link>" in shown(message)
    assert list(buttons(message)) == ["Watch", "Refresh", "Post here", "Follow here"]


def test_live_of_unknown_start() -> None:
    """Without a start the card says no more than that it is live."""
    message = lookup_card.lookup_card(a_lookup(playback_url=STREAM))

    assert message.text == f"Launch keynote is live. Watch: {STREAM}"
    assert ":red_circle: *Live*\n" in shown(message)


def test_live_without_playback() -> None:
    """Without a playback URL there is nothing to press, and no link."""
    message = lookup_card.lookup_card(a_lookup(since=SINCE))

    assert message.text == "Launch keynote is live. Started 2026-06-03 10:00 UTC."
    assert "Playback" not in shown(message)
    assert list(buttons(message)) == ["Refresh", "Post here", "Follow here"]


@pytest.mark.parametrize(
    ("lookup", "text", "headline"),
    [
        (
            a_lookup("INVOKED"),
            "Launch keynote is starting. No video yet.",
            ":large_yellow_circle: *Starting*\nNo video yet.",
        ),
        (a_lookup("IDLE"), "Launch keynote is not live.", ":white_circle: *Not live*"),
        (a_lookup("OFFLINE"), "Launch keynote is not live.", ":white_circle: *Not live*"),
        (a_lookup(None), "Launch keynote is not live.", ":white_circle: *Not live*"),
        (
            a_lookup("ERRORED", reason="Ingest stopped: HEVC."),
            "Launch keynote has an error: Ingest stopped: HEVC.",
            ":warning: *Error*\nIngest stopped: HEVC.",
        ),
        (
            a_lookup("ERRORED"),
            "Launch keynote has an error: Cloudflare gave no reason.",
            ":warning: *Error*\nCloudflare gave no reason.",
        ),
        (
            a_lookup("PAUSED"),
            "Launch keynote has an unknown status. Cloudflare reports “PAUSED”, a status this bot doesn't recognize.",
            ":grey_question: *Unknown status*\nCloudflare reports “PAUSED”, a status this bot doesn't recognize.",
        ),
        (
            a_lookup(""),
            "Launch keynote has an unknown status. Cloudflare reports no status.",
            ":grey_question: *Unknown status*\nCloudflare reports no status.",
        ),
    ],
)
def test_each_status_has_its_own_words(lookup: Lookup, text: str, headline: str) -> None:
    """In the sentence and on the card; an emoji is never the only sign of it."""
    message = lookup_card.lookup_card(lookup)

    assert message.text == text
    assert shown(message).startswith(f"*Launch keynote*\n{headline}\n")


@pytest.mark.parametrize("status", ["INVOKED", "IDLE", "OFFLINE", "ERRORED", "PAUSED"])
def test_watch_only_what_is_live(status: str) -> None:
    """Nothing but a live meeting has a Watch button, whatever URL Cloudflare still has for it."""
    message = lookup_card.lookup_card(a_lookup(status, playback_url=STREAM))

    assert list(buttons(message)) == ["Refresh", "Post here", "Follow here"]


@pytest.mark.parametrize("status", ["IDLE", "OFFLINE", "ERRORED"])
def test_nothing_to_play_off_the_air(status: str) -> None:
    """A card that is not live has no link: it would play nothing."""
    message = lookup_card.lookup_card(a_lookup(status, playback_url=STREAM))

    assert "cloudflarestream" not in message.text + str(message.blocks)


@pytest.mark.parametrize(("playback", "opened"), [(STREAM, PLAYER), (OLD_STREAM, OLD_STREAM)])
def test_what_watch_opens(playback: str, opened: str) -> None:
    """Watch opens the hosted player where there is one, and the URL itself elsewhere."""
    watch = buttons(lookup_card.lookup_card(a_lookup(playback_url=playback)))["Watch"]

    assert (watch["action_id"], watch["url"], watch["style"]) == (lookup_card.WATCH, opened, "primary")


@pytest.mark.parametrize("playback", ["javascript:alert(1)", "rtmps://live.example/x", "https://", "https://a b", 7])
def test_only_web_addresses_become_links(playback: Any) -> None:
    """Only http(s) addresses are shown and opened."""
    message = lookup_card.lookup_card(a_lookup(playback_url=playback))

    assert message.text == "Launch keynote is live."
    assert "url" not in str(message.blocks)


def test_private_answer_can_be_posted_and_names_no_one() -> None:
    message = lookup_card.lookup_card(a_lookup())

    assert buttons(message)["Post here"]["action_id"] == lookup_card.POST_HERE
    assert "Posted by" not in shown(message)


def test_public_card_names_its_poster() -> None:
    """It cannot be posted again."""
    message = lookup_card.lookup_card(a_lookup(), posted_by="U0ANN000001")

    assert "Posted by <@U0ANN000001>" in shown(message)
    assert list(buttons(message)) == ["Refresh"]
    assert "Posted by ann" in shown(lookup_card.lookup_card(a_lookup(), posted_by="U0ANN000001", posted_as="ann"))


def test_refresh_keeps_the_attribution() -> None:
    """What Refresh carries makes the same card again: of the same meeting, in the same name."""
    message = lookup_card.lookup_card(a_lookup(), posted_by="U0ANN000001")

    state = ActionValue.read(buttons(message)["Refresh"]["value"])

    assert state is not None
    assert lookup_card.lookup_card(a_lookup(), posted_by=state.posted_by) == message
    assert state.meeting_id == str(MEETING)


def test_footer_has_check_and_meeting() -> None:
    """It also says that a livestream is disabled."""
    enabled = shown(lookup_card.lookup_card(a_lookup(disabled="false")))
    disabled = shown(lookup_card.lookup_card(a_lookup(disabled=True)))

    assert "<!date^1780482300^Checked {date_short_pretty} at {time}|Checked 2026-06-03 10:25 UTC>" in enabled
    assert enabled.endswith(f"Meeting `{MEETING}`")
    assert "Disabled in RealtimeKit" not in enabled
    assert "Disabled in RealtimeKit" in disabled


@pytest.mark.parametrize("name", [None, "", "\x00\x1b", "\u202e\u200b"])
def test_meeting_without_a_visible_name_is_unnamed(name: str | None) -> None:
    message = lookup_card.lookup_card(a_lookup("IDLE", name=name))

    assert message.text == "This meeting is not live."
    assert shown(message).startswith("*This meeting*\n")


def test_no_visible_reason() -> None:
    """A reason that cannot be seen is none."""
    message = lookup_card.lookup_card(a_lookup("ERRORED", reason="\u202e"))

    assert message.text == "Launch keynote has an error: Cloudflare gave no reason."


def test_markup_in_a_name() -> None:
    """A name is shown as it is spelled, and notifies no one."""
    message = lookup_card.lookup_card(a_lookup("IDLE", name="<!channel> & <@U1>"))

    assert message.text == "&lt;!channel&gt; &amp; &lt;@U1&gt; is not live."
    assert "*&lt;!channel&gt; &amp; &lt;@U1&gt;*" in shown(message)


def test_link_that_grows() -> None:
    """A URL that no message can hold once it is escaped is left to the button."""
    message = lookup_card.lookup_card(a_lookup(playback_url="https://a.example/?" + "&" * 1_900))

    assert complaints(list(message.blocks)) == []
    assert message.text == "Launch keynote is live."
    assert "Watch" in buttons(message)


SNIPPETS = (
    "<!channel>",
    "<!here>",
    "<@U0ANN000001>",
    "<#C1>",
    "&",
    "<",
    ">",
    "|",
    "*",
    "`",
    "_",
    "~",
    ":tada:",
    "\u202e",
    "\x00",
    "\n",
    ".",
)
HOSTILE = st.lists(st.sampled_from(SNIPPETS) | st.text(st.characters(exclude_categories=()), max_size=40)).map("".join)
ADDRESSES = st.builds(
    "{}://{}/{}".format,
    st.sampled_from(["https", "http", "HTTPS", "javascript", "rtmps"]),
    st.sampled_from([HOST, f"evil.example\\.{HOST}", "a1.playback.live-video.net", "[::1]", "a<b>", ""]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), max_size=100)
    | st.sampled_from([f"{VIDEO}/manifest/video.m3u8", "&" * 1_900, "a=&" * 600, "x" * 1_900, "x" * 3_000]),
)
TIMES = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
LOOKUPS = st.builds(
    a_lookup,
    st.sampled_from(["LIVE", "INVOKED", "IDLE", "OFFLINE", "ERRORED", None]) | HOSTILE,
    name=st.none() | HOSTILE,
    reason=st.none() | HOSTILE,
    since=TIMES,
    playback_url=st.none() | ADDRESSES,
    disabled=st.none() | st.booleans(),
)
OUR_MARKUP = re.compile(
    r"<!date\^-?\d+\^[a-z ]*\{date_short_pretty\} at \{time\}\|[-a-z0-9: ]+ UTC>|<@U0ANN000001>|<https?://[^<>|\s]+\|[^<>|]+>",
    re.IGNORECASE,
)
STATUS_WORDS = {
    Status.LIVE: " live",
    Status.STARTING: "is starting. No video yet",
    Status.NOT_BROADCASTING: "is not live",
    Status.ERRORED: "has an error",
    Status.UNKNOWN: "has an unknown status",
}


def assert_harmless(text: str) -> None:
    assert "<" not in text
    assert ">" not in text
    assert re.sub(r"&(amp|lt|gt);", "", text).count("&") == 0
    assert text.replace("\n", "").replace("\u200b", "").isprintable()


@given(LOOKUPS, st.sampled_from([None, "U0ANN000001"]))
@example(a_lookup("ERRORED", name="&" * 1_000, reason="&" * 1_000), None)
@example(a_lookup(name="&" * 1_000, since=SINCE, playback_url="https://a.example/" + "&" * 300 + "x" * 500), None)
@example(a_lookup("&" * 1_000, name="&" * 1_000, playback_url="https://a.example/" + "&" * 396), "U0ANN000001")
def test_whatever_cloudflare_says(lookup: Lookup, posted_by: str | None) -> None:
    """Slack accepts any card. It notifies no one, and its text has the name, the status and the link."""
    message = lookup_card.lookup_card(lookup, posted_by=posted_by)

    assert complaints(list(message.blocks)) == []
    assert len(message.text) <= 4_000
    assert_harmless(message.text)
    assert_harmless(OUR_MARKUP.sub("", shown(message)))
    for button in buttons(message).values():
        assert len(button["value"]) <= 100
        assert_harmless(button["text"]["text"])
        assert button.get("url", "https://").lower().startswith(("https://", "http://"))
    assert json.dumps([message.text, message.blocks], ensure_ascii=False).encode()

    assert message.text.startswith(escape(lookup.name or "", lookup_card.MAX_NAME_LENGTH) or lookup_card.UNNAMED)
    assert STATUS_WORDS[lookup.status] in message.text
    playback = escape_entities(lookup.playback_url or "")
    assert (f"Watch: {playback}" in message.text) == (0 < len(playback) <= lookup_card.MAX_LINK_LENGTH)


@given(HOSTILE)
def test_limits_are_of_what_is_read(name: str) -> None:
    """A name is cut at 150 characters as they are read, not as they are escaped, and never inside an entity."""
    headline = shown(lookup_card.lookup_card(a_lookup("IDLE", name=name))).splitlines()[0]

    read = headline.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    read = read.replace("\u200b", "")

    assert len(read) <= lookup_card.MAX_NAME_LENGTH + len("**")


@pytest.mark.parametrize(
    ("error", "labels"),
    [
        (CloudflareUnavailable(), ["Try again"]),
        (RateLimited(45), ["Try again"]),
        (Unreachable(), ["Try again"]),
        (InvalidResponse(), ["Try again"]),
        (MeetingNotFound(), []),
        (AuthenticationFailed(), []),
    ],
)
def test_error_message_offers_to_try_again_only_where_it_may_help(error: BotError, labels: list[str]) -> None:
    message = lookup_card.error_message(error, MEETING)

    assert message.text == error.sentence
    read = shown(message).replace("<https://www.cloudflarestatus.com|cloudflarestatus.com>", "cloudflarestatus.com")
    assert read == f":warning: {error.sentence}\nMeeting `{MEETING}`"
    assert ("|cloudflarestatus.com>" in shown(message)) == ("cloudflarestatus.com" in error.sentence)
    assert list(buttons(message)) == labels
    assert complaints(list(message.blocks)) == []


def test_try_again_asks_for_the_same_meeting() -> None:
    """Try again does what Refresh does."""
    again = buttons(lookup_card.error_message(Unreachable(), MEETING))["Try again"]

    assert again["action_id"] == lookup_card.REFRESH
    assert ActionValue.read(again["value"]) == ActionValue(m=str(MEETING))


@pytest.mark.parametrize("error", [NotInChannel(), InvalidInteraction(), InvalidResponse()])
def test_problem_of_no_meeting(error: BotError) -> None:
    """A problem that is not about a meeting has nothing to press."""
    message = lookup_card.error_message(error)

    assert message.blocks == ({"type": "section", "text": message.blocks[0]["text"]},)
    assert shown(message) == f":warning: {error.sentence}"


def test_details_are_for_the_log_alone() -> None:
    """Cloudflare's words about an error do not appear in Slack."""
    message = lookup_card.error_message(AuthenticationFailed(detail="HTTP 401, 10000: Authentication error"), MEETING)

    assert "10000" not in message.text + str(message.blocks)


def test_several_meetings_are_listed_for_copying() -> None:
    first, second = UUID(int=1), UUID(int=2)

    message = lookup_card.ambiguous((first, second))

    assert message.text == (f"I found 2 meeting IDs: {first}, {second}. Please send one at a time.")
    assert f"`{first}`, `{second}`" in shown(message)


def test_which_one_of_many() -> None:
    """Of very many meetings five are listed, and the rest counted."""
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

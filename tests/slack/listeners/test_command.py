"""`/livestream ...`: a signed request in, a message out."""

import io

import pytest
from pytest_mock import MockerFixture

from bot.errors import AuthenticationFailed, MeetingNotFound
from bot.slack.command_parser import TOO_LONG
from bot.slack.messages import follow_replies, lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BEN, GENERAL, RESPONSE_URL
from tests.conftest import World
from tests.slack.listeners.helpers import buttons

NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"


NOTHING_CHANGED = "I didn't understand that, so nothing changed."


async def test_lookup_of_a_live_meeting_has_name_start_and_link(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")
    assert "cloudflarestream.com" in answer.text
    assert buttons(answer) == [lookup_card.WATCH, lookup_card.REFRESH, lookup_card.POST_HERE, lookup_card.FOLLOW_HERE]


async def test_only_the_requester_sees_the_answer(connected: World) -> None:
    await connected.ask(seeds.LIVE, user=ANN)

    assert connected.slack.messages(GENERAL, BEN) == []


@pytest.mark.parametrize(
    ("meeting_id", "sentence"),
    [
        (seeds.UNNAMED, "Monthly all-hands is live. Started"),
        (seeds.STARTING, "Design review is starting. No video yet."),
        (seeds.IDLE, "Office hours is not live."),
        (seeds.OFFLINE, "Customer webinar: getting started is not live."),
        (seeds.ERRORED, "Board update has an error: Ingest stopped"),
        (seeds.UNKNOWN_STATUS, "Hack day demos has an unknown status. Cloudflare reports “PAUSED”"),
        (seeds.NEVER_LIVE, "Hiring committee is not live."),
        (seeds.AS_LIST, "Product tour is live"),
        (seeds.UNDER_RESULT, "Quarterly results is live"),
        (seeds.NULL_DATA, "Support rota handover is not live."),
    ],
)
async def test_every_state_of_cloudflares_has_its_own_sentence(
    connected: World, meeting_id: str, sentence: str
) -> None:
    answer = await connected.ask(meeting_id)

    assert answer.text.startswith(sentence)


@pytest.mark.parametrize(
    "text",
    [
        seeds.LIVE.upper(),
        f"`{seeds.LIVE}`",
        f"<https://dash.example.com/meetings/{seeds.LIVE}?tab=live|our meeting>",
        f"is {seeds.LIVE} on air already, and again {seeds.LIVE}?",
    ],
)
async def test_pasted_id_is_found_in_any_form(connected: World, text: str) -> None:
    """In upper case, in backticks, in a link and in a sentence."""
    answer = await connected.ask(text)

    assert answer.text.startswith("Launch keynote is live")


async def test_text_that_is_too_long(connected: World) -> None:
    """It isn't read, and the answer says so."""
    answer = await connected.ask("x" * 10_000)

    assert answer.text == TOO_LONG
    assert not connected.kit.calls


@pytest.mark.parametrize("text", ["", "help", "\u202e"])
async def test_empty_command_shows_the_help(connected: World, text: str) -> None:
    answer = await connected.ask(text)

    assert answer.text == follow_replies.usage().text
    assert not connected.kit.calls


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Launch week",
            "I couldn't find a meeting ID in that. IDs look like",
        ),
        ("<!channel>", "I couldn't find a meeting ID in that."),
        (seeds.LIVE[:-1], "That looks like a meeting ID, but it's one character short. Copy it again."),
        (
            f"status {seeds.LIVE}",
            f"I didn't understand that, so nothing changed. To check this meeting, type `/livestream {seeds.LIVE}`.",
        ),
        (
            f"stop {seeds.LIVE}",
            f"I didn't understand that, so nothing changed. Did you mean `/livestream unfollow {seeds.LIVE}`?",
        ),
    ],
)
async def test_what_is_wrong_is_said(connected: World, text: str, sentence: str) -> None:
    """The reply to a mistake says what is wrong, and repeats nothing; Cloudflare gets no request."""
    answer = await connected.ask(text)

    assert answer.text.startswith(sentence)
    assert "channel>" not in str(answer)
    assert not connected.kit.calls


async def test_command_with_several_ids_asks_for_one(connected: World) -> None:
    """Cloudflare gets no request."""
    answer = await connected.ask(f"{seeds.LIVE} <!channel> {seeds.IDLE}")

    assert answer.text.startswith("I found 2 meeting IDs")
    assert "channel" not in str(answer.blocks)
    assert not connected.kit.calls


async def test_markup_in_a_livestreams_name_is_escaped(connected: World) -> None:
    answer = await connected.ask(seeds.NASTY_NAME)

    assert "&lt;!channel&gt;" in answer.text
    assert "<!channel>" not in answer.text + str(answer.blocks)
    assert "<script>" not in answer.text + str(answer.blocks)


async def test_title_and_error_reason_format_nothing(connected: World) -> None:
    connected.kit.change(seeds.ERRORED, title="*Bold* _x_ ~y~ :tada: `z`")
    answer = await connected.ask(seeds.ERRORED)

    shown = answer.text + str(answer.blocks[0]["text"]["text"])
    for markup in ("*Bold*", "_x_", "~y~", ":tada:", "`z`"):
        assert markup not in shown
    assert "Bold" in shown


async def test_no_such_meeting(connected: World) -> None:
    """A meeting that does not exist has another reply than one that is not live."""
    answer = await connected.ask(NO_SUCH_MEETING)

    assert answer.text == MeetingNotFound().sentence


@pytest.mark.parametrize(
    ("fault", "beginning"),
    [
        (Fault.SERVER_ERROR, "Cloudflare is having problems (HTTP 500), so I can't tell"),
        (Fault.HTML, "Cloudflare is having problems (HTTP 502), so I can't tell"),
        (Fault.DROP, "Cloudflare isn't responding"),
        (Fault.HALF, "Cloudflare isn't responding"),
        (Fault.UNAUTHORIZED, "I can't access Cloudflare right now"),
        (Fault.RATE_LIMITED, "Cloudflare is rate-limiting this bot"),
    ],
)
async def test_cloudflare_cannot_be_asked(connected: World, fault: Fault, beginning: str) -> None:
    """Each failure of Cloudflare's has its own sentence, and none looks like the end of the livestream."""
    connected.kit.fault = fault

    answer = await connected.ask(seeds.LIVE)

    assert answer.text.startswith(beginning)
    assert "not live" not in answer.text


async def test_try_again_is_offered_only_where_it_may_help(connected: World) -> None:
    connected.kit.fault = Fault.SERVER_ERROR
    may_help = await connected.ask(seeds.LIVE)
    connected.slack.clock.advance(3)
    connected.kit.fault = Fault.UNAUTHORIZED
    cannot_help = await connected.ask(seeds.LIVE)

    assert buttons(may_help) == [lookup_card.REFRESH]
    assert buttons(cannot_help) == []


async def test_wrong_app_id_is_explained(world: World) -> None:
    """Cloudflare's words are only in the log."""
    async with world.bot(realtimekit_app_id="another-app"):
        answer = await world.ask(seeds.LIVE)

    assert answer.text == AuthenticationFailed().sentence
    assert "7003" not in answer.text


async def test_short_rate_limit_is_waited_out(connected: World) -> None:
    """The person notices nothing."""
    connected.kit.retry_after = 0
    connected.kit.fail_next(Fault.RATE_LIMITED)

    answer = await connected.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_long_rate_limit_is_reported(connected: World) -> None:
    """The message says how long to wait."""
    connected.kit.retry_after = 240
    connected.kit.fault = Fault.RATE_LIMITED

    answer = await connected.ask(seeds.LIVE)

    assert answer.text.endswith("Try again in about 4 minutes.")


async def test_barred_response_url(connected: World) -> None:
    """An answer that its response_url does not take still reaches the person."""
    connected.slack.rate_limit_next(RESPONSE_URL, retry_after=600)

    await connected.slack.command(seeds.LIVE)
    await connected.next_message(lambda message: message.ephemeral_to == ANN)

    assert "chat.postEphemeral" in [call.method for call in connected.slack.calls]


async def test_reply_that_slack_refuses_is_logged(connected: World, log: io.StringIO) -> None:
    connected.slack.delete_channel(GENERAL)

    await connected.slack.command(seeds.LIVE)

    await connected.logged("reply_failed")
    assert '"level": "error"' not in log.getvalue()


async def test_unexpected_error_has_a_reference(connected: World, log: io.StringIO, mocker: MockerFixture) -> None:
    """The log has the same reference, with a traceback."""
    mocker.patch("bot.slack.messages.lookup_card.lookup_card", side_effect=ZeroDivisionError)

    answer = await connected.ask(seeds.LIVE)

    reference = answer.text.split()[-1].rstrip(".")
    [line] = [line for line in log.getvalue().splitlines() if reference in line]
    assert "ZeroDivisionError" in line
    assert "Traceback" not in answer.text

"""`/livestream ...`: a signed request in, a message out."""

import io

from pytest_mock import MockerFixture

from bot.errors import AuthenticationFailed, MeetingNotFound
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack import command_parser
from bot.slack.messages import follow_replies, lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BEN, GENERAL
from tests.conftest import World
from tests.slack.listeners.helpers import BOTH_MODES, actions

NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"


@BOTH_MODES
async def test_lookup_of_a_live_meeting_is_answered_only_to_the_requester(connected: World) -> None:
    """With name, start and link. A click on *Watch* is acknowledged, so that Slack shows no warning beside the link."""
    answer = await connected.ask(seeds.LIVE, user=ANN)

    assert answer.text.startswith("Launch keynote is live. Started")
    assert "cloudflarestream.com" in answer.text
    assert actions(answer) == [lookup_card.WATCH, lookup_card.REFRESH, lookup_card.POST_HERE, lookup_card.FOLLOW_HERE]
    assert connected.slack.messages(GENERAL, BEN) == []
    assert (await connected.slack.click(answer, lookup_card.WATCH)).acked


async def test_every_state_of_cloudflares_has_its_own_sentence(connected: World) -> None:
    for text, sentence in {
        f"<https://dash.example.com/meetings/{seeds.LIVE}?tab=live|our meeting>": "Launch keynote is live",
        f"is `{seeds.LIVE.upper()}` on air already, and again {seeds.LIVE}?": "Launch keynote is live",
        seeds.UNNAMED: "Monthly all-hands is live. Started",
        seeds.STARTING: "Design review is starting. No video yet.",
        seeds.IDLE: "Office hours is not live.",
        seeds.OFFLINE: "Customer webinar: getting started is not live.",
        seeds.ERRORED: "Board update has an error: Ingest stopped",
        seeds.UNKNOWN_STATUS: "Hack day demos has an unknown status. Cloudflare reports “PAUSED”",
        seeds.NEVER_LIVE: "Hiring committee is not live.",
        seeds.AS_LIST: "Product tour is live",
        seeds.UNDER_RESULT: "Quarterly results is live",
        seeds.NULL_DATA: "Support rota handover is not live.",
        NO_SUCH_MEETING: MeetingNotFound().sentence,
    }.items():
        assert (await connected.ask(text)).text.startswith(sentence)


async def test_text_that_names_no_meeting_is_explained_without_a_request_to_cloudflare(connected: World) -> None:
    """The reply to a mistake repeats nothing."""
    nothing_changed = "I didn't understand that, so nothing changed."
    for text, sentence in {
        "": follow_replies.usage().text,
        "help": follow_replies.usage().text,
        "\u202e": follow_replies.usage().text,
        "x" * 10_000: command_parser.TOO_LONG,
        "Launch week": "I couldn't find a meeting ID in that. IDs look like",
        "<!channel>": "I couldn't find a meeting ID in that.",
        seeds.LIVE[:-1]: "That looks like a meeting ID, but it's one character short. Copy it again.",
        f"{seeds.LIVE} <!channel> {seeds.IDLE}": "I found 2 meeting IDs",
        f"status {seeds.LIVE}": f"{nothing_changed} To check this meeting, type `/livestream {seeds.LIVE}`.",
        f"stop {seeds.LIVE}": f"{nothing_changed} Did you mean `/livestream unfollow {seeds.LIVE}`?",
        "follow": command_parser.FOLLOW_WHICH,
        "follow the white rabbit": command_parser.FOLLOW_WHICH,
        f"follow {seeds.LIVE} shouting": command_parser.UNKNOWN_LEVEL,
        f"follow {seeds.LIVE} {seeds.IDLE}": "I found 2 meeting IDs",
    }.items():
        answer = await connected.ask(text)

        assert answer.text.startswith(sentence)
        assert "!channel" not in str(answer)
        assert not connected.kit.calls


async def test_markup_from_cloudflare_formats_nothing_and_notifies_no_one(connected: World) -> None:
    nasty = await connected.ask(seeds.NASTY_NAME)
    connected.kit.change(seeds.ERRORED, title="*Bold* _x_ ~y~ :tada: `z`")
    formatted = await connected.ask(seeds.ERRORED)

    assert "&lt;!channel&gt;" in nasty.text
    assert "<!channel>" not in nasty.text + str(nasty.blocks)
    assert "<script>" not in nasty.text + str(nasty.blocks)
    shown = formatted.text + str(formatted.blocks[0]["text"]["text"])
    assert "Bold" in shown
    assert not [markup for markup in ("*Bold*", "_x_", "~y~", ":tada:", "`z`") if markup in shown]


async def test_each_failure_of_cloudflares_has_its_own_sentence(connected: World) -> None:
    """None looks like the end of the livestream, and *Try again* is offered only where it may help."""
    connected.kit.retry_after = 240
    for fault, beginning, may_pass in [
        (Fault.SERVER_ERROR, "Cloudflare is having problems (HTTP 500), so I can't tell", True),
        (Fault.HTML, "Cloudflare is having problems (HTTP 502), so I can't tell", True),
        (Fault.DROP, "Cloudflare isn't responding", True),
        (Fault.HALF, "Cloudflare isn't responding", True),
        (Fault.UNAUTHORIZED, "I can't access Cloudflare right now", False),
        (Fault.RATE_LIMITED, "Cloudflare is rate-limiting this bot. Try again in about 4 minutes.", True),
    ]:
        connected.kit.fault = fault
        answer = await connected.ask(seeds.LIVE)

        assert answer.text.startswith(beginning)
        assert "not live" not in answer.text
        assert actions(answer) == [lookup_card.REFRESH] * may_pass
        connected.slack.clock.advance(ANSWER_SECONDS)


async def test_short_rate_limit_is_waited_out(connected: World) -> None:
    connected.kit.retry_after = 0
    connected.kit.fail_next(Fault.RATE_LIMITED)

    answer = await connected.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_wrong_app_id_is_explained(world: World) -> None:
    """Cloudflare's words are only in the log."""
    async with world.bot(realtimekit_app_id="another-app"):
        answer = await world.ask(seeds.LIVE)

    assert answer.text == AuthenticationFailed().sentence
    assert "7003" not in answer.text


async def test_unexpected_error_has_a_reference(connected: World, log: io.StringIO, mocker: MockerFixture) -> None:
    """The log has the same reference, with a traceback."""
    mocker.patch("bot.slack.messages.lookup_card.lookup_card", side_effect=ZeroDivisionError)

    answer = await connected.ask(seeds.LIVE)

    reference = answer.text.split()[-1].rstrip(".")
    [line] = [line for line in log.getvalue().splitlines() if reference in line]
    assert "ZeroDivisionError" in line
    assert "Traceback" not in answer.text

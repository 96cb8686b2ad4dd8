"""What a channel that follows sees: the words of every phase and change, and that nothing from outside breaks out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.episode import Change, ChangeKind, Episode, Phase
from bot.domain.follow import FollowState, Level
from bot.slack.messages.follow_card import (
    change_reply,
    expired_reply,
    follow_card,
    humanize,
    unfollowed_card,
)
from bot.slack.messages.lookup_card import FOLLOW_AGAIN, FOLLOW_MENU, MAX_LINK_LENGTH, WATCH
from bot.slack.messages.message import ActionValue, MenuAction
from tests.slack.helpers import elements, labels
from tests.slack.messages.helpers import BEGAN, FOLLOW, MEETING, TEXTS, assert_harmless, shown

STREAM = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"
ENDED = datetime(2026, 6, 3, 11, 5, tzinfo=UTC)
CHECKED = datetime(2026, 6, 3, 11, 10, tzinfo=UTC)


def an_episode(phase: Phase = Phase.LIVE, **fields: Any) -> Episode:
    began = BEGAN if phase is not Phase.WAITING else None
    known = {"name": "Launch keynote", "playback_url": STREAM, "live_since": began, "checked_at": CHECKED}
    ended = {"ended_at": ENDED, "playback_url": None} if phase is Phase.ENDED else {}
    return Episode(1, phase, BEGAN, **{**known, **ended, **fields})


def a_change(kind: ChangeKind, **fields: Any) -> Change:
    at = ENDED if kind is ChangeKind.ENDED else BEGAN
    known = {"name": "Launch keynote", "playback_url": None if kind is ChangeKind.ENDED else STREAM, "seen_at": at}
    return Change(1, 1, kind, at, **{**known, "live_since": BEGAN, "last_seen_live": at, **fields})


def live_then_ended(more: str = "") -> str:
    return f"Launch keynote has ended. It was live for 1 hour 5 minutes.{more}"


@pytest.mark.parametrize(
    ("phase", "fields", "text", "headline"),
    [
        (Phase.WAITING, {}, "is not live yet.", ":white_circle: *Not live yet*\nThis card updates when it starts."),
        (
            Phase.WAITING,
            {"raw_status": "PAUSED"},
            "is not live yet. Cloudflare reports “PAUSED”, a status this bot doesn't recognize.",
            ":white_circle: *Not live yet*\nThis card updates when it starts."
            "\nCloudflare reports “PAUSED”, a status this bot doesn't recognize.",
        ),
        (
            Phase.WAITING,
            {"raw_status": ""},
            "is not live yet. Cloudflare reports no status.",
            ":white_circle: *Not live yet*\nThis card updates when it starts.\nCloudflare reports no status.",
        ),
        (
            Phase.WAITING,
            {"is_missing": True},
            "was not found. Cloudflare has no meeting with this ID anymore.",
            ":grey_question: *Meeting not found*\nCloudflare has no meeting with this ID anymore.",
        ),
        (
            Phase.STARTING,
            {},
            "is starting. No video yet.",
            ":large_yellow_circle: *Starting*\nNo video yet.",
        ),
        (
            Phase.LIVE,
            {},
            f"is live. Started 2026-06-03 10:00 UTC. Watch: {STREAM}",
            ":red_circle: *Live* · <!date^1780480800^started ",
        ),
        (
            Phase.INTERRUPTED,
            {},
            "has been reconnecting since 2026-06-03 10:00 UTC.",
            ":large_yellow_circle: *Reconnecting*\n<!date^1780480800^Signal lost ",
        ),
        (
            Phase.ERRORED,
            {"error_reason": "HEVC"},
            "has an error: HEVC.",
            ":warning: *Error* · <!date^1780480800^since ",
        ),
        (
            Phase.ENDED,
            {},
            "has ended. It was live for 1 hour 5 minutes, until 2026-06-03 11:05 UTC.",
            ":white_check_mark: *Ended* · <!date^1780484700^",
        ),
        (
            Phase.ENDED,
            {"error_reason": "HEVC", "raw_status": "PAUSED"},
            "has ended. It was live for 1 hour 5 minutes, until 2026-06-03 11:05 UTC. It had an error: HEVC.",
            ":white_check_mark: *Ended* · <!date^1780484700^",
        ),
        (
            Phase.ENDED,
            {"live_since": None},
            "has ended. It never went live.",
            ":white_check_mark: *Ended* · <!date^1780484700^",
        ),
    ],
)
def test_each_phase_has_its_own_words(phase: Phase, fields: dict[str, Any], text: str, headline: str) -> None:
    """In the sentence and on the card. A status that the bot does not know does not change the phase."""
    message = follow_card(FOLLOW, an_episode(phase, **fields))

    assert message.text == f"Launch keynote {text}"
    assert shown(message).startswith(f"*Launch keynote*\n{headline}")
    assert ("\nIt had an error: HEVC\n" in shown(message)) == ("It had an error" in text)


@pytest.mark.parametrize(("phase", "is_noted"), [(Phase.INTERRUPTED, True), (Phase.ENDED, False)])
def test_missing_meeting_is_noted_until_the_end(phase: Phase, is_noted: bool) -> None:
    message = follow_card(FOLLOW, an_episode(phase, is_missing=True))

    assert ("Cloudflare has no meeting with this ID anymore." in shown(message)) is is_noted


@pytest.mark.parametrize("phase", list(Phase))
def test_only_a_live_card_has_a_watch_button_and_a_link(phase: Phase) -> None:
    message = follow_card(FOLLOW, an_episode(phase, playback_url=STREAM))

    assert labels(message) == (["Watch"] if phase is Phase.LIVE else [])
    assert ("|Playback link>" in shown(message)) == (phase is Phase.LIVE)
    assert (STREAM in message.text) == (phase is Phase.LIVE)


def test_watch_button_opens_the_player() -> None:
    [watch] = elements(follow_card(FOLLOW, an_episode()))

    assert watch["action_id"] == WATCH
    assert watch["url"].endswith("/iframe")


def test_link_that_no_message_holds_is_left_to_the_button() -> None:
    message = follow_card(FOLLOW, an_episode(playback_url=f"https://example.com/{'&' * MAX_LINK_LENGTH}"))

    assert labels(message) == ["Watch"]
    assert "example.com" not in message.text + shown(message)


def test_small_print_has_check_level_and_meeting() -> None:
    small_print = shown(follow_card(FOLLOW, an_episode())).splitlines()[-4:]

    assert small_print[0].startswith("<!date^1780485000^Checked {date_short_pretty}")
    assert small_print[1:] == ["Updates in thread", "Followed by <@U0ANN000001>", f"Meeting `{MEETING}`"]


def test_only_the_small_print_names_people() -> None:
    message = unfollowed_card(replace(FOLLOW, unfollowed_by="U0BEN000001"), "Launch keynote")

    assert "Unfollowed by <@U0BEN000001>" in shown(message)
    assert "<@" not in message.text + follow_card(FOLLOW, an_episode()).text
    assert "Unfollowed by" not in shown(unfollowed_card(FOLLOW))


def test_unchecked_card_has_no_time_of_a_check() -> None:
    assert "Checked" not in shown(follow_card(FOLLOW, an_episode(checked_at=None)))


@pytest.mark.parametrize(("checked_at", "last"), [(CHECKED, ". Last checked 2026-06-03 11:10 UTC."), (None, ".")])
def test_card_says_how_old_it_is_while_cloudflare_is_unreachable(checked_at: datetime | None, last: str) -> None:
    message = follow_card(FOLLOW, an_episode(Phase.WAITING, failed_checks=3, checked_at=checked_at))

    assert message.text == f"Launch keynote is not live yet. Can't get updates from Cloudflare{last}"
    assert ":warning: Can't get updates from Cloudflare" in shown(message)
    assert "Checked" not in shown(message)


@pytest.mark.parametrize(
    ("level", "ticked"),
    [
        (Level.QUIET, "✓ Quiet – card only"),
        (Level.NORMAL, "✓ Normal – updates in thread"),
        (Level.LOUD, "✓ Loud – also post in channel"),
    ],
)
@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.ENDED])
def test_menu_offers_levels_refresh_and_unfollow(level: Level, ticked: str, phase: Phase) -> None:
    """The current level has a tick. The menu stays after the end."""
    message = follow_card(replace(FOLLOW, level=level), an_episode(phase))

    assert message.blocks[0]["accessory"]["action_id"] == FOLLOW_MENU
    options = message.blocks[0]["accessory"]["options"]
    states = [ActionValue.read(option["value"]) for option in options]
    assert states == [ActionValue(m=str(MEETING), do=choice) for choice in MenuAction]
    assert [option["text"]["text"] for option in options if option["text"]["text"].startswith("✓")] == [ticked]


def test_card_of_an_expired_follow_has_no_menu() -> None:
    message = follow_card(replace(FOLLOW, state=FollowState.EXPIRED), an_episode())

    assert "accessory" not in message.blocks[0]
    assert "No longer followed here" in shown(message)


@pytest.mark.parametrize(
    ("kind", "fields", "text", "buttons"),
    [
        (ChangeKind.STARTING, {}, "Launch keynote is starting.", []),
        (ChangeKind.LIVE, {}, f"Launch keynote is live. Watch: {STREAM}", ["Watch"]),
        (ChangeKind.LIVE, {"playback_url": None}, "Launch keynote is live.", []),
        (
            ChangeKind.LIVE,
            {"seen_at": BEGAN + timedelta(seconds=121), "playback_url": None},
            "Launch keynote has been live since 2026-06-03 10:00 UTC.",
            [],
        ),
        (ChangeKind.ERRORED, {"error_reason": "HEVC."}, "Launch keynote hit an error: HEVC.", []),
        (ChangeKind.ERRORED, {}, "Launch keynote hit an error: Cloudflare gave no reason.", []),
        (ChangeKind.BACK, {}, f"Launch keynote is live again. Watch: {STREAM}", ["Watch"]),
        (ChangeKind.ENDED, {}, live_then_ended(), []),
        (ChangeKind.ENDED, {"error_reason": "HEVC"}, live_then_ended(" It had an error: HEVC."), []),
        (
            ChangeKind.ENDED,
            {"last_seen_live": BEGAN},
            live_then_ended(" I couldn't check after 2026-06-03 10:00 UTC, so it may have ended earlier."),
            [],
        ),
        (ChangeKind.ENDED, {"last_seen_live": None}, live_then_ended(), []),
        (ChangeKind.ENDED, {"live_since": None}, "Launch keynote has ended. It never went live.", []),
    ],
)
def test_each_change_has_its_own_sentence(
    kind: ChangeKind, fields: dict[str, Any], text: str, buttons: list[str]
) -> None:
    """Those about a livestream on air have a *Watch* button."""
    message = change_reply(FOLLOW, a_change(kind, **fields))

    assert message.text == text
    assert labels(message) == buttons
    assert "*Launch keynote*" in shown(message)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=26, minutes=2), "26 hours 2 minutes"),
    ],
)
def test_durations_are_in_hours_and_minutes(duration: timedelta, text: str) -> None:
    assert humanize(duration) == text


def test_expiry_is_explained_with_how_to_follow_again() -> None:
    """The reply can't be edited later, so it has no button."""
    message = expired_reply(FOLLOW, "Launch keynote")

    assert message.text == (
        "Launch keynote hasn't been live for 30 days, so I've stopped following it here. "
        f"To follow it again, type /livestream follow {MEETING}."
    )
    assert labels(message) == []
    assert "press *Follow again* on the card" in str(message.blocks)
    assert expired_reply(FOLLOW).text.startswith("This meeting hasn't been live")


def test_unfollowed_card_offers_to_follow_again() -> None:
    message = unfollowed_card(FOLLOW, "Launch keynote")

    assert message.text == "Launch keynote is no longer followed here."
    assert labels(message) == ["Follow again"]
    assert [element["action_id"] for element in elements(message)] == [FOLLOW_AGAIN]


TIMES = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
ADDRESSES = st.none() | st.sampled_from([STREAM, f"https://a.example/?{'&' * 390}", f"https://a.example/{'x' * 1_900}"])
EPISODES = st.builds(
    an_episode,
    st.sampled_from(Phase),
    name=TEXTS,
    playback_url=ADDRESSES,
    error_reason=TEXTS,
    raw_status=TEXTS,
    live_since=st.none() | TIMES,
    checked_at=st.none() | TIMES,
    failed_checks=st.integers(0, 4),
)
CHANGES = st.builds(
    a_change,
    st.sampled_from(ChangeKind),
    name=TEXTS,
    playback_url=ADDRESSES,
    error_reason=TEXTS,
    live_since=st.none() | TIMES,
    last_seen_live=st.none() | TIMES,
)


@given(EPISODES, st.sampled_from(Level), st.sampled_from(FollowState))
def test_any_card_is_harmless(episode: Episode, level: Level, state: FollowState) -> None:
    """Slack accepts it, and it notifies no one."""
    assert_harmless(follow_card(replace(FOLLOW, level=level, state=state), episode))


@given(CHANGES)
def test_any_reply_is_harmless(change: Change) -> None:
    assert_harmless(change_reply(FOLLOW, change))
    assert_harmless(expired_reply(FOLLOW, change.name))
    assert_harmless(unfollowed_card(FOLLOW, change.name))

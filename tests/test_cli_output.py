"""A lookup as printed in a terminal, and as JSON for scripts."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import cli_output
from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Livestream, Session

MEETING_ID = UUID("50c8940e-1b97-402a-97d6-2708b7feca41")
NOW = datetime(2026, 6, 3, 10, 0, 30, tzinfo=UTC)
STREAM = "https://customer-abc.cloudflarestream.com/0123456789abcdef0123456789abcdef"
PLAYBACK, PLAYER = f"{STREAM}/manifest/video.m3u8", f"{STREAM}/iframe"
STARTED = "2026-06-03T09:35:00.000Z"
SECRETS = {"stream_key": "sk-f1e2d3c4b5a6", "ingest_server": "rtmps://ingest.example.com/live"}


def lookup(
    livestream: dict[str, Any] | None, session: dict[str, Any] | None = None, name: str | None = "Weekly sync"
) -> Lookup:
    return Lookup(
        meeting_id=MEETING_ID,
        name=name,
        livestream=None if livestream is None else Livestream.model_validate({**livestream, **SECRETS}),
        session=None if session is None else Session.model_validate(session),
        checked_at=NOW,
    )


LIVE = lookup({"status": "LIVE", "playback_url": PLAYBACK}, {"started_time": STARTED})
NOT_LIVE = lookup(None)
ERRORED = lookup({"status": "ERRORED", "playback_url": PLAYBACK}, {"err_message": "no\nvideo", "started_time": STARTED})
UNKNOWN = lookup({"status": "PAUSED", "playback_url": "https://example.com/x.m3u8"})


def test_live_lookup_prints_start_and_urls() -> None:
    assert cli_output.lines(LIVE) == [
        "Weekly sync",
        "  Status:   live since 2026-06-03 09:35 UTC",
        f"  Watch:    {PLAYER}",
        f"  Playback: {PLAYBACK}",
        f"  Meeting:  {MEETING_ID}",
        "  Checked:  2026-06-03 10:00 UTC",
    ]


def test_lookup_that_is_not_live_prints_the_status_only() -> None:
    assert cli_output.lines(NOT_LIVE) == [
        "Weekly sync",
        "  Status:   not live",
        f"  Meeting:  {MEETING_ID}",
        "  Checked:  2026-06-03 10:00 UTC",
    ]


def test_errored_lookup_prints_the_reason_on_one_line() -> None:
    assert cli_output.lines(ERRORED)[1:3] == ["  Status:   errored", "  Reason:   no video"]


def test_unknown_status_prints_cloudflares_word() -> None:
    assert cli_output.lines(UNKNOWN)[1:4] == [
        "  Status:   unknown (Cloudflare says 'PAUSED')",
        "  Watch:    https://example.com/x.m3u8",
        "  Playback: https://example.com/x.m3u8",
    ]


def test_missing_status_prints_unknown() -> None:
    assert cli_output.lines(lookup({}))[1] == "  Status:   unknown"


@pytest.mark.parametrize("name", [None, "", "\u202e", "\x1b\n"])
def test_meeting_without_a_visible_name_prints_a_placeholder(name: str | None) -> None:
    assert cli_output.lines(lookup(None, name=name))[0] == "This meeting"


def test_long_texts_are_truncated() -> None:
    found = lookup({"status": "P" * 500}, name="N" * 500)

    name, status, *_ = cli_output.lines(found)

    assert name == "N" * 149 + "…"
    assert status == "  Status:   unknown (Cloudflare says '" + "P" * 39 + "…')"
    reason = cli_output.lines(lookup({"status": "ERRORED"}, {"err_message": "R" * 900}))[2]
    assert len(reason) == len("  Reason:   ") + 500


def test_live_json_has_every_field() -> None:
    assert cli_output.fields(LIVE) == {
        "meeting_id": str(MEETING_ID),
        "name": "Weekly sync",
        "status": "live",
        "live": True,
        "live_since": "2026-06-03T09:35:00+00:00",
        "error_reason": None,
        "raw_status": "LIVE",
        "playback_url": PLAYBACK,
        "player_url": PLAYER,
        "checked_at": "2026-06-03T10:00:30+00:00",
    }


def test_json_has_null_for_unknown_fields() -> None:
    assert cli_output.fields(NOT_LIVE) == {
        "meeting_id": str(MEETING_ID),
        "name": "Weekly sync",
        "status": "not_broadcasting",
        "live": False,
        "live_since": None,
        "error_reason": None,
        "raw_status": None,
        "playback_url": None,
        "player_url": None,
        "checked_at": "2026-06-03T10:00:30+00:00",
    }


@pytest.mark.parametrize(
    ("found", "status", "live"),
    [
        (LIVE, "live", True),
        (lookup({"status": "INVOKED"}), "starting", False),
        (lookup({"status": "IDLE"}), "not_broadcasting", False),
        (ERRORED, "errored", False),
        (UNKNOWN, "unknown", None),
    ],
)
def test_json_has_status_and_live_for_each_state(found: Lookup, status: str, live: bool | None) -> None:
    fields = cli_output.fields(found)

    assert (fields["status"], fields["live"]) == (status, live)


def test_json_has_the_reason_on_one_line() -> None:
    assert cli_output.fields(ERRORED)["error_reason"] == "no video"


@settings(deadline=None)
@given(
    status=st.sampled_from(["LIVE", "ERRORED", "IDLE"]) | st.text(),
    name=st.none() | st.text(),
    reason=st.text(),
    playback=st.just(PLAYBACK) | st.text(),
    started=st.just(STARTED) | st.text() | st.datetimes().map(datetime.isoformat),
)
def test_any_lookup_gives_printable_lines_and_json_without_secrets(
    status: str, name: str | None, reason: str, playback: str, started: str
) -> None:
    livestream = {"status": status, "name": name, "playback_url": playback}
    found = lookup(livestream, {"err_message": reason, "started_time": started}, name)

    lines, text = cli_output.lines(found), json.dumps(cli_output.fields(found))

    assert all(line.isprintable() and line for line in lines)
    assert "sk-f1e2d3c4b5a6" not in "".join(lines) + text
    assert "rtmps" not in "".join(lines) + text or "rtmps" in f"{status} {name} {reason}"

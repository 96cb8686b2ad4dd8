"""Logs: one form for all, and no secret in any of them."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import logs
from bot.errors import Unreachable

SECRET = "cloudflare-s3cr3t"  # made up
LOCAL = "a-local-variable"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


Configured = Callable[..., io.StringIO]


@pytest.fixture(params=["json", "console", "colours"])
def configured(request: pytest.FixtureRequest) -> Configured:
    """Return a function that configures logs in each of their forms, with one secret."""

    def configure(level: str = "INFO") -> io.StringIO:
        stream = Terminal() if request.param == "colours" else io.StringIO()
        style = "json" if request.param == "json" else "console"
        logs.configure(level=level, style=style, secrets=[SECRET], stream=stream)
        return stream

    return configure


def as_json(level: str = "INFO", secrets: list[str] | None = None) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level=level, style="json", secrets=secrets or [], stream=stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(text: str) -> None:
    local = LOCAL + "-" + text.upper()
    raise ValueError(f"could not {text}, {len(local)}")


# One format


def test_json_line_has_event_level_logger_time_and_context() -> None:
    stream = as_json()

    structlog.get_logger("bot.somewhere").bind(team="T1").warning("happened", meeting="1", count=2)

    (line,) = records(stream)
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert at.utcoffset() == timedelta(0)
    assert line == {
        "event": "happened",
        "level": "warning",
        "logger": "bot.somewhere",
        "team": "T1",
        "meeting": "1",
        "count": 2,
    }


def test_library_lines_have_the_same_fields() -> None:
    stream = as_json()

    logging.getLogger("some.library").error("%s of %d", "one", 2)

    (line,) = records(stream)
    assert set(line) == {"event", "level", "logger", "timestamp"}
    assert (line["event"], line["level"], line["logger"]) == ("one of 2", "error", "some.library")


def test_bound_context_is_on_every_line() -> None:
    """Also on those of libraries."""
    stream = as_json()

    with structlog.contextvars.bound_contextvars(command_id="c1", user="U1"):
        structlog.get_logger("bot").info("ours")
        logging.getLogger("some.library").info("theirs")

    assert [(line["event"], line["command_id"], line["user"]) for line in records(stream)] == [
        ("ours", "c1", "U1"),
        ("theirs", "c1", "U1"),
    ]


def test_values_unknown_to_json_are_shown_by_repr() -> None:
    stream = as_json()

    structlog.get_logger("bot").info("odd", value={1, 2}, half="\ud800", error=Unreachable(detail="down"))

    (line,) = records(stream)
    assert line["value"] == "{1, 2}"
    assert "down" in line["error"]


def test_console_line_is_readable_and_uncolored_without_a_terminal() -> None:
    stream = io.StringIO()
    logs.configure(style="console", stream=stream)

    structlog.get_logger("bot.somewhere").info("happened", meeting="1")

    line = stream.getvalue()
    assert "happened" in line
    assert "meeting=1" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("stream", "style", "is_json"),
    [
        (Terminal(), None, False),
        (io.StringIO(), None, True),
        (Terminal(), "json", True),
        (io.StringIO(), "console", False),
    ],
)
def test_default_style_depends_on_the_terminal(stream: io.StringIO, style: str | None, is_json: bool) -> None:
    logs.configure(style=style, stream=stream)

    structlog.get_logger("bot").info("happened")

    assert stream.getvalue().startswith("{") is is_json


def test_logs_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    structlog.get_logger("bot").info("happened")

    written = capsys.readouterr()
    assert written.out == ""
    assert "happened" in written.err


def test_current_standard_error_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure()

    structlog.get_logger("bot").info("happened")

    assert [line["event"] for line in records(stream)] == ["happened"]


def test_only_the_last_configuration_applies() -> None:
    first = as_json()
    second = as_json()

    structlog.get_logger("bot").info("happened")

    assert first.getvalue() == ""
    assert len(records(second)) == 1


@pytest.mark.parametrize(("level", "events"), [("DEBUG", 3), ("INFO", 2), ("WARNING", 1), ("ERROR", 0)])
def test_lines_below_the_level_are_dropped(level: str, events: int) -> None:
    stream = as_json(level)

    for log in (structlog.get_logger("bot"), logging.getLogger("some.library")):
        log.debug("1")
        log.info("2")
        log.warning("3")

    assert len(records(stream)) == 2 * events


@pytest.mark.parametrize(
    "name",
    [
        "httpx",
        "httpcore.http11",
        "aiohttp.client",
        "asyncio",
        "slack_bolt.App",
        "slack_sdk.web",
        "uvicorn.error",
        "websockets.client",
    ],
)
def test_chatty_libraries_log_only_warnings_at_debug(name: str) -> None:
    """Their frames contain tokens."""
    stream = as_json("DEBUG")

    logging.getLogger(name).debug("GET https://...")
    logging.getLogger(name).info("200 OK")
    logging.getLogger(name).warning("retrying")

    assert [line["event"] for line in records(stream)] == ["retrying"]


def test_chatty_libraries_obey_a_higher_level() -> None:
    stream = as_json("ERROR")

    logging.getLogger("httpx").warning("retrying")

    assert stream.getvalue() == ""


# Tracebacks


def test_traceback_has_no_local_variables(configured: Configured) -> None:
    stream = configured()

    try:
        fail("connect")
    except ValueError:
        structlog.get_logger("bot").exception("failed")
        logging.getLogger("some.library").exception("failed too")

    assert stream.getvalue().count("ValueError: could not connect") == 2
    assert stream.getvalue().count("in fail") == 2
    assert f"{LOCAL}-CONNECT" not in stream.getvalue()


def test_traceback_is_one_json_field() -> None:
    stream = as_json()

    try:
        fail("connect")
    except ValueError:
        logging.getLogger("some.library").exception("failed")

    (line,) = records(stream)
    assert line["exception"].startswith("Traceback")


def test_secrets_in_exceptions_and_causes_are_masked(configured: Configured) -> None:
    stream = configured()

    try:
        try:
            fail(f"send {SECRET}")
        except ValueError as error:
            raise RuntimeError(f"Bearer {SECRET}") from error
    except RuntimeError:
        structlog.get_logger("bot").exception("failed")
        logging.getLogger("some.library").exception("failed too")

    assert "ValueError: could not send [secret]" in stream.getvalue()
    assert SECRET not in stream.getvalue()


# Secrets


def test_secrets_are_masked_anywhere_in_a_line(configured: Configured) -> None:
    stream = configured()
    log = structlog.get_logger("bot").bind(bound=SECRET)

    event = f"event {SECRET}"
    log.info(event, value=SECRET, nested={"a": [SECRET]}, url=f"https://x/{SECRET}/y", **{SECRET: 1})
    logging.getLogger("some.library").info("message %s", SECRET)
    logging.getLogger(f"logger.{SECRET}").info("x")
    with structlog.contextvars.bound_contextvars(context=SECRET):
        log.info("context")

    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("[secret]") >= 9


def test_overlapping_secrets_are_masked() -> None:
    """Also one that is the beginning of another; an empty one masks nothing."""
    stream = as_json(secrets=["abc", "abc-def", "", 'quo"ted\\'])

    structlog.get_logger("bot").info("x", a="abc-def", b="abc", c='quo"ted\\', d="ab")

    (line,) = records(stream)
    assert [line[key] for key in "abcd"] == ["[secret]", "[secret]", "[secret]", "ab"]


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        ("token xoxb-123-abc refused", "token xoxb-[secret] refused"),
        ("xoxp-1-2", "xoxp-[secret]"),
        ("xoxe.xoxp-1-Mi0y", "xoxe.xoxp-[secret]"),
        ("xapp-1-A1-2-abc", "xapp-[secret]"),
        (
            "wss://wss-primary.slack.com/link/?ticket=ab-c_d.e%3D&app_id=1",
            "wss://wss-primary.slack.com/link/?ticket=[secret]&app_id=1",
        ),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [secret]"),
        ("authorization: bearer  abc", "authorization: bearer  [secret]"),
        ("{'Authorization': 'Bearer abc', 'x': 1}", "{'Authorization': 'Bearer [secret]', 'x': 1}"),
        ("a token starts with xoxb- or xapp-", "a token starts with xoxb- or xapp-"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_unknown_tokens_are_masked_by_their_form(logged: str, shown: str) -> None:
    stream = as_json()

    structlog.get_logger("bot").info(logged)
    logging.getLogger("some.library").info("%s", logged)

    assert [line["event"] for line in records(stream)] == [shown, shown]


def test_unknown_tokens_are_masked_in_every_style(configured: Configured) -> None:
    stream = configured()

    structlog.get_logger("bot").info(
        "xoxb-12345", url="wss://x/?ticket=12345", headers={"Authorization": "Bearer 12345"}
    )
    logging.getLogger("some.library").info('Bearer 12345 "Bearer 12345"')

    assert "12345" not in stream.getvalue()
    assert stream.getvalue().count("[secret]") == 5


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=" "), min_size=8, max_size=20),
    st.sampled_from(["json", "console"]),
    st.text(max_size=5),
)
def test_any_printable_secret_is_masked(secret: str, style: str, around: str) -> None:
    """Also where it had to be quoted."""
    stream = io.StringIO()
    logs.configure(style=style, secrets=[secret], stream=stream)

    structlog.get_logger("bot").info("happened", value=f"{around} {secret}")

    written = stream.getvalue()
    assert secret not in written
    assert json.dumps(secret)[1:-1] not in written


def test_masking_keeps_colors() -> None:
    stream = Terminal()
    logs.configure(style="console", stream=stream)

    structlog.get_logger("bot").info("connecting", url="wss://x/?ticket=12345")

    assert "ticket=[secret]'\x1b[0m" in stream.getvalue()


# Lines that cannot be written


def test_unformattable_library_line_is_reported_as_lost(
    configured: Configured, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = configured()

    logging.getLogger("some.library").info("%d", SECRET + "!")

    assert "was lost: TypeError" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert SECRET not in stream.getvalue() + "".join(capsys.readouterr())


def test_unencodable_line_is_reported_as_lost(capsys: pytest.CaptureFixture[str]) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    logs.configure(style="console", stream=stream)

    structlog.get_logger("bot").info("détail")
    stream.flush()

    assert b"was lost: UnicodeEncodeError" in written.getvalue()
    assert "détail" not in "".join(capsys.readouterr())


def test_closed_stream_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stream = as_json()
    stream.close()

    structlog.get_logger("bot").info("happened", secret=SECRET)

    assert "".join(capsys.readouterr()) == ""


def test_line_logged_while_another_is_written_appears() -> None:
    """The garbage collector may run then, and log in the same thread that a task's exception was never retrieved."""

    class Collecting(io.StringIO):
        def write(self, line: str) -> int:
            if "first" in line:
                logging.getLogger("asyncio").error("second")
            return super().write(line)

    stream = Collecting()
    logs.configure(style="json", stream=stream)

    structlog.get_logger("bot").info("first")

    assert [record["event"] for record in records(stream)] == ["second", "first"]


def test_stream_that_refuses_a_line_while_it_writes_another_raises_nothing() -> None:
    class Refusing(io.StringIO):
        def write(self, line: str) -> int:
            raise RuntimeError("reentrant call")

    logs.configure(style="json", stream=Refusing())

    structlog.get_logger("bot").info("happened")


async def test_unhandled_task_exception_is_logged_and_masked(configured: Configured) -> None:
    stream = configured()

    asyncio.get_running_loop().call_exception_handler(
        {"message": f"Task exception was never retrieved: {SECRET}", "exception": ValueError(f"no {SECRET}")}
    )

    assert "ValueError: no [secret]" in stream.getvalue()
    assert SECRET not in stream.getvalue()

"""The command line."""

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
import yaml
from pytest_mock import MockerFixture

from bot import __version__
from bot.cli import main
from bot.errors import AuthenticationFailed, MeetingNotFound, RateLimited, RealtimeKitError, Unreachable
from bot.slack.manifest import bot_scopes, manifest_text
from bot.webhook_commands import describe_error
from sandbox.bot_process import below_the_usual, settings_for
from sandbox.realtimekit import Fault, seeds
from tests.conftest import World

PLAIN = {"NO_COLOR": "1", "COLUMNS": "120"}
NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a process."""

    status: int | None
    out: str
    err: str


async def start(
    *arguments: str, environment: Mapping[str, str] | None = None, python: tuple[str, ...] = ()
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *python,
        "-m",
        "bot",
        *arguments,
        env={**os.environ, **PLAIN, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_process(*arguments: str, **options: Any) -> Result:
    """Run `livestream-bot` as a process of its own, to its end."""
    process = await start(*arguments, **options)
    out, err = await process.communicate()
    return Result(process.returncode, out.decode(), err.decode())


async def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Result:
    """Run `livestream-bot` to its end, in an empty folder and without settings but those given.

    It runs in a thread of this process, which spares the second that a new one takes to import everything.
    """
    return await asyncio.to_thread(_run_here, arguments, {**PLAIN, **(environment or {})})


def _run_here(arguments: tuple[str, ...], environment: dict[str, str]) -> Result:
    out, err = io.StringIO(), io.StringIO()
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    try:
        with (
            mock.patch.dict(os.environ, environment),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as exit_,
        ):
            main([*arguments])
    finally:
        # What the program sets up for its own logs.
        logger.handlers, logger.level = handlers, level
        structlog.reset_defaults()
    return Result(exit_.value.code or 0, out.getvalue(), err.getvalue())  # type: ignore[arg-type]


@pytest.fixture
def ask(world: World) -> Callable[..., Awaitable[Result]]:
    """Run a command that is connected to the sandbox."""
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "socket")

    async def ask(*arguments: str, as_process: bool = False, **changes: str) -> Result:
        """Run a command that is connected to the sandbox."""
        with below_the_usual() as sock:
            port = str(sock.getsockname()[1])
        runner = run_process if as_process else run
        result = await runner(*arguments, environment={"PORT": port, **environment, **changes})
        secrets = (world.slack.credentials.bot_token, world.slack.credentials.app_token, world.kit.api_token)
        assert not [secret for secret in (*secrets, *world.kit.secrets) if secret in result.out + result.err]
        assert "Traceback" not in result.err
        return result

    return ask


Ask = Callable[..., Awaitable[Result]]


# In general


async def test_version_option_prints_the_version() -> None:
    assert await run("--version") == Result(0, f"livestream-bot {__version__}\n", "")


async def test_usage_without_a_command_lists_all_commands() -> None:
    result = await run()

    for command in ("run", "lookup", "doctor", "manifest", "webhook"):
        assert command in result.out + result.err
    assert result.status == 2


async def test_unknown_command_is_a_usage_error() -> None:
    result = await run("walk")

    assert result.status == 2
    assert "No such command 'walk'" in result.err


@pytest.mark.parametrize("arguments", [("webhook", "add", "--help"), ("--version",)])
async def test_help_imports_no_heavy_libraries(arguments: tuple[str, ...]) -> None:
    result = await run_process(*arguments, python=("-X", "importtime"))

    loaded = {line.rsplit("|")[-1].strip() for line in result.err.splitlines()}
    assert result.status == 0
    assert "bot.cli" in loaded
    assert not loaded & {"slack_bolt", "slack_sdk", "aiohttp", "httpx", "uvicorn", "uvloop", "structlog"}


# run


async def test_run_without_settings_lists_every_missing_setting() -> None:
    result = await run("run")

    assert (result.status, result.out) == (2, "")
    assert [line.split()[0] for line in result.err.splitlines()] == [
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]
    assert "Traceback" not in result.err


async def test_run_with_a_rejected_token_is_a_settings_error(ask: Ask) -> None:
    result = await ask("run", as_process=True, SLACK_BOT_TOKEN="xoxb-another")

    assert result.status == 2
    assert result.err.splitlines()[-1].startswith("SLACK_BOT_TOKEN is refused by Slack (invalid_auth).")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_run_stops_cleanly_on_a_signal(world: World, number: signal.Signals) -> None:
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "socket")
    with below_the_usual() as sock:
        port = str(sock.getsockname()[1])
    process = await start("run", environment={**environment, "PORT": port, "LOG_FORMAT": "json"})
    await world.slack.wait_for_connections(timeout=20)
    assert process.stderr is not None
    logged = await process.stderr.readuntil(b'"bot_started"')

    process.send_signal(number)
    _, err = await process.communicate()

    assert process.returncode == 0
    assert b'"bot_stopped"' in err
    assert b"Traceback" not in logged + err


# lookup


async def test_lookup_of_a_live_meeting_prints_its_details(ask: Ask, world: World) -> None:
    result = await ask("lookup", seeds.LIVE, as_process=True)

    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "Launch keynote"
    assert lines[1].startswith("  Status:   live since ")
    assert any(line.startswith("  Watch:    https://customer-") and line.endswith("/iframe") for line in lines)
    assert f"  Meeting:  {seeds.LIVE}" in lines


@pytest.mark.parametrize(
    ("meeting_id", "status", "name"),
    [
        (seeds.LIVE, 0, "live"),
        (seeds.STARTING, 1, "starting"),
        (seeds.IDLE, 1, "not_broadcasting"),
        (seeds.NEVER_LIVE, 1, "not_broadcasting"),
        (seeds.ERRORED, 1, "errored"),
        (seeds.UNKNOWN_STATUS, 4, "unknown"),
    ],
)
async def test_lookup_json_and_exit_status_give_the_status(ask: Ask, meeting_id: str, status: int, name: str) -> None:
    result = await ask("lookup", meeting_id, "--json")

    found = json.loads(result.out)
    assert (result.status, found["status"], found["live"]) == (status, name, {0: True, 1: False}.get(status))
    assert found["meeting_id"] == meeting_id


@pytest.mark.parametrize("argument", [f"https://dash.example.com/{seeds.LIVE}?tab=live", seeds.LIVE.upper()])
async def test_lookup_accepts_a_link_or_capitals(ask: Ask, argument: str) -> None:
    result = await ask("lookup", argument)

    assert result.status == 0


async def test_lookup_removes_control_characters_from_the_name(ask: Ask, world: World) -> None:
    world.kit.change(seeds.LIVE, title="\x1b]0;owned\x07\u202eevil\nStatus: live")

    result = await ask("lookup", seeds.LIVE)

    assert result.out.splitlines()[0] == "]0;ownedevil Status: live"
    assert not set(result.out) & set("\x1b\x07\u202e")


@pytest.mark.parametrize("argument", ["help", f"{seeds.LIVE} {seeds.IDLE}", "", seeds.LIVE[:-1]])
async def test_lookup_without_exactly_one_id_is_a_usage_error(argument: str) -> None:
    result = await run("lookup", argument)

    assert result == Result(2, "", "Give one meeting ID, such as 50c8940e-1b97-402a-97d6-2708b7feca41.\n")


@pytest.mark.parametrize("arguments", [("lookup", seeds.LIVE), ("webhook", "list")])
async def test_cloudflare_commands_need_only_cloudflares_settings(arguments: tuple[str, ...]) -> None:
    result = await run(*arguments)

    assert (result.status, result.out) == (2, "")
    assert [line.split()[0] for line in result.err.splitlines()] == [
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]


@pytest.mark.parametrize(
    ("argument", "meeting_id", "error"),
    [("nonsense", None, "invalid_meeting_id"), (seeds.LIVE, seeds.LIVE, "invalid_settings")],
)
async def test_lookup_json_reports_a_bad_id_or_missing_settings_as_json(
    argument: str, meeting_id: str | None, error: str
) -> None:
    result = await run("lookup", argument, "--json")

    found = json.loads(result.out)
    assert (result.status, found.pop("message")) == (2, " ".join(result.err.splitlines()))
    assert found == {"meeting_id": meeting_id, "live": None, "error": error}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json",), "Missing argument"),
        (("--json", seeds.LIVE, seeds.IDLE), "unexpected extra argument"),
        ((seeds.LIVE, "--json", "--nope"), "No such option: --nope"),
        (("--nope", seeds.LIVE, "--json"), "No such option: --nope"),
        ((seeds.LIVE, "--json=yes"), "does not take a value"),
    ],
)
async def test_lookup_json_reports_wrong_usage_as_json(arguments: tuple[str, ...], said: str) -> None:
    result = await run("lookup", *arguments)

    found = json.loads(result.out)
    assert said in found["message"]
    assert f"{found.pop('message')}\n" in result.err
    assert (result.status, found) == (2, {"meeting_id": None, "live": None, "error": "invalid_usage"})


@pytest.mark.parametrize("arguments", [(), (seeds.LIVE, seeds.IDLE), (seeds.LIVE, "--", "--json")])
async def test_lookup_without_json_prints_no_json_for_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = await run("lookup", *arguments)

    assert (result.status, result.out) == (2, "")
    assert "Usage: " in result.err


def _broken(*_: object) -> object:
    return {}["sk-1234"]  # type: ignore[index]


@pytest.mark.parametrize(
    "place", ["bot.livestream_sources.look_up", "bot.cli_output.fields", "bot.livestream_sources.open_realtimekit"]
)
async def test_lookup_json_reports_a_crash_as_json(ask: Ask, mocker: MockerFixture, place: str) -> None:
    mocker.patch(place, _broken)

    result = await ask("lookup", seeds.LIVE, "--json")

    found = json.loads(result.out)
    assert (result.status, found.pop("message")) == (4, result.err.rstrip())
    assert found == {"meeting_id": seeds.LIVE, "live": None, "error": "internal_error"}


async def test_lookup_crash_is_reported_without_variables(ask: Ask, mocker: MockerFixture) -> None:
    """The sentence names the place, not the values registered."""
    mocker.patch("bot.livestream_sources.look_up", _broken)

    result = await ask("lookup", seeds.LIVE)

    assert (result.status, result.out) == (4, "")
    assert re.fullmatch(r"livestream-bot has a bug: KeyError at test_cli\.py:\d+\. Please report it\.\n", result.err)


@pytest.mark.parametrize("arguments", [("-h",), ("lookup", "-h"), ("webhook", "add", "-h")])
async def test_short_help_option_works_for_every_command(arguments: tuple[str, ...]) -> None:
    result = await run(*arguments)

    assert (result.status, result.err) == (0, "")
    assert "Usage: " in result.out
    assert "<bool>" not in result.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("manifest", "xyz"), "Give socket or http."),
        (("webhook", "remove", "nope"), "That isn't a webhook ID. `livestream-bot webhook list` shows them."),
    ],
)
async def test_wrong_argument_names_the_valid_values(arguments: tuple[str, ...], sentence: str) -> None:
    result = await run(*arguments)

    assert (result.status, result.out) == (2, "")
    assert sentence in result.err
    assert "Input should" not in result.err
    assert "Value error" not in result.err


async def test_shell_completion_is_printed() -> None:
    result = await run("--show-completion", "bash", environment={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})

    assert result.status == 0
    assert "complete" in result.out


async def test_manifest_for_socket_mode_rejects_a_url() -> None:
    result = await run("manifest", "socket", "--url", "https://bot.example.com")

    assert (result.status, result.out) == (2, "")
    assert result.err == "--url is for `manifest http`: with Socket Mode Slack needs no address.\n"


async def test_doctor_lists_the_checks_that_it_skips(ask: Ask) -> None:
    result = await ask("doctor", CLOUDFLARE_API_TOKEN="", SLACK_BOT_TOKEN="")

    skipped = [line.removeprefix("skip ").partition(":")[0] for line in result.out.splitlines() if line[:4] == "skip"]
    assert result.status == 1
    assert skipped == [
        "Slack bot token",
        "Slack direct messages",
        "Slack connection",
        "Cloudflare RealtimeKit",
        "RealtimeKit webhook",
        "RealtimeKit's public key",
    ]


MISSING = (NO_SUCH_MEETING, None, 3, MeetingNotFound())
REFUSED = (seeds.LIVE, Fault.UNAUTHORIZED, 4, AuthenticationFailed())
LIMITED = (seeds.LIVE, Fault.RATE_LIMITED, 4, RateLimited(0))


@pytest.mark.parametrize(("meeting_id", "fault", "status", "error"), [MISSING, REFUSED, LIMITED])
async def test_failed_lookup_reports_the_error_in_a_sentence_and_as_json(
    ask: Ask, world: World, meeting_id: str, fault: Fault | None, status: int, error: RealtimeKitError
) -> None:
    world.kit.fault, world.kit.retry_after = fault or Fault.NONE, 0

    plain = await ask("lookup", meeting_id)
    result = await ask("lookup", meeting_id, "--json")

    assert plain == Result(status, "", f"{error.sentence}\n")
    assert (result.status, result.err) == (plain.status, plain.err)
    assert json.loads(result.out) == {
        "meeting_id": meeting_id,
        "live": None,
        "error": error.code,
        "message": error.sentence,
    }


# doctor


async def test_doctor_passes_every_check_in_a_good_setup(ask: Ask) -> None:
    result = await ask("doctor")

    assert (result.status, result.err) == (0, "")
    assert len(result.out.splitlines()) == 9
    assert all(line.startswith("ok   ") for line in result.out.splitlines())


async def test_doctor_marks_a_failed_check_and_exits_with_1(ask: Ask, world: World) -> None:
    world.slack.scopes = {*bot_scopes()} - {"chat:write"}

    result = await ask("doctor")

    assert (result.status, result.err) == (1, "")
    [line] = [line for line in result.out.splitlines() if line.startswith("FAIL ")]
    assert line.startswith("FAIL Slack bot token: It lacks chat:write.")


# webhook

BOT = "https://bot.example.com"
WEBHOOK = f"{BOT}/realtimekit/webhooks"


async def test_webhook_is_registered_listed_and_removed_by_url(ask: Ask, world: World) -> None:
    added = await ask("webhook", "add", "--url", f"{BOT}/")
    [registered] = world.kit.webhooks.values()
    listed = await ask("webhook", "list")
    removed = await ask("webhook", "remove", "--url", BOT)
    empty = await ask("webhook", "list")

    line = f"{registered.id}  enabled  {WEBHOOK}  livestreaming.statusUpdate, meeting.started, meeting.ended\n"
    assert added == Result(0, f"Registered:\n{line}", "")
    assert listed == Result(0, line, "")
    assert removed == Result(0, f"Removed: {registered.id}\n", "")
    assert empty == Result(0, "No webhooks are registered.\n", "")
    assert world.kit.webhooks == {}


async def test_registered_webhook_is_not_registered_again(ask: Ask, world: World) -> None:
    world.kit.add_webhook(WEBHOOK)

    result = await ask("webhook", "add", "--url", WEBHOOK)

    assert (result.status, result.out.splitlines()[0]) == (0, "Already registered:")
    assert len(world.kit.webhooks) == 1


async def test_webhook_is_removed_by_its_id(ask: Ask, world: World) -> None:
    kept, other = world.kit.add_webhook(WEBHOOK, enabled=False), world.kit.add_webhook(WEBHOOK)

    removed = await ask("webhook", "remove", other.id)
    again = await ask("webhook", "remove", other.id)
    listed = await ask("webhook", "list")

    assert removed == Result(0, f"Removed: {other.id}\n", "")
    assert again == Result(1, "", f"There is no webhook {other.id}. See `livestream-bot webhook list`.\n")
    assert listed.out.startswith(f"{kept.id}  disabled  {WEBHOOK}  ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add",), "--url"),
        (("add", "--url", "bot.example.com"), "--url is not an http:// or https:// address"),
        (("add", "--url", "http://bot.example.com"), "--url must be https://"),
        (("remove",), "Give either the ID of a webhook or --url."),
        (("remove", NO_SUCH_MEETING, "--url", BOT), "Give either the ID of a webhook or --url."),
        (("remove", ".."), "Invalid value for 'webhook_id'"),
        (("remove", "--url", ".."), "--url is not an http:// or https:// address"),
    ],
)
async def test_wrong_webhook_arguments_send_no_request(
    ask: Ask, world: World, arguments: tuple[str, ...], message: str
) -> None:
    result = await ask("webhook", *arguments)

    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert list(world.kit.calls) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Fault.UNAUTHORIZED,
            "Cloudflare rejects the request (HTTP 401, 10000, Authentication error). `livestream-bot doctor`",
        ),
        (Fault.RATE_LIMITED, "Cloudflare is rate-limiting this bot. Try again in five minutes."),
        (Fault.SERVER_ERROR, "Cloudflare is having problems (HTTP 500"),
    ],
)
async def test_failed_webhook_command_reports_the_error(ask: Ask, world: World, fault: Fault, message: str) -> None:
    world.kit.fault = fault

    result = await ask("webhook", "list")

    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(message)
    assert "meeting" not in result.err


# manifest


async def test_manifest_has_a_link_that_creates_the_app() -> None:
    """As a comment, so that the output is still YAML."""
    result = await run("manifest", "socket")

    assert (result.status, result.err) == (0, "")
    assert result.out.endswith(manifest_text("socket"))
    link = result.out.splitlines()[1].removeprefix("# ")
    [carried] = parse_qs(urlsplit(link).query)["manifest_json"]
    assert yaml.safe_load(result.out) == json.loads(carried)


async def test_http_manifest_contains_the_given_url() -> None:
    result = await run("manifest", "http", "--url", "https://bot.example.com")

    assert result.status == 0
    assert result.out.endswith(manifest_text("http", "https://bot.example.com"))


def test_unreachable_cloudflare_is_called_that() -> None:
    sentence = describe_error(Unreachable(detail="ClientConnectorDNSError for /webhooks"))

    assert sentence.startswith("Can't reach Cloudflare (ClientConnectorDNSError for /webhooks). Try again")


@pytest.mark.parametrize("arguments", [("http",), ("http", "--url", "http://bot.example.com")])
async def test_http_manifest_needs_an_https_url(arguments: tuple[str, ...]) -> None:
    result = await run("manifest", *arguments)

    assert (result.status, result.out) == (2, "")
    assert (
        result.err
        == "Say where Slack reaches the bot: --url https://bot.example.com. It must be https, without a path.\n"
    )

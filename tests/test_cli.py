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
from bot.errors import AuthenticationFailed, MeetingNotFound, RateLimited
from bot.slack.manifest import bot_scopes, manifest_text
from sandbox.bot_process import below_the_usual, settings_for
from sandbox.realtimekit import Fault, seeds
from tests.conftest import World

PLAIN = {"NO_COLOR": "1", "COLUMNS": "120"}
NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

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


async def run_process(*arguments: str, **how: Any) -> Ended:
    """Run `livestream-bot` as a process of its own, to its end."""
    process = await start(*arguments, **how)
    out, err = await process.communicate()
    return Ended(process.returncode, out.decode(), err.decode())


async def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run `livestream-bot` to its end, in an empty folder and without settings but those given.

    It runs in a thread of this process, which spares the second that a new one takes to import everything.
    """
    return await asyncio.to_thread(_run_here, arguments, {**PLAIN, **(environment or {})})


def _run_here(arguments: tuple[str, ...], environment: dict[str, str]) -> Ended:
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
    return Ended(exit_.value.code or 0, out.getvalue(), err.getvalue())  # type: ignore[arg-type]


@pytest.fixture
def ask(world: World) -> Callable[..., Awaitable[Ended]]:
    """Runs a command that is connected to the sandbox."""
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "socket")

    async def ask(*arguments: str, as_process: bool = False, **changes: str) -> Ended:
        with below_the_usual() as sock:
            port = str(sock.getsockname()[1])
        how = run_process if as_process else run
        ended = await how(*arguments, environment={"PORT": port, **environment, **changes})
        secrets = (world.slack.credentials.bot_token, world.slack.credentials.app_token, world.kit.api_token)
        assert not [secret for secret in (*secrets, *world.kit.secrets) if secret in ended.out + ended.err]
        assert "Traceback" not in ended.err
        return ended

    return ask


Ask = Callable[..., Awaitable[Ended]]


# In general


async def test_version() -> None:
    """It says which version it is."""
    assert await run("--version") == Ended(0, f"livestream-bot {__version__}\n", "")


async def test_no_command() -> None:
    """Without a command it says which there are."""
    ended = await run()

    for command in ("run", "lookup", "doctor", "manifest", "webhook"):
        assert command in ended.out + ended.err
    assert ended.status == 2


async def test_unknown_command() -> None:
    """A command that does not exist is a mistake, told as one."""
    ended = await run("walk")

    assert ended.status == 2
    assert "No such command 'walk'" in ended.err


@pytest.mark.parametrize(
    "arguments", [("lookup", "--help"), ("manifest", "--help"), ("webhook", "add", "--help"), ("--version",)]
)
async def test_only_what_is_needed(arguments: tuple[str, ...]) -> None:
    """Help does not wait for libraries that only the work needs."""
    ended = await run_process(*arguments, python=("-X", "importtime"))

    loaded = {line.rsplit("|")[-1].strip() for line in ended.err.splitlines()}
    assert ended.status == 0
    assert "bot.cli" in loaded
    assert not loaded & {"slack_bolt", "slack_sdk", "aiohttp", "httpx", "uvicorn", "uvloop", "structlog"}


# run


async def test_run_without_settings() -> None:
    """Without its settings the bot does not start, and says of each what it is, in a sentence of its own."""
    ended = await run_process("run")

    assert (ended.status, ended.out) == (2, "")
    assert [line.split()[0] for line in ended.err.splitlines()] == [
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]
    assert "Traceback" not in ended.err


async def test_run_with_a_refused_token(ask: Ask) -> None:
    """A token that Slack refuses is a mistake in the settings too."""
    ended = await ask("run", as_process=True, SLACK_BOT_TOKEN="xoxb-another")

    assert ended.status == 2
    assert ended.err.splitlines()[-1].startswith("SLACK_BOT_TOKEN is refused by Slack (invalid_auth).")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_run_until_told_to_stop(world: World, number: signal.Signals) -> None:
    """The bot runs until SIGTERM, Ctrl-C or SIGHUP, and ends well."""
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


async def test_lookup(ask: Ask, world: World) -> None:
    """A live meeting is told in lines, with where to watch it, and the exit status 0."""
    ended = await ask("lookup", seeds.LIVE, as_process=True)

    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "Launch keynote"
    assert lines[1].startswith("  Status:   live since ")
    assert any(line.startswith("  Watch:    https://customer-") and line.endswith("/iframe") for line in lines)
    assert f"  Meeting:  {seeds.LIVE}" in lines


@pytest.mark.parametrize(
    ("meeting_id", "status", "word"),
    [
        (seeds.LIVE, 0, "live"),
        (seeds.STARTING, 1, "starting"),
        (seeds.IDLE, 1, "not_broadcasting"),
        (seeds.NEVER_LIVE, 1, "not_broadcasting"),
        (seeds.ERRORED, 1, "errored"),
        (seeds.UNKNOWN_STATUS, 4, "unknown"),
    ],
)
async def test_lookup_json(ask: Ask, meeting_id: str, status: int, word: str) -> None:
    """Scripts get one JSON object, and an exit status that says live, not live, or could not tell."""
    ended = await ask("lookup", meeting_id, "--json")

    found = json.loads(ended.out)
    assert (ended.status, found["status"], found["live"]) == (status, word, {0: True, 1: False}.get(status))
    assert found["meeting_id"] == meeting_id


@pytest.mark.parametrize("meant", [f"https://dash.example.com/{seeds.LIVE}?tab=live", seeds.LIVE.upper()])
async def test_lookup_of_a_link(ask: Ask, meant: str) -> None:
    """A link will do, as it does in Slack."""
    ended = await ask("lookup", meant)

    assert ended.status == 0


async def test_lookup_of_a_nasty_name(ask: Ask, world: World) -> None:
    """No name from outside steers the terminal."""
    world.kit.change(seeds.LIVE, title="\x1b]0;owned\x07\u202eevil\nStatus: live")

    ended = await ask("lookup", seeds.LIVE)

    assert ended.out.splitlines()[0] == "]0;ownedevil Status: live"
    assert not set(ended.out) & set("\x1b\x07\u202e")


@pytest.mark.parametrize("meant", ["help", f"{seeds.LIVE} {seeds.IDLE}", "", seeds.LIVE[:-1]])
async def test_lookup_of_nothing(meant: str) -> None:
    """Without exactly one meeting ID there is nothing to ask, whatever the settings are."""
    ended = await run("lookup", meant)

    assert ended == Ended(2, "", "Give one meeting ID, such as 50c8940e-1b97-402a-97d6-2708b7feca41.\n")


async def test_lookup_without_settings() -> None:
    """Lookup needs Cloudflare's settings, all of which are told, and none of Slack's."""
    ended = await run("lookup", seeds.LIVE)

    assert (ended.status, ended.out) == (2, "")
    assert [line.split()[0] for line in ended.err.splitlines()] == [
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]


@pytest.mark.parametrize(
    ("meant", "meeting_id", "error"),
    [("nonsense", None, "invalid_meeting_id"), (seeds.LIVE, seeds.LIVE, "invalid_settings")],
)
async def test_lookup_json_is_json_also_for_a_bad_id_and_missing_settings(
    meant: str, meeting_id: str | None, error: str
) -> None:
    ended = await run("lookup", meant, "--json")

    found = json.loads(ended.out)
    assert (ended.status, found.pop("message")) == (2, " ".join(ended.err.splitlines()))
    assert found == {"meeting_id": meeting_id, "live": None, "error": error}


async def test_lookup_json_of_a_missing_meeting_names_the_error_by_its_code(ask: Ask) -> None:
    ended = await ask("lookup", NO_SUCH_MEETING, "--json")

    assert (ended.status, json.loads(ended.out)["error"]) == (3, "meeting_not_found")


def _broken(*_: object) -> object:
    return {}["sk-1234"]  # type: ignore[index]


@pytest.mark.parametrize("place", ["bot.app.look_up", "bot.cli_output.fields", "bot.app.open_realtimekit"])
async def test_lookup_json_is_json_even_after_a_crash(ask: Ask, mocker: MockerFixture, place: str) -> None:
    mocker.patch(place, _broken)

    ended = await ask("lookup", seeds.LIVE, "--json")

    found = json.loads(ended.out)
    assert (ended.status, found.pop("message")) == (4, ended.err.rstrip())
    assert found == {"meeting_id": seeds.LIVE, "live": None, "error": "internal_error"}


async def test_a_crashed_lookup_is_one_sentence(ask: Ask, mocker: MockerFixture) -> None:
    """It says where, without what is in the variables there."""
    mocker.patch("bot.app.look_up", _broken)

    ended = await ask("lookup", seeds.LIVE)

    assert (ended.status, ended.out) == (4, "")
    assert re.fullmatch(r"livestream-bot has a bug: KeyError at test_cli\.py:\d+\. Please report it\.\n", ended.err)


@pytest.mark.parametrize("arguments", [("-h",), ("lookup", "-h"), ("webhook", "add", "-h")])
async def test_short_help_option_works_for_every_command(arguments: tuple[str, ...]) -> None:
    ended = await run(*arguments)

    assert (ended.status, ended.err) == (0, "")
    assert "Usage: " in ended.out
    assert "<bool>" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("manifest", "xyz"), "Give socket or http."),
        (("webhook", "remove", "nope"), "That is no webhook ID. `livestream-bot webhook list` shows them."),
    ],
)
async def test_wrong_argument_is_answered_with_what_to_give(arguments: tuple[str, ...], sentence: str) -> None:
    ended = await run(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert sentence in ended.err
    assert "Input should" not in ended.err
    assert "Value error" not in ended.err


async def test_shell_completion_can_be_shown() -> None:
    ended = await run("--show-completion", "bash", environment={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})

    assert ended.status == 0
    assert "complete" in ended.out


async def test_manifest_for_socket_mode_refuses_an_address() -> None:
    ended = await run("manifest", "socket", "--url", "https://bot.example.com")

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "--url is for `manifest http`: with Socket Mode Slack needs no address.\n"


async def test_doctor_lists_the_checks_that_it_skips(ask: Ask) -> None:
    ended = await ask("doctor", CLOUDFLARE_API_TOKEN="", SLACK_BOT_TOKEN="")

    skipped = [line.removeprefix("skip ").partition(":")[0] for line in ended.out.splitlines() if line[:4] == "skip"]
    assert ended.status == 1
    assert skipped == [
        "Slack bot token",
        "Slack direct messages",
        "Slack connection",
        "Cloudflare RealtimeKit",
        "RealtimeKit webhook",
        "RealtimeKit's public key",
    ]


async def test_lookup_of_no_meeting(ask: Ask) -> None:
    """A meeting that does not exist is told apart from one that is not live."""
    ended = await ask("lookup", NO_SUCH_MEETING)

    assert ended == Ended(3, "", f"{MeetingNotFound().sentence}\n")


async def test_lookup_without_access(ask: Ask) -> None:
    """What Cloudflare refuses is told with who can mend it."""
    ended = await ask("lookup", seeds.LIVE, CLOUDFLARE_API_TOKEN="another")

    assert ended == Ended(4, "", f"{AuthenticationFailed().sentence}\n")


async def test_lookup_json_that_cannot_tell(ask: Ask, world: World) -> None:
    """Scripts learn as JSON why it could not be told, and people read it beside, in one sentence and no log lines."""
    world.kit.fault, world.kit.retry_after = Fault.RATE_LIMITED, 0

    ended = await ask("lookup", seeds.LIVE, "--json")

    assert (ended.status, ended.err) == (4, f"{RateLimited(0).sentence}\n")
    assert json.loads(ended.out) == {
        "meeting_id": seeds.LIVE,
        "live": None,
        "error": "rate_limited",
        "message": RateLimited(0).sentence,
    }


# doctor


async def test_doctor(ask: Ask) -> None:
    """Where all is well the doctor says so, thing by thing, and exits with 0."""
    ended = await ask("doctor", as_process=True)

    assert (ended.status, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 9
    assert all(line.startswith("ok   ") for line in ended.out.splitlines())


async def test_doctor_finds_something(ask: Ask, world: World) -> None:
    """Where something is wrong the doctor marks it and exits with 1."""
    world.slack.scopes = {*bot_scopes()} - {"chat:write"}

    ended = await ask("doctor")

    assert (ended.status, ended.err) == (1, "")
    [line] = [line for line in ended.out.splitlines() if line.startswith("FAIL ")]
    assert line.startswith("FAIL Slack bot token: It lacks chat:write.")


# webhook

BOT = "https://bot.example.com"
WEBHOOK = f"{BOT}/realtimekit/webhooks"


async def test_webhook(ask: Ask, world: World) -> None:
    """A webhook is registered, listed and removed by the address that the bot has."""
    added = await ask("webhook", "add", "--url", f"{BOT}/")
    [there] = world.kit.webhooks.values()
    listed = await ask("webhook", "list")
    removed = await ask("webhook", "remove", "--url", BOT)

    line = f"{there.id}  enabled  {WEBHOOK}  livestreaming.statusUpdate, meeting.started, meeting.ended\n"
    assert added == Ended(0, f"Registered:\n{line}", "")
    assert listed == Ended(0, line, "")
    assert removed == Ended(0, f"Removed: {there.id}\n", "")
    assert world.kit.webhooks == {}


async def test_webhook_again(ask: Ask, world: World) -> None:
    """What is registered is not registered again, however the address was given."""
    world.kit.add_webhook(WEBHOOK)

    ended = await ask("webhook", "add", "--url", WEBHOOK)

    assert (ended.status, ended.out.splitlines()[0]) == (0, "Already registered:")
    assert len(world.kit.webhooks) == 1


async def test_no_webhooks(ask: Ask) -> None:
    """An empty list is told as one."""
    assert await ask("webhook", "list") == Ended(0, "No webhooks are registered.\n", "")


async def test_webhook_by_its_id(ask: Ask, world: World) -> None:
    """Of several to one address one can be removed, and a disabled one is shown as that."""
    kept, gone = world.kit.add_webhook(WEBHOOK, enabled=False), world.kit.add_webhook(WEBHOOK)

    removed = await ask("webhook", "remove", gone.id)
    again = await ask("webhook", "remove", gone.id)
    listed = await ask("webhook", "list")

    assert removed == Ended(0, f"Removed: {gone.id}\n", "")
    assert again == Ended(1, "", f"There is no webhook {gone.id}. See `livestream-bot webhook list`.\n")
    assert listed.out.startswith(f"{kept.id}  disabled  {WEBHOOK}  ")


@pytest.mark.parametrize(
    ("arguments", "said"),
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
async def test_webhook_misused(ask: Ask, world: World, arguments: tuple[str, ...], said: str) -> None:
    """What cannot be meant is told before anything is asked."""
    ended = await ask("webhook", *arguments)

    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert list(world.kit.calls) == []


async def test_webhook_without_settings() -> None:
    """It needs Cloudflare's settings, and none of Slack's."""
    ended = await run("webhook", "list")

    assert (ended.status, ended.out) == (2, "")
    assert [line.split()[0] for line in ended.err.splitlines()] == [
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Fault.UNAUTHORIZED,
            "Cloudflare rejects the request (HTTP 401, 10000, Authentication error). `livestream-bot doctor`",
        ),
        (Fault.RATE_LIMITED, "Cloudflare is rate-limiting this bot. Try again in five minutes."),
        (Fault.SERVER_ERROR, "Cloudflare is having problems (HTTP 500"),
    ],
)
async def test_webhook_fails(ask: Ask, world: World, fault: Fault, said: str) -> None:
    """What Cloudflare does not do is told in a sentence, which speaks of no meeting."""
    world.kit.fault = fault

    ended = await ask("webhook", "list")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(said)
    assert "meeting" not in ended.err


# manifest


async def test_manifest() -> None:
    """The manifest comes with the link that creates the app, as a comment, so that all of it is YAML still."""
    ended = await run("manifest", "socket")

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith(manifest_text("socket"))
    link = ended.out.splitlines()[1].removeprefix("# ")
    [carried] = parse_qs(urlsplit(link).query)["manifest_json"]
    assert yaml.safe_load(ended.out) == json.loads(carried)


async def test_manifest_with_an_address() -> None:
    """For HTTP the address is filled in."""
    ended = await run("manifest", "http", "--url", "https://bot.example.com")

    assert ended.status == 0
    assert ended.out.endswith(manifest_text("http", "https://bot.example.com"))


@pytest.mark.parametrize("arguments", [("http",), ("http", "--url", "http://bot.example.com")])
async def test_manifest_without_an_address(arguments: tuple[str, ...]) -> None:
    """HTTP needs an address that Slack can reach, and says so."""
    ended = await run("manifest", *arguments)

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "Say where Slack reaches the bot: --url https://bot.example.com, without a path.\n"


async def test_manifest_of_no_mode() -> None:
    """There are two modes."""
    ended = await run("manifest", "smoke")

    assert ended.status == 2
    assert "Give socket or http." in ended.err

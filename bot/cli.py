"""The command line, the only module that prints.

Commands import what only they need, so that `--help` does not load Slack's and Cloudflare's libraries.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Callable, Coroutine
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from bot import __version__
from bot.errors import ConfigurationError, MeetingNotFound, RealtimeKitError
from bot.slack.manifest import Mode

if TYPE_CHECKING:
    from bot.realtimekit.lookup import Lookup
    from bot.settings import LookupSettings

LIVE, NOT_LIVE, MISUSED, NO_SUCH_MEETING, COULD_NOT_ASK = range(5)
"""The exit statuses of `lookup`; 4 also stands for an unknown status and for a bug. Every command exits with 2 for
wrong usage or settings.

Other commands exit with 0, or with FAILED if they did not succeed or `doctor` found a problem.
"""
FAILED = 1
INTERNAL_ERROR = "internal_error"
INVALID_USAGE = "invalid_usage"
AS_JSON = "--json"

T = TypeVar("T")
cli = typer.Typer(
    name="livestream-bot",
    help="Answer in Slack whether a Cloudflare RealtimeKit meeting is live, and where to watch it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
webhook = typer.Typer(
    help="Manage the webhooks that report changes at once.", no_args_is_help=True, rich_markup_mode=None
)
cli.add_typer(webhook, name="webhook")


def main(arguments: list[str] | None = None) -> None:
    """Run the `livestream-bot` program, with this process's arguments by default."""
    try:
        cli(arguments)
    except ConfigurationError as error:
        refuse(error)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"livestream-bot {__version__}")
        raise typer.Exit


def parse_mode(text: str) -> Mode:
    """Return the mode that a command line names. Raises typer.BadParameter."""
    modes: dict[str, Mode] = {"socket": "socket", "http": "http"}
    if text not in modes:
        raise typer.BadParameter("Give socket or http.")
    return modes[text]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("That isn't a webhook ID. `livestream-bot webhook list` shows them.") from None


@cli.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, metavar="", help="Show the version.")
    ] = False,
) -> None:
    """Hold the options that come before the name of a command."""


@cli.command()
def run() -> None:
    """Run the bot until SIGTERM, SIGHUP or Ctrl-C."""
    from bot import logs
    from bot.process import run as run_bot
    from bot.settings import Settings, load

    settings = load(Settings)
    logs.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets())
    run_async(lambda: run_bot(settings))


class _LookupCommand(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; with `--json`, wrong usage is also reported as JSON, for scripts."""
        given = [arg.partition("=")[0] for arg in takewhile(lambda arg: arg != "--", args)]
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            if AS_JSON in given:
                from bot import cli_output

                typer.echo(json.dumps(cli_output.failure(None, INVALID_USAGE, error.format_message())))
            raise


@cli.command(cls=_LookupCommand)
def lookup(
    meeting_id: Annotated[str, typer.Argument(help="The meeting's ID, or a link with it inside.")],
    as_json: Annotated[bool, typer.Option(AS_JSON, metavar="", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Show whether a meeting is live.

    Exit status: 0 live, 1 not live, 2 wrong usage or settings, 3 no such meeting, 4 unknown: the check failed, or
    Cloudflare reports a status that the bot does not know.
    """
    from bot import cli_output, logs
    from bot.livestream_sources import look_up_once
    from bot.settings import LookupSettings, load
    from bot.slack.meeting_ids import OneMeeting, read_meeting_id

    def fail(status: int, code: str, sentences: list[str], meeting: UUID | None = None) -> NoReturn:
        if as_json:
            typer.echo(json.dumps(cli_output.failure(meeting, code, " ".join(sentences))))
        typer.echo("\n".join(sentences), err=True)
        raise typer.Exit(status)

    meant = read_meeting_id(meeting_id)
    if not isinstance(meant, OneMeeting):
        fail(MISUSED, "invalid_meeting_id", ["Give one meeting ID, such as 50c8940e-1b97-402a-97d6-2708b7feca41."])
    try:
        settings = load(LookupSettings)
        logs.configure(level="ERROR", style=settings.log_format, secrets=settings.secrets())
        found = run_async(lambda: look_up_once(settings, meant.meeting_id))
        answer = json.dumps(cli_output.fields(found)) if as_json else "\n".join(cli_output.lines(found))
        status = _exit_status(found)
    except ConfigurationError as error:
        fail(MISUSED, error.code, error.mistakes, meant.meeting_id)
    except RealtimeKitError as error:
        status = NO_SUCH_MEETING if isinstance(error, MeetingNotFound) else COULD_NOT_ASK
        fail(status, error.code, [error.sentence], meant.meeting_id)
    except Exception as error:  # noqa: BLE001 - a script always gets an answer
        fail(COULD_NOT_ASK, INTERNAL_ERROR, [_bug(error)], meant.meeting_id)
    typer.echo(answer)
    raise typer.Exit(status)


@cli.command()
def doctor() -> None:
    """Check every setting and every access that the bot needs, and say how to fix what is wrong.

    Exit status: 0 everything passed, 1 a check failed. A check that depends on a failed one is skipped, and listed.
    """
    from bot import logs
    from bot.doctor import Outcome, run_checks

    colors = {Outcome.OK: typer.colors.GREEN, Outcome.FAIL: typer.colors.RED, Outcome.SKIP: typer.colors.YELLOW}

    async def report() -> bool:
        has_failed = False
        async for finding in run_checks():
            label = typer.style(f"{finding.outcome:<4}", fg=colors[finding.outcome])
            typer.echo(f"{label} {finding.subject}: {finding.sentence}")
            has_failed = has_failed or finding.outcome is Outcome.FAIL
        return has_failed

    logs.configure(level="ERROR", style="console")
    if run_async(report):
        raise typer.Exit(FAILED)


@cli.command()
def manifest(
    mode: Annotated[Mode, typer.Argument(parser=parse_mode, help="How Slack reaches the bot: socket or http.")],
    url: Annotated[
        str | None, typer.Option(help="For http: the address where Slack reaches it, such as https://bot.example.com.")
    ] = None,
) -> None:
    """Print the app manifest for Slack, with a link that creates the app in one click."""
    from bot.settings import CommandSettings, load
    from bot.slack.manifest import create_app_link, manifest_text

    text = manifest_text(mode, url, load(CommandSettings).slack_command)
    typer.echo(f"# Create the app with this manifest in one click:\n# {create_app_link(text)}\n")
    typer.echo(text, nl=False)


@webhook.command("add")
def webhook_add(
    url: Annotated[
        str, typer.Option(help="The address where RealtimeKit reaches the bot, such as https://bot.example.com.")
    ],
) -> None:
    """Register this bot's webhook; does nothing if it exists."""
    from bot import webhook_commands

    address = webhook_commands.webhook_url(url)
    added = _registering(lambda settings: webhook_commands.add(settings, address))
    typer.echo(
        f"{'Registered' if added.changed else 'Already registered'}:\n{webhook_commands.format_webhook(added.webhook)}"
    )


@webhook.command("list")
def webhook_list() -> None:
    """List the webhooks of the RealtimeKit app: ID, enabled or disabled, address, events."""
    from bot import webhook_commands

    present = _registering(webhook_commands.list_all)
    typer.echo("\n".join(map(webhook_commands.format_webhook, present)) or "No webhooks are registered.")


@webhook.command("remove")
def webhook_remove(
    webhook_id: Annotated[
        UUID | None, typer.Argument(parser=_uuid, help="The webhook's ID, as `webhook list` prints it.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Or the address that was given to `add`.")] = None,
) -> None:
    """Remove a webhook."""
    from bot import webhook_commands

    which = webhook_id if url is None else webhook_commands.webhook_url(url)
    if which is None or (webhook_id and url):
        raise ConfigurationError(["Give either the ID of a webhook or --url."])
    removed = _registering(lambda settings: webhook_commands.remove(settings, which))
    if not removed:
        typer.echo(f"There is no webhook {which}. See `livestream-bot webhook list`.", err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"Removed: {', '.join(map(str, removed))}")


def _registering(work: "Callable[[LookupSettings], Coroutine[Any, Any, T]]") -> T:
    from bot import logs, webhook_commands
    from bot.settings import LookupSettings, load

    settings = load(LookupSettings)
    logs.configure(level="ERROR", style=settings.log_format, secrets=settings.secrets())
    try:
        return run_async(lambda: work(settings))
    except RealtimeKitError as error:
        typer.echo(webhook_commands.describe_error(error), err=True)
        raise typer.Exit(FAILED) from None


def _bug(error: Exception) -> str:
    """Describe where the bug occurred, without the error's own text, which may contain a secret."""
    *_, last = traceback.extract_tb(error.__traceback__)
    where = f"{Path(last.filename).name}:{last.lineno}"
    return f"livestream-bot has a bug: {type(error).__name__} at {where}. Please report it."


def _exit_status(lookup: "Lookup") -> int:
    from bot.domain.observation import Status

    if lookup.status is Status.UNKNOWN:
        return COULD_NOT_ASK
    return LIVE if lookup.status is Status.LIVE else NOT_LIVE


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, on uvloop where there is one."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(work())


def _new_event_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":  # uvloop does not support Windows
        return asyncio.new_event_loop()
    from uvloop import new_event_loop

    return new_event_loop()


def refuse(error: ConfigurationError) -> NoReturn:
    """Print what is wrong, and exit."""
    for mistake in error.mistakes:
        typer.echo(mistake, err=True)
    sys.exit(MISUSED)

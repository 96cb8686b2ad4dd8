"""The command line: the only place that prints.

A command imports what it alone needs: `--help` should not wait for Slack's and Cloudflare's libraries.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer

from bot import __version__
from bot.errors import ConfigurationError, RealtimeKitError
from bot.slack.manifest import Mode

if TYPE_CHECKING:
    from bot.config import LookupSettings
    from bot.realtimekit.lookup import Lookup

LIVE, NOT_LIVE, COULD_NOT_TELL = 0, 1, 2
MISUSED = 2

T = TypeVar("T")
cli = typer.Typer(
    name="livestream-bot",
    help="Is a Cloudflare RealtimeKit meeting live, and where to watch it: answered in Slack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
webhook = typer.Typer(help="Have RealtimeKit tell the bot of changes at once.", no_args_is_help=True)
cli.add_typer(webhook, name="webhook")


def main() -> None:
    """The `livestream-bot` program."""
    try:
        cli()
    except ConfigurationError as error:
        _refuse(error)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"livestream-bot {__version__}")
        raise typer.Exit


@cli.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """What comes before the name of a command."""


@cli.command()
def run() -> None:
    """Run the bot until SIGTERM, SIGHUP or Ctrl-C."""
    from bot import logs
    from bot.app import run as run_bot
    from bot.config import Settings, load

    settings = load(Settings)
    logs.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets())
    _run(lambda: run_bot(settings))


@cli.command()
def lookup(
    meeting_id: Annotated[str, typer.Argument(help="The meeting's ID, or a link with it inside.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
) -> None:
    """Tell whether a meeting is live. The exit status is 0 live, 1 not live, 2 could not tell."""
    from bot import logs, report
    from bot.app import look_up_once
    from bot.config import LookupSettings, load
    from bot.slack.meeting_ids import OneMeeting, read_meeting_id

    meant = read_meeting_id(meeting_id)
    if not isinstance(meant, OneMeeting):
        raise ConfigurationError(["Give one meeting ID, such as 50c8940e-1b97-402a-97d6-2708b7feca41."])
    settings = load(LookupSettings)
    logs.configure(level="ERROR", style=settings.log_format, secrets=settings.secrets())
    try:
        found = _run(lambda: look_up_once(settings, meant.meeting_id))
    except RealtimeKitError as error:
        if as_json:
            problem = {"meeting_id": str(meant.meeting_id), "error": type(error).__name__, "message": error.sentence}
            typer.echo(json.dumps(problem))
        typer.echo(error.sentence, err=True)
        raise typer.Exit(COULD_NOT_TELL) from None
    typer.echo(json.dumps(report.fields(found)) if as_json else "\n".join(report.lines(found)))
    raise typer.Exit(_exit_status(found))


@cli.command()
def doctor() -> None:
    """Check every setting and every access that the bot needs, and say how to mend what is wrong."""
    from bot import logs
    from bot.doctor import examine

    async def tell() -> bool:
        well = True
        async for finding in examine():
            typer.echo(f"{'ok  ' if finding.ok else 'BAD '} {finding.subject}: {finding.sentence}")
            well = well and finding.ok
        return well

    logs.configure(level="ERROR", style="console")
    if not _run(tell):
        raise typer.Exit(1)


@cli.command()
def manifest(
    mode: Annotated[Mode, typer.Argument(help="How Slack reaches the bot.")],
    url: Annotated[
        str | None, typer.Option(help="For http: where Slack reaches it, such as https://bot.example.com.")
    ] = None,
) -> None:
    """Print the app manifest for Slack, with a link that creates the app in one click."""
    from bot.config import CommandSettings, load
    from bot.slack.manifest import create_app_link, manifest_text

    text = manifest_text(mode, url, load(CommandSettings).slack_command)
    typer.echo(f"# Create the app with this manifest in one click:\n# {create_app_link(text)}\n")
    typer.echo(text, nl=False)


@cli.command()
def demo(
    mode: Annotated[Mode, typer.Option(help="How the local Slack reaches the bot.")] = "http",
    script: Annotated[
        bool, typer.Option("--script", help="A walk-through in the terminal instead of the page.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0: any free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the page's address.")] = False,
) -> None:
    """Try the bot here, without accounts, between a local Slack and a local RealtimeKit."""
    from bot import logs
    from bot.sandbox import demo as sandbox
    from bot.sandbox.bot_process import BotDidNotStart

    # Faults are switched on in it at will, and each would have a line of its own from the HTTP server.
    logs.configure(level="CRITICAL", style="console")
    lines = sandbox.script(mode) if script else sandbox.show(mode, port, None if no_open else sandbox.browser())
    try:
        _run(lambda: sandbox.tell(lines, typer.echo))
    except BotDidNotStart as error:
        typer.echo(f"The bot did not start. Its last words:\n{error}", err=True)
        raise typer.Exit(1) from None


@webhook.command("add")
def webhook_add(
    url: Annotated[str, typer.Option(help="Where RealtimeKit reaches the bot, such as https://bot.example.com.")],
) -> None:
    """Register the bot, unless it is registered."""
    from bot import registration

    address = registration.address(url)
    added = _registering(lambda settings: registration.add(settings, address))
    typer.echo(f"{'Registered' if added.changed else 'It is registered already'}:\n{registration.line(added.webhook)}")


@webhook.command("list")
def webhook_list() -> None:
    """Print every webhook of the RealtimeKit app: its ID, whether it is enabled, its address, its events."""
    from bot import registration

    present = _registering(registration.every)
    typer.echo("\n".join(map(registration.line, present)) or "No webhook is registered.")


@webhook.command("remove")
def webhook_remove(
    webhook_id: Annotated[UUID | None, typer.Argument(help="Its ID, as `webhook list` prints it.")] = None,
    url: Annotated[str | None, typer.Option(help="Or where it reaches the bot, as it was given to `add`.")] = None,
) -> None:
    """Have RealtimeKit tell the bot nothing any more."""
    from bot import registration

    which = webhook_id if url is None else registration.address(url)
    if which is None or (webhook_id and url):
        raise ConfigurationError(["Give the ID of a webhook or --url, one of the two."])
    removed = _registering(lambda settings: registration.remove(settings, which))
    if not removed:
        typer.echo(f"There is no webhook {which}. See `livestream-bot webhook list`.", err=True)
        raise typer.Exit(1)
    typer.echo(f"Removed: {', '.join(map(str, removed))}")


def _registering(work: "Callable[[LookupSettings], Coroutine[Any, Any, T]]") -> T:
    from bot import logs, registration
    from bot.config import LookupSettings, load

    settings = load(LookupSettings)
    logs.configure(level="ERROR", style=settings.log_format, secrets=settings.secrets())
    try:
        return _run(lambda: work(settings))
    except RealtimeKitError as error:
        typer.echo(registration.explain(error), err=True)
        raise typer.Exit(1) from None


def _exit_status(lookup: "Lookup") -> int:
    from bot.realtimekit.models import Status

    if lookup.status is Status.UNKNOWN:
        return COULD_NOT_TELL
    return LIVE if lookup.status is Status.LIVE else NOT_LIVE


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(work())


def _new_event_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":  # there is no uvloop for it
        return asyncio.new_event_loop()
    from uvloop import new_event_loop

    return new_event_loop()


def _refuse(error: ConfigurationError) -> NoReturn:
    for mistake in error.mistakes:
        typer.echo(mistake, err=True)
    sys.exit(MISUSED)

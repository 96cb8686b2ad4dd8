"""The entry point of `python -m sandbox`, which `make demo` runs."""

from typing import Annotated

import typer

from bot import logs
from bot.cli import FAILED, parse_mode, refuse, run_async
from bot.errors import ConfigurationError
from bot.settings import CommandSettings, load
from sandbox import demo
from sandbox.bot_process import BotDidNotStart, Mode

MAX_PORT = 65_535


def main(arguments: list[str] | None = None) -> None:
    """Run the demo, with this process's arguments by default."""
    try:
        cli(arguments)
    except ConfigurationError as error:
        refuse(error)


def _port(value: str | int) -> int:
    text = str(value)  # the default is a number
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MAX_PORT):
        raise typer.BadParameter("Give a port from 0 to 65535.")
    return int(text)


cli = typer.Typer(
    name="python -m sandbox",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@cli.command()
def start(
    mode: Annotated[
        Mode,
        typer.Option(parser=parse_mode, metavar="MODE", help="How the local Slack reaches the bot: socket or http."),
    ] = "http",
    script: Annotated[
        bool, typer.Option("--script", metavar="", help="Walk through it in the terminal instead of the page.")
    ] = False,
    port: Annotated[
        int, typer.Option(parser=_port, metavar="PORT", help="Port of the page; 0 takes any free one.")
    ] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", metavar="", help="Only print the page's address.")] = False,
) -> None:
    """Try the bot here, without accounts, between a local Slack and a local RealtimeKit."""
    # People switch faults on in the demo, and the HTTP server would log each one.
    logs.configure(level="CRITICAL", style="console")
    command = load(CommandSettings).slack_command
    if script:
        lines = demo.script(mode, command)
    else:
        lines = demo.show(mode, port, None if no_open else demo.browser(), command)
    try:
        run_async(lambda: demo.tell(lines, typer.echo))
    except BotDidNotStart as error:
        typer.echo(f"The bot did not start. The end of its log:\n{error}", err=True)
        raise typer.Exit(FAILED) from None


if __name__ == "__main__":
    main()

"""Logging: one format for the bot's and its libraries' lines, with secrets masked."""

import contextlib
import json
import logging
import re
import sys
import threading
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.typing import Processor

_MASK = "[secret]"
_NOISY = (
    *("httpx", "httpcore", "aiohttp", "asyncio", "slack_bolt", "slack_sdk", "uvicorn", "websockets", "multipart"),
    *("aiosqlite", "alembic", "sqlalchemy"),
)

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)

# Slack tokens, tickets in Socket Mode addresses, and bearer tokens that are not in the settings, or were issued later.
_SECRET_LOOKING = re.compile(r"(xox[a-z](?:\.xox[a-z])?-|xapp-|ticket=|bearer\s+)[^\s\"'<>&,;)\\\x1b]+", re.IGNORECASE)


def configure(
    *, level: str = "INFO", style: str | None = None, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send all logs to `stream` (default: standard error), as `console` lines or as one `json` object per line.

    The default style is console on a terminal and json elsewhere. `secrets` are masked.
    """
    stream = stream or sys.stderr
    style = style or ("console" if stream.isatty() else "json")
    renderers = _renderers(style, colors=stream.isatty())
    writer = _LineWriter(stream, secrets, renderers[-1])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        logger_factory=lambda name="": _Logger(name, writer),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_LibraryHandler(writer)], level=level, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _renderers(style: str, *, colors: bool) -> list[Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The default console traceback prints local variables, which may hold secrets.
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


class _LineWriter:
    """Writes finished lines to the stream, with known secrets, and text that looks like one, masked. Never raises."""

    def __init__(self, stream: TextIO, secrets: Iterable[str], render: Processor) -> None:
        known = {secret for secret in secrets if secret}
        quoted = {json.dumps(secret)[1:-1] for secret in known}
        self._secrets = sorted(known | quoted, key=len, reverse=True)
        self._stream = stream
        self._render = render
        # Reentrant: the garbage collector may run while a line is written, and log what it finds.
        self._lock = threading.RLock()

    def write(self, line: str, name: str) -> None:
        """Write a line of the logger with this name."""
        for secret in self._secrets:
            line = line.replace(secret, _MASK)
        line = _SECRET_LOOKING.sub(rf"\1{_MASK}", line)
        try:
            self._put(line)
        except Exception as error:  # noqa: BLE001 - a log line must not break what it is about
            self.report_lost(name, error)

    def report_lost(self, where: str, error: Exception) -> None:
        """Write where a line that could not be written came from, without its content."""
        event = {"event": f"a log line of {where} was lost: {type(error).__name__}", "level": "error"}
        # If the stream itself is broken, there is nowhere to report it.
        with contextlib.suppress(Exception):
            self._put(str(self._render(None, "error", event)))

    def _put(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class _Logger:
    """What structlog hands its finished lines to."""

    def __init__(self, name: str, writer: _LineWriter) -> None:
        self.name = name
        self._writer = writer

    def info(self, line: str) -> None:
        """Write the line."""
        self._writer.write(line, self.name)

    debug = warning = error = critical = info


class _LibraryHandler(logging.Handler):
    """Hands the lines of libraries to structlog, so that they look like the bot's."""

    def __init__(self, writer: _LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record, or where it came from if its text cannot be formatted."""
        try:
            text = record.getMessage()
        except Exception as error:  # noqa: BLE001 - the library's mistake
            self._writer.report_lost(f"{record.name} in {record.filename}:{record.lineno}", error)
            return
        level = max(known for known in _LEVELS if known <= max(record.levelno, logging.DEBUG))
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        structlog.get_logger(record.name).log(level, text, **fields)

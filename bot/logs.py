"""Logging: one format for the bot's and its libraries' lines, with secrets masked."""

import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

_MASK = "[secret]"
_NOISY = (
    *("httpx", "httpcore", "aiohttp", "asyncio", "slack_bolt", "slack_sdk", "uvicorn", "websockets", "multipart"),
    *("aiosqlite", "alembic", "sqlalchemy"),
)

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
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = _Handler(stream)
    handler.setFormatter(
        RedactingFormatter(
            secrets,
            foreign_pre_chain=shared,
            processors=[_strip_structlog_meta, *_renderers(style, colors=stream.isatty())],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _renderers(style: str, *, colors: bool) -> list[Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The default console traceback prints local variables, which may hold secrets.
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


def _strip_structlog_meta(logger: object, name: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, name, event)


class RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """The last formatter: masks known secrets, and text that looks like one, in the finished line."""

    def __init__(self, secrets: Iterable[str], *, foreign_pre_chain: list[Processor], processors: list[Processor]):
        super().__init__(foreign_pre_chain=foreign_pre_chain, processors=processors)
        known = {secret for secret in secrets if secret}
        quoted = {json.dumps(secret)[1:-1] for secret in known}
        self._secrets = sorted(known | quoted, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, _MASK)
        return _SECRET_LOOKING.sub(rf"\1{_MASK}", line)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Log where a line that could not be written came from. Python's default prints its content, unmasked."""
        why = sys.exc_info()[0]
        lost = logging.LogRecord(
            record.name,
            logging.ERROR,
            record.pathname,
            record.lineno,
            "a log line of %s:%s was lost: %s",
            (record.pathname, record.lineno, why.__name__ if why else None),
            None,
        )
        # If the stream itself is broken, there is nowhere to report it.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(self.format(lost) + self.terminator)

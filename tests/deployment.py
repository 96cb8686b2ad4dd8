"""What the tests of the manifests read: the files, and the values that they must agree with."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

from bot.app import DRAIN_SECONDS
from bot.notifications import timing
from bot.request_bodies import BodyLimits
from bot.settings import Settings
from bot.slack import socket_connection, socket_mode
from bot.uvicorn_server import serving

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {name.upper() for name in Settings.model_fields}
"""Every variable that `run` reads."""
REQUIRED = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}


SLACK_CALL_SECONDS = 30.0
"""How long Slack may take to answer a post; the announcer waits longer than that."""


def max_stop_seconds() -> float:
    """Return the longest time in seconds from SIGTERM to the end of the process, with 15 to spare."""
    http = inspect.signature(serving).parameters["drain_seconds"].default
    socket = socket_mode.ACK_SECONDS + socket_connection.CLOSE_SECONDS
    announcing = max(timing.DRAIN_SECONDS, 1.5 * SLACK_CALL_SECONDS)
    return float(http + socket + DRAIN_SECONDS + announcing + 15)


def max_memory_megabytes() -> float:
    """Return the maximum resident memory: twice that after a day of work, and all that unsigned requests can take."""
    limits, mega = BodyLimits(), 1024 * 1024
    reading = limits.readers * (limits.max_bytes + limits.free_bytes) + limits.waiting * 3 * limits.free_bytes
    a_thousand_connections = 1_000 * 3 * limits.free_bytes
    return 2 * 130 + (reading + a_thousand_connections) / mega


def documents(path: str) -> list[Any]:
    """Return the YAML documents in a file of this repository."""
    return list(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))


def dockerfile(instruction: str) -> str:
    """Return the argument of the last such instruction in the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return str(re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)[-1])


def code_block(path: str, first_line: str) -> str:
    """Return the code block of a document that begins with this line."""
    text = (ROOT / path).read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]
    (found,) = [block for block in blocks if block.startswith(first_line)]
    return found

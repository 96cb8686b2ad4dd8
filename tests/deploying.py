"""What the tests of the manifests read: the files themselves, and what they have to agree with."""

import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

from bot.config import Settings

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {name.upper() for name in Settings.model_fields}
"""Every variable that `run` reads."""
REQUIRED = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}


def documents(path: str) -> list[Any]:
    """The YAML documents in a file of this repository."""
    return list(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))


def dockerfile(instruction: str) -> str:
    """What stands behind the last such instruction of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return str(re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)[-1])


def code_block(path: str, first_line: str) -> str:
    """The code block of a document that begins with this line."""
    text = (ROOT / path).read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]
    (found,) = [block for block in blocks if block.startswith(first_line)]
    return found

"""The app manifests, which define the app's name, command and permissions in Slack."""

import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import yaml

from bot.errors import ConfigurationError
from bot.wording import DEFAULT_COMMAND

Mode = Literal["socket", "http"]

_PLACEHOLDER = "https://livestream-bot.example.com"
_ADDRESS = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*(:(?P<port>[0-9]{1,5}))?/?")
_MAX_PORT = 65_535
_CREATE_APP = "https://api.slack.com/apps?new_app=1&manifest_json="


def manifest_text(mode: Mode, url: str | None = None, command: str = DEFAULT_COMMAND) -> str:
    """Return the manifest as YAML, with `url` in place of the example address, and with this command name.

    Raises ConfigurationError if HTTP mode lacks an https address without a path, or if Socket Mode has an address.
    """
    text = _folder().joinpath(f"{mode}.yaml").read_text(encoding="utf-8")
    text = text.replace(f"command: {DEFAULT_COMMAND}\n", f"command: {command}\n")
    if mode == "socket":
        if url is not None:
            raise ConfigurationError(["--url is for `manifest http`: with Socket Mode Slack needs no address."])
        return text
    address = _ADDRESS.fullmatch(url or "")
    if address is None or not 0 < int(address["port"] or 443) <= _MAX_PORT:
        raise ConfigurationError(
            ["Say where Slack reaches the bot: --url https://bot.example.com. It must be https, without a path."]
        )
    text = text.partition("\n")[2]  # without the line that says how to fill in the address
    return text.replace(_PLACEHOLDER, str(url).rstrip("/"))


def create_app_link(manifest: str) -> str:
    """Return a link to Slack's "create an app" page with this manifest filled in.

    Source: "App manifests" in Slack's documentation.
    """
    return _CREATE_APP + quote(json.dumps(yaml.safe_load(manifest), separators=(",", ":")), safe="")


def bot_scopes() -> frozenset[str]:
    """Return the scopes that the bot needs, which are the same in both modes."""
    manifest: Any = yaml.safe_load(manifest_text("socket"))
    return frozenset(manifest["oauth_config"]["scopes"]["bot"])


def _folder() -> Traversable:
    """Return the manifests' folder: inside an installed package, or at the top of a checkout."""
    packaged = files("bot.slack").joinpath("manifests")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "manifests" / "slack"

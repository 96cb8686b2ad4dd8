"""The manifest that is printed, and the link that creates the app from it."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigurationError
from bot.slack.manifest import Mode, bot_scopes, create_app_link, manifest_text

URL = "https://bot.example.com"


def read(mode: Mode, url: str | None = None) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load(manifest_text(mode, url))
    return manifest


def test_socket_mode_manifest_has_no_address() -> None:
    manifest = read("socket")

    assert manifest["settings"]["socket_mode_enabled"] is True
    assert "https://" not in manifest_text("socket")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        (URL, f"{URL}/slack/events"),
        (f"{URL}/", f"{URL}/slack/events"),
        (f"{URL}:8443", f"{URL}:8443/slack/events"),
        ("https://bot", "https://bot/slack/events"),
        ("https://192.0.2.1", "https://192.0.2.1/slack/events"),
    ],
)
def test_http_manifest_has_the_bots_address(url: str, endpoint: str) -> None:
    manifest = read("http", url)

    assert manifest["features"]["slash_commands"][0]["url"] == endpoint
    assert manifest["settings"]["interactivity"]["request_url"] == endpoint
    assert manifest["settings"]["event_subscriptions"]["request_url"] == endpoint
    assert manifest["settings"]["socket_mode_enabled"] is False
    assert "livestream-bot.example.com" not in manifest_text("http", url)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "bot.example.com",
        "http://bot.example.com",
        "HTTPS://bot.example.com",
        "https://",
        "https:///",
        f"{URL}/slack/events",
        f"{URL}?x=1",
        f"{URL}#x",
        f"{URL}\n",
        f"{URL} # x",
        f"{URL}:0",
        f"{URL}:65536",
        f"{URL}:",
        "https://user@bot.example.com",
        "https://-bot.example.com",
        "https://[::1]",
        "https://bot.example.com: x",
        "https://böt.example.com",
    ],
)
def test_only_an_https_address_without_a_path_is_accepted(url: str | None) -> None:
    """The error has an example."""
    with pytest.raises(ConfigurationError) as raised:
        manifest_text("http", url)

    assert raised.value.mistakes == [
        "Say where Slack reaches the bot: --url https://bot.example.com. It must be https, without a path."
    ]


@given(st.text() | st.from_regex(r"https://[^/]+/?"))
def test_address_changes_only_the_addresses(url: str) -> None:
    try:
        manifest = read("http", url)
    except ConfigurationError:
        return
    expected, endpoint = read("http", URL), f"{url.rstrip('/')}/slack/events"
    expected["features"]["slash_commands"][0]["url"] = endpoint
    expected["settings"]["interactivity"]["request_url"] = endpoint
    expected["settings"]["event_subscriptions"]["request_url"] = endpoint

    assert manifest == expected


@pytest.mark.parametrize(("mode", "url"), [("socket", None), ("http", URL)])
def test_create_app_link_carries_the_manifest_in_one_word(mode: Mode, url: str | None) -> None:
    """It can be copied from a terminal: it has no blank and no character that ends it."""
    text = manifest_text(mode, url)

    address = create_app_link(text)

    assert address.isascii()
    assert not set(address) & set(" \n<>\"'|{}")
    link = urlsplit(address)
    assert (link.scheme, link.netloc, link.path) == ("https", "api.slack.com", "/apps")
    query = parse_qs(link.query, strict_parsing=True)
    assert query["new_app"] == ["1"]
    assert json.loads(query["manifest_json"][0]) == yaml.safe_load(text)


def test_both_manifests_have_the_bots_scopes() -> None:
    assert bot_scopes() == {"channels:read", "chat:write", "commands", "groups:read"}
    assert set(read("http", URL)["oauth_config"]["scopes"]["bot"]) == bot_scopes()

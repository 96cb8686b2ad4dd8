"""The Slack app manifests: valid for Slack, alike where they should be, and asking for no more than the bot needs."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT.parent / "shared" / "slack-manifest-schema" / "manifest.schema.2.0.0.json"
NAMES = ["socket", "http"]


def manifest(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "manifests" / "slack" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.skipif(not SCHEMA.exists(), reason="Slack's manifest schema does not lie beside this checkout")
@pytest.mark.parametrize("name", NAMES)
def test_manifest_is_valid_by_slacks_schema(name: str) -> None:
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))

    assert [error.message for error in validator.iter_errors(manifest(name))] == []


@pytest.mark.skipif(not SCHEMA.exists(), reason="Slack's manifest schema does not lie beside this checkout")
def test_schema_rejects_a_command_without_its_slash() -> None:
    wrong = manifest("socket")
    wrong["features"]["slash_commands"][0]["command"] = "livestream"
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))

    assert not validator.is_valid(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_within_slacks_limits(name: str) -> None:
    display, features = manifest(name)["display_information"], manifest(name)["features"]

    assert display["name"] == features["bot_user"]["display_name"] == "Livestream"
    assert len(display["name"]) <= 35
    assert len(display["description"]) <= 140
    for command in features["slash_commands"]:
        assert len(command["command"]) <= 32
        assert len(command["usage_hint"]) <= 1000


@pytest.mark.parametrize("name", NAMES)
def test_manifest_requests_the_fewest_scopes_and_events(name: str) -> None:
    """Nothing reads messages, and no token rotates."""
    declared = manifest(name)

    assert declared["oauth_config"] == {"scopes": {"bot": ["channels:read", "chat:write", "commands", "groups:read"]}}
    assert [command["command"] for command in declared["features"]["slash_commands"]] == ["/livestream"]
    assert declared["settings"]["event_subscriptions"]["bot_events"] == [
        "app_uninstalled",
        "channel_id_changed",
        "channel_unarchive",
        "group_unarchive",
        "member_joined_channel",
        "tokens_revoked",
    ]
    assert set(declared["settings"]) == {
        "event_subscriptions",
        "interactivity",
        "org_deploy_enabled",
        "socket_mode_enabled",
        "token_rotation_enabled",
    }
    assert declared["settings"]["interactivity"]["is_enabled"] is True
    assert declared["settings"]["org_deploy_enabled"] is False
    assert declared["settings"]["token_rotation_enabled"] is False


@pytest.mark.parametrize("name", NAMES)
def test_manifest_lets_people_read_and_answer_direct_messages(name: str) -> None:
    """Without the messages tab, Slack rejects the bot's direct messages; a read-only tab would refuse a command."""
    assert manifest(name)["features"]["app_home"] == {
        "home_tab_enabled": False,
        "messages_tab_enabled": True,
        "messages_tab_read_only_enabled": False,
    }


def test_manifests_differ_only_in_socket_mode_and_urls() -> None:
    socket, http = manifest("socket"), manifest("http")
    expected = copy.deepcopy(socket)
    expected["features"]["slash_commands"][0]["url"] = "https://livestream-bot.example.com/slack/events"
    expected["settings"]["interactivity"]["request_url"] = "https://livestream-bot.example.com/slack/events"
    expected["settings"]["event_subscriptions"]["request_url"] = "https://livestream-bot.example.com/slack/events"
    expected["settings"]["socket_mode_enabled"] = False

    assert socket["settings"]["socket_mode_enabled"] is True
    assert http == expected

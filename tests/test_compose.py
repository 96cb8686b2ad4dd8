"""compose.yaml is valid by the Compose specification, and consistent with the bot and its image."""

import copy
import importlib.resources
import json
import re
from typing import Any

import jsonschema
import pytest

from bot.settings import Settings, load
from bot.store.database_url import parse_database_url
from tests.deployment import (
    REQUIRED,
    SETTINGS,
    code_block,
    dockerfile,
    documents,
    max_memory_megabytes,
    max_stop_seconds,
)

PASSWORD = "4c1f"
ENV = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "CLOUDFLARE_API_TOKEN": "token",
    "CLOUDFLARE_ACCOUNT_ID": "account",
    "REALTIMEKIT_APP_ID": "app",
    "HOST": "127.0.0.1",
}


@pytest.fixture
def compose() -> dict[str, Any]:
    (loaded,) = documents("compose.yaml")
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def bot(compose: dict[str, Any]) -> dict[str, Any]:
    service = compose["services"]["bot"]
    assert isinstance(service, dict)
    return service


@pytest.fixture
def postgres(compose: dict[str, Any]) -> dict[str, Any]:
    service = compose["services"]["postgres"]
    assert isinstance(service, dict)
    return service


@pytest.fixture(scope="module")
def schema() -> Any:
    vendored = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")
    return json.loads((vendored / "compose-spec.json").read_text(encoding="utf-8"))


def schema_errors(schema: Any, compose: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(compose)]


def test_file_is_valid_by_the_compose_schema(schema: Any, compose: dict[str, Any]) -> None:
    assert schema_errors(schema, compose) == []


def test_schema_rejects_a_misspelled_key(schema: Any, compose: dict[str, Any]) -> None:
    wrong = copy.deepcopy(compose)
    wrong["services"]["bot"]["read_olny"] = True

    assert schema_errors(schema, wrong) != []


def test_settings_load_from_the_environment_and_env_file(bot: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert bot["env_file"] == ".env"
    assert set(bot["environment"]) <= SETTINGS
    # As in Compose, `environment` takes precedence over the file.
    for name, value in (ENV | bot["environment"]).items():
        monkeypatch.setenv(name, re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", PASSWORD, value))

    settings = load(Settings)

    assert settings.host == "0.0.0.0"
    assert f":{PASSWORD}@" in settings.database_url.get_secret_value()


def test_bot_and_postgresql_use_the_same_database(bot: dict[str, Any], postgres: dict[str, Any]) -> None:
    url = parse_database_url(re.sub(r"\$\{.*?\}", PASSWORD, bot["environment"]["DATABASE_URL"]))
    settings = postgres["environment"]

    assert (url.drivername, url.host, url.port) == ("postgresql+asyncpg", "postgres", 5432)
    assert (url.username, url.database) == (settings["POSTGRES_USER"], settings["POSTGRES_DB"])
    assert {f"--username={url.username}", f"--dbname={url.database}"} <= set(postgres["healthcheck"]["test"])


def test_password_comes_from_the_env_file(compose: dict[str, Any]) -> None:
    texts = [
        compose["services"]["bot"]["environment"]["DATABASE_URL"],
        compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"],
    ]

    assert all("${POSTGRES_PASSWORD:?" in text for text in texts)


def test_documented_env_file_is_complete() -> None:
    lines = code_block("docs/production.md", "POSTGRES_PASSWORD=").splitlines()
    documented = {line.partition("=")[0] for line in lines}

    assert not REQUIRED - documented
    assert documented - SETTINGS == {"POSTGRES_PASSWORD"}


@pytest.mark.parametrize("name", ["bot", "postgres"])
def test_containers_run_without_privileges(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]

    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_user_and_port_match_the_dockerfile(bot: dict[str, Any]) -> None:
    port = dockerfile("EXPOSE")

    assert bot["user"] == dockerfile("USER")
    assert bot["environment"]["PORT"] == port
    assert bot["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_database_is_reachable_only_from_the_bot(compose: dict[str, Any], postgres: dict[str, Any]) -> None:
    assert "ports" not in postgres
    assert postgres["networks"] == ["database"]
    assert compose["networks"]["database"] == {"internal": True}
    assert set(compose["services"]["bot"]["networks"]) == {"outside", "database"}


def test_data_is_in_a_named_volume_and_the_rest_in_memory(compose: dict[str, Any], postgres: dict[str, Any]) -> None:
    (volume,) = postgres["volumes"]
    uid, gid = postgres["user"].split(":")

    assert volume.split(":")[0] in compose["volumes"]
    assert all(f":uid={uid},gid={gid}," in mount for mount in postgres["tmpfs"])


def test_bot_waits_for_postgresql_and_may_finish_its_work(bot: dict[str, Any]) -> None:
    assert bot["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert int(bot["stop_grace_period"].removesuffix("s")) >= max_stop_seconds()


def test_memory_limit_leaves_room_for_unsigned_requests(bot: dict[str, Any]) -> None:
    assert int(bot["mem_limit"].removesuffix("m")) >= max_memory_megabytes()

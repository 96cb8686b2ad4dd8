"""compose.yaml: valid by the Compose specification, in agreement with the bot and its image. No engine runs it here."""

import copy
import importlib.resources
import json
import re
from typing import Any

import jsonschema
import pytest

from bot.settings import Settings, load
from bot.store.database_url import parse_database_url
from tests.deployment import REQUIRED, SETTINGS, code_block, dockerfile, documents, longest_stop, most_megabytes

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


def mistakes(schema: Any, compose: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(compose)]


def test_compose_would_accept_it(schema: Any, compose: dict[str, Any]) -> None:
    """The schema of the Compose specification finds nothing wrong."""
    assert mistakes(schema, compose) == []


def test_the_schema_would_notice_a_mistake(schema: Any, compose: dict[str, Any]) -> None:
    """The check above can fail: a word that is misspelt is refused."""
    wrong = copy.deepcopy(compose)
    wrong["services"]["bot"]["read_olny"] = True

    assert mistakes(schema, wrong) != []


def test_the_bot_takes_its_settings(bot: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With an .env of the required ones the bot has all it needs, listens to its container, and finds PostgreSQL."""
    assert bot["env_file"] == ".env"
    assert set(bot["environment"]) <= SETTINGS
    # As Compose does it: what stands in `environment` goes before the file.
    for name, value in (ENV | bot["environment"]).items():
        monkeypatch.setenv(name, re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", PASSWORD, value))

    settings = load(Settings)

    assert settings.host == "0.0.0.0"
    assert f":{PASSWORD}@" in settings.database_url.get_secret_value()


def test_the_two_mean_the_same_database(bot: dict[str, Any], postgres: dict[str, Any]) -> None:
    """Host, user and database in the bot's URL are those that PostgreSQL and its health check are told."""
    url = parse_database_url(re.sub(r"\$\{.*?\}", PASSWORD, bot["environment"]["DATABASE_URL"]))
    told = postgres["environment"]

    assert (url.drivername, url.host, url.port) == ("postgresql+asyncpg", "postgres", 5432)
    assert (url.username, url.database) == (told["POSTGRES_USER"], told["POSTGRES_DB"])
    assert {f"--username={url.username}", f"--dbname={url.database}"} <= set(postgres["healthcheck"]["test"])


def test_no_secret_in_the_file(compose: dict[str, Any]) -> None:
    """The password comes from .env, and without one nothing starts."""
    texts = [
        compose["services"]["bot"]["environment"]["DATABASE_URL"],
        compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"],
    ]

    assert all("${POSTGRES_PASSWORD:?" in text for text in texts)


def test_the_documented_env_is_complete() -> None:
    """The .env that docs/production.md shows has the password, what the bot requires, and nothing unknown."""
    lines = code_block("docs/production.md", "POSTGRES_PASSWORD=").splitlines()
    documented = {line.partition("=")[0] for line in lines}

    assert not REQUIRED - documented
    assert documented - SETTINGS == {"POSTGRES_PASSWORD"}


@pytest.mark.parametrize("name", ["bot", "postgres"])
def test_they_may_do_nothing(compose: dict[str, Any], name: str) -> None:
    """Neither is root, writes to its image, or can gain anything."""
    service = compose["services"][name]

    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_the_bot_is_the_image(bot: dict[str, Any]) -> None:
    """Its user and port are the Dockerfile's, and the port is open to this machine alone."""
    port = dockerfile("EXPOSE")

    assert bot["user"] == dockerfile("USER")
    assert bot["environment"]["PORT"] == port
    assert bot["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_database_is_out_of_reach(compose: dict[str, Any], postgres: dict[str, Any]) -> None:
    """PostgreSQL has no port outside, and a network without a way out that it shares with the bot alone."""
    assert "ports" not in postgres
    assert postgres["networks"] == ["database"]
    assert compose["networks"]["database"] == {"internal": True}
    assert set(compose["services"]["bot"]["networks"]) == {"outside", "database"}


def test_what_it_writes_lasts(compose: dict[str, Any], postgres: dict[str, Any]) -> None:
    """The data are in a named volume, and what need not last is in memory, writable for its user."""
    (volume,) = postgres["volumes"]
    uid, gid = postgres["user"].split(":")

    assert volume.split(":")[0] in compose["volumes"]
    assert all(f":uid={uid},gid={gid}," in mount for mount in postgres["tmpfs"])


def test_in_order(bot: dict[str, Any]) -> None:
    """The bot starts when PostgreSQL answers, and is not killed while it finishes its work."""
    assert bot["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert int(bot["stop_grace_period"].removesuffix("s")) >= longest_stop()


def test_memory(bot: dict[str, Any]) -> None:
    """The limit leaves room for what unsigned requests can take."""
    assert int(bot["mem_limit"].removesuffix("m")) >= most_megabytes()

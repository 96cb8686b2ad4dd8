"""What the doctor finds, over a local Slack and a local Cloudflare, and how it says to mend it."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from starlette.responses import PlainTextResponse

from bot.doctor import CheckResult, run_checks
from bot.errors import ConfigurationError
from bot.slack.manifest import bot_scopes
from bot.store.store import open_store
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import Mode, below_the_usual, settings_for
from sandbox.realtimekit import Fault as CloudflareFault
from sandbox.slack import Fault as SlackFault
from tests.conftest import World


def free_port() -> str:
    with below_the_usual() as sock:
        return str(sock.getsockname()[1])


class Doctor:
    """Examines the settings of a bot, with some of them changed."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._monkeypatch = monkeypatch
        self.printed = ""

    async def __call__(self, mode: Mode = "socket", **changes: str) -> list[CheckResult]:
        world = self._world
        environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, mode)
        for name, value in {"PORT": free_port(), **environment, **changes}.items():
            self._monkeypatch.setenv(name, value)
        findings = [finding async for finding in run_checks()]
        self.printed += "\n".join(map(str, findings))
        return findings


@pytest.fixture
def doctor(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doctor]:
    """The doctor, who asks Cloudflare once, and has printed none of the secrets at the end."""
    doctor = Doctor(world, monkeypatch)
    with stamina.set_testing(True):
        yield doctor
    credentials = world.slack.credentials
    secrets = (credentials.bot_token, credentials.app_token, credentials.signing_secret, world.kit.api_token)
    assert not [secret for secret in secrets if secret in doctor.printed]


def bad(findings: list[CheckResult]) -> dict[str, str]:
    """What is wrong: the sentence by the subject."""
    return {finding.subject: finding.sentence for finding in findings if finding.ok is False}


def skipped(findings: list[CheckResult]) -> dict[str, str]:
    """What was not checked: why, by the subject."""
    return {finding.subject: finding.sentence for finding in findings if finding.ok is None}


async def test_all_well(doctor: Doctor) -> None:
    """Where nothing is wrong, each thing that was looked at is told."""
    findings = await doctor()

    assert bad(findings) == {}
    assert [finding.subject for finding in findings] == [
        "Settings",
        "Address",
        "Database",
        "Slack bot token",
        "Slack direct messages",
        "Slack app token",
        "Cloudflare RealtimeKit",
        "RealtimeKit webhook",
        "RealtimeKit's public key",
    ]
    assert "Valid: @livestream in Sandbox, all scopes present." in [finding.sentence for finding in findings]


async def test_http_mode(doctor: Doctor) -> None:
    """In HTTP mode it says what only Slack can show."""
    findings = await doctor("http")

    assert bad(findings) == {}
    [connection] = [finding for finding in findings if finding.subject == "Slack connection"]
    assert "https://<your host>/slack/events" in connection.sentence
    assert "type /livestream once" in connection.sentence


async def test_nothing_is_set() -> None:
    """All the settings that are missing are told at once, each with what it is, and the rest is looked at still."""
    findings = [finding async for finding in run_checks()]

    missing = [finding.sentence for finding in findings if not finding.ok and finding.subject == "Settings"]
    names = [re.match(r"[A-Z_]+", sentence) for sentence in missing]
    assert [name[0] for name in names if name] == [
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]
    assert "Address" in [finding.subject for finding in findings]


async def test_one_section_is_wrong(doctor: Doctor) -> None:
    """A mistake in one part of the settings does not keep the others from being looked at."""
    findings = await doctor(SLACK_BOT_TOKEN="xoxp-secret-of-another-kind", PORT="0", LOG_LEVEL="loud")

    assert [finding.subject for finding in findings if finding.ok is False] == ["Settings"] * 3
    assert [finding.subject for finding in findings if finding.ok][:2] == ["Database", "Cloudflare RealtimeKit"]
    assert "another kind of token was pasted" in findings[0].sentence
    assert "xoxp-secret" not in doctor.printed


async def test_unreadable_env_file(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake that every part of the settings has is told for each, and raises nothing."""

    def refuse(section: object) -> None:
        raise ConfigurationError(["The file .env cannot be read: PermissionError."])

    monkeypatch.setattr("bot.doctor.load", refuse)

    assert set(bad(await doctor()).values()) == {"The file .env cannot be read: PermissionError."}


async def test_port_is_taken(doctor: Doctor) -> None:
    """A port that something else has is told with what to do."""
    with below_the_usual() as sock:
        port = str(sock.getsockname()[1])
        found = bad(await doctor(PORT=port))

    assert list(found) == ["Address"]
    assert found["Address"].startswith(f"Can't listen on 127.0.0.1:{port} (Address already in use).")
    assert "set HOST and PORT to another address" in found["Address"]


async def test_a_bot_is_running(doctor: Doctor, world: World) -> None:
    """Its own address is taken by a bot that runs, and that is all right."""
    async with world.bot():
        host, _, port = world.bot_url.removeprefix("http://").partition(":")
        (found,) = [finding for finding in await doctor(HOST=host, PORT=port) if finding.subject == "Address"]

    assert found.ok
    assert found.sentence == f"A bot is already running at {host}:{port}; see its /readyz."


async def test_something_else_is_running(doctor: Doctor) -> None:
    """Whatever answers there, it is not this bot."""

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("hello")(scope, receive, send)

    async with serving(other, listen(), drain_seconds=1) as url:
        found = bad(await doctor(PORT=url.rpartition(":")[2]))

    assert list(found) == ["Address"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "ä" * 70])
async def test_host_is_of_no_use(doctor: Doctor, host: str) -> None:
    """A host that is not this machine's, or none at all, is told too."""
    found = bad(await doctor(HOST=host))

    assert list(found) == ["Address"]


async def test_wrong_bot_token(doctor: Doctor) -> None:
    """A bot token that Slack does not know is told with where to get the right one."""
    found = bad(await doctor(SLACK_BOT_TOKEN="xoxb-another"))

    assert list(found) == ["Slack bot token"]
    assert "Slack rejects it (invalid_auth). Copy the Bot User OAuth Token again" in found["Slack bot token"]


async def test_missing_scopes(doctor: Doctor, world: World) -> None:
    """Scopes that the manifest has and the token lacks are named, with what to do."""
    world.slack.scopes = {"users:read"} | bot_scopes() - {"chat:write", "commands"}

    found = bad(await doctor())

    assert found["Slack bot token"].startswith("It lacks chat:write, commands. Add that on the app's page")
    assert found["Slack bot token"].endswith("then reinstall the app.")


async def test_more_scopes_than_needed(doctor: Doctor, world: World) -> None:
    """A token may have scopes of later versions."""
    world.slack.scopes = {"users:read"} | bot_scopes()

    assert bad(await doctor()) == {}


@pytest.mark.parametrize(("token", "code"), [("xapp-another", "invalid_auth"), (None, "missing_scope")])
async def test_wrong_app_token(doctor: Doctor, world: World, token: str | None, code: str) -> None:
    """An app token that is unknown or lacks its scope is told with how to make one."""
    world.slack.app_scopes = set()

    found = bad(await doctor(SLACK_APP_TOKEN=token or world.slack.credentials.app_token))

    assert list(found) == ["Slack app token"]
    assert found["Slack app token"].startswith(f"Slack rejects it ({code}). Make one with connections:write")


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
@pytest.mark.parametrize("code", ["internal_error", "ratelimited"])
async def test_slack_cannot_say(doctor: Doctor, world: World, method: str, code: str) -> None:
    """When Slack itself fails, no token is blamed for it."""
    world.slack.refuse_next(method, code)

    [sentence] = bad(await doctor()).values()

    assert sentence == f"Slack can't check it right now ({code}). Try again in a minute."


@pytest.mark.parametrize("fault", [SlackFault.DROP, SlackFault.SERVER_ERROR])
async def test_slack_is_out_of_reach(doctor: Doctor, world: World, fault: SlackFault) -> None:
    """A Slack that gives no answer is told as such, for both tokens."""
    world.slack.fault = fault

    found = bad(await doctor())

    assert list(found) == ["Slack bot token", "Slack app token"]
    for sentence in found.values():
        assert sentence.startswith("Can't reach Slack (")
        assert sentence.endswith("Check the network, the proxy and SLACK_API_URL.")


@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        ({"CLOUDFLARE_API_TOKEN": "another"}, "10000", "Make an API token"),
        ({"REALTIMEKIT_APP_ID": "another"}, "7003", "REALTIMEKIT_APP_ID"),
        ({"CLOUDFLARE_ACCOUNT_ID": "another"}, "7003", "CLOUDFLARE_ACCOUNT_ID"),
    ],
)
async def test_no_access_to_cloudflare(doctor: Doctor, changes: dict[str, Any], said: str, remedy: str) -> None:
    """What Cloudflare refuses is told in its own words, with what each of them means."""
    found = bad(await doctor(**changes))

    [sentence] = found.values()
    assert sentence.startswith("Cloudflare rejects the request (")
    assert said in sentence
    assert remedy in sentence


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (CloudflareFault.RATE_LIMITED, "Cloudflare is rate-limiting this bot. Try again in five minutes."),
        (CloudflareFault.SERVER_ERROR, "Cloudflare is having problems (HTTP 500"),
        (CloudflareFault.HTML, "Cloudflare is having problems (HTTP 502)"),
    ],
)
async def test_cloudflare_cannot_say(doctor: Doctor, world: World, fault: CloudflareFault, said: str) -> None:
    """When Cloudflare itself fails, neither the token nor the app is blamed, and no meeting is spoken of."""
    world.kit.fault = fault

    found = bad(await doctor())

    assert list(found) == ["Cloudflare RealtimeKit"]
    assert found["Cloudflare RealtimeKit"].startswith(said)
    assert "meeting" not in found["Cloudflare RealtimeKit"]
    assert "network" not in found["Cloudflare RealtimeKit"]


async def test_cloudflare_is_out_of_reach(doctor: Doctor) -> None:
    """A Cloudflare that cannot be connected to is told with what to check."""
    found = bad(await doctor(CLOUDFLARE_BASE_URL="http://127.0.0.1:1/client/v4"))

    assert "Check the network and CLOUDFLARE_BASE_URL" in found["Cloudflare RealtimeKit"]


async def test_database_of_a_newer_version(doctor: Doctor, tmp_path: Path) -> None:
    """A database that the bot could not use is told in the sentence that it would refuse to start with."""
    url = f"sqlite:///{tmp_path}/bot.db"
    await (await open_store(url)).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "bot.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_compatibility SET min_revision = '9999'")
        connection.commit()

    found = bad(await doctor(DATABASE_URL=url))

    assert list(found) == ["Database"]
    assert "written by a newer version of this bot" in found["Database"]


async def test_database_is_out_of_reach(doctor: Doctor) -> None:
    """A database server that is not there is told without the password."""
    found = bad(await doctor(DATABASE_URL="postgresql://bot:pass-of-the-bot@127.0.0.1:1/bot"))

    assert list(found) == ["Database"]
    assert "pass-of-the-bot" not in doctor.printed


async def test_database_is_not_there_yet(doctor: Doctor, tmp_path: Path) -> None:
    """Before the first start there is no database, and the doctor makes none."""
    findings = await doctor(DATABASE_URL=f"sqlite:///{tmp_path}/bot.db")

    assert bad(findings) == {}
    assert not (tmp_path / "bot.db").exists()


WEBHOOK = "https://bot.example.com/realtimekit/webhooks"


async def test_no_webhook(doctor: Doctor, world: World) -> None:
    """Without a webhook the bot asks, which is no fault; a webhook of somebody else's is none."""
    world.kit.add_webhook("https://other.example.com/hook")

    findings = await doctor()

    assert bad(findings) == {}
    [webhook] = [finding for finding in findings if finding.subject == "RealtimeKit webhook"]
    assert webhook.sentence.startswith("None registered, so changes are found by polling.")


async def test_webhook_of_another_program_with_an_odd_address_is_passed_over(doctor: Doctor, world: World) -> None:
    world.kit.add_webhook("http://[")
    world.kit.add_webhook(WEBHOOK)

    assert bad(await doctor()) == {}


async def test_webhook(doctor: Doctor, world: World) -> None:
    """A webhook that tells of livestreams is told with where it goes."""
    world.kit.add_webhook(WEBHOOK)

    findings = await doctor()

    assert bad(findings) == {}
    [webhook] = [finding for finding in findings if finding.subject == "RealtimeKit webhook"]
    assert WEBHOOK in webhook.sentence


@pytest.mark.parametrize("wrong", [{"enabled": False}, {"events": ["meeting.ended"]}])
async def test_webhook_that_is_of_no_use(doctor: Doctor, world: World, wrong: dict[str, Any]) -> None:
    """A webhook that tells nothing of livestreams was meant to, so it is told with how to mend it."""
    world.kit.add_webhook(WEBHOOK, **wrong)

    found = bad(await doctor())

    assert list(found) == ["RealtimeKit webhook"]
    assert "livestream-bot webhook add" in found["RealtimeKit webhook"]


async def test_no_key(doctor: Doctor, world: World) -> None:
    """A key that cannot be had is a fault where a webhook needs it."""
    world.kit.add_webhook(WEBHOOK)

    found = bad(await doctor(REALTIMEKIT_WEBHOOK_KEY_URL=f"{world.kit_url}/no-key"))

    assert list(found) == ["RealtimeKit's public key"]
    assert "REALTIMEKIT_WEBHOOK_KEY_URL" in found["RealtimeKit's public key"]


async def test_no_key_is_needed(doctor: Doctor, world: World) -> None:
    """Where no webhook is registered nobody needs the key."""
    findings = await doctor(REALTIMEKIT_WEBHOOK_KEY_URL=f"{world.kit_url}/no-key")

    assert bad(findings) == {}
    assert "Only webhooks need it" in findings[-1].sentence


async def test_webhooks_cannot_be_asked_for(doctor: Doctor, world: World) -> None:
    """Where Cloudflare does not list the webhooks, that is what is told."""
    world.kit.fail_next(CloudflareFault.NONE)
    world.kit.fail_next(CloudflareFault.RATE_LIMITED)

    found = bad(await doctor())

    assert found == {"RealtimeKit webhook": "Cloudflare is rate-limiting this bot. Try again in five minutes."}


async def test_the_key_is_skipped_if_the_webhooks_cannot_be_listed(doctor: Doctor, world: World) -> None:
    """It depends on them whether it is needed."""
    world.kit.fail_next(CloudflareFault.NONE)
    world.kit.fail_next(CloudflareFault.RATE_LIMITED)

    findings = await doctor()

    assert skipped(findings) == {
        "RealtimeKit's public key": "Not checked, because the webhooks couldn't be listed (see above)."
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-another"}, "the bot token above isn't usable"),
        ({"SLACK_BOT_TOKEN": "another"}, "its settings are missing or invalid"),
    ],
)
async def test_direct_messages_are_skipped_without_a_valid_token(
    doctor: Doctor, changes: dict[str, Any], why: str
) -> None:
    """Nothing that is usually checked is missing from the list."""
    usual = {finding.subject for finding in await doctor()} - {"Settings", "Slack app token"}
    findings = await doctor(**changes)

    assert skipped(findings)["Slack direct messages"] == f"Not checked, because {why}."
    assert usual <= {finding.subject for finding in findings}


async def test_everything_is_wrong(doctor: Doctor, world: World) -> None:
    """All that is wrong is told in one go."""
    changes: dict[str, Any] = {
        "SLACK_BOT_TOKEN": "xoxb-another",
        "SLACK_APP_TOKEN": "xapp-another",
        "CLOUDFLARE_API_TOKEN": "another",
    }
    with below_the_usual() as sock:
        found = bad(await doctor(PORT=str(sock.getsockname()[1]), **changes))

    assert list(found) == ["Address", "Slack bot token", "Slack app token", "Cloudflare RealtimeKit"]

"""The doctor's findings with a local Slack and Cloudflare, and its advice."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from bot.doctor import Finding, run_checks
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
    """Runs the checks with a bot's settings, some of them changed."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._monkeypatch = monkeypatch
        self.printed = ""

    async def __call__(self, mode: Mode = "socket", **changes: str) -> list[Finding]:
        world = self._world
        environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, mode)
        for name, value in {"PORT": free_port(), **environment, **changes}.items():
            self._monkeypatch.setenv(name, value)
        findings = [finding async for finding in run_checks()]
        self.printed += "\n".join(map(str, findings))
        return findings


@pytest.fixture
def doctor(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doctor]:
    """Yield a doctor without retries, whose output must contain no secret."""
    doctor = Doctor(world, monkeypatch)
    yield doctor
    credentials = world.slack.credentials
    secrets = (credentials.bot_token, credentials.app_token, credentials.signing_secret, world.kit.api_token)
    assert not [secret for secret in secrets if secret in doctor.printed]


def failures(findings: list[Finding]) -> dict[str, str]:
    """Return the failed checks: the sentence by the subject."""
    return {finding.subject: finding.sentence for finding in findings if finding.ok is False}


def skipped(findings: list[Finding]) -> dict[str, str]:
    """Return the skipped checks: the reason by the subject."""
    return {finding.subject: finding.sentence for finding in findings if finding.ok is None}


async def test_good_setup_with_an_additional_scope_passes_every_check(doctor: Doctor, world: World) -> None:
    world.slack.scopes = {"users:read"} | bot_scopes()

    findings = await doctor()

    assert failures(findings) == {}
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


async def test_http_mode_explains_the_manual_check(doctor: Doctor) -> None:
    findings = await doctor("http")

    assert failures(findings) == {}
    [connection] = [finding for finding in findings if finding.subject == "Slack connection"]
    assert "https://<your host>/slack/events" in connection.sentence
    assert "type /livestream once" in connection.sentence


async def test_missing_settings_are_listed_and_other_checks_still_run() -> None:
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


async def test_invalid_settings_do_not_prevent_other_checks(doctor: Doctor) -> None:
    findings = await doctor(SLACK_BOT_TOKEN="xoxp-secret-of-another-kind", PORT="0", LOG_LEVEL="loud")

    assert [finding.subject for finding in findings if finding.ok is False] == ["Settings"] * 3
    assert [finding.subject for finding in findings if finding.ok][:2] == ["Database", "Cloudflare RealtimeKit"]
    assert "another kind of token was pasted" in findings[0].sentence
    assert "xoxp-secret" not in doctor.printed


async def test_unreadable_env_file_is_reported(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(section: object) -> None:
        raise ConfigurationError(["The file .env cannot be read: PermissionError."])

    monkeypatch.setattr("bot.doctor.load", refuse)

    assert set(failures(await doctor()).values()) == {"The file .env cannot be read: PermissionError."}


async def test_port_in_use_is_reported_with_a_remedy(doctor: Doctor) -> None:
    with below_the_usual() as sock:
        port = str(sock.getsockname()[1])
        found = failures(await doctor(PORT=port))

    assert list(found) == ["Address"]
    assert found["Address"].startswith(f"Can't listen on 127.0.0.1:{port} (Address already in use).")
    assert "set HOST and PORT to another address" in found["Address"]


async def test_port_used_by_a_running_bot_is_fine(doctor: Doctor, world: World) -> None:
    async with world.bot():
        host, _, port = world.bot_url.removeprefix("http://").partition(":")
        (found,) = [finding for finding in await doctor(HOST=host, PORT=port) if finding.subject == "Address"]

    assert found.ok
    assert found.sentence == f"A bot is already running at {host}:{port}; see its /readyz."


async def test_port_used_by_another_program_is_reported(doctor: Doctor) -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("hello")(scope, receive, send)

    async with serving(other, listen(), drain_seconds=1) as url:
        found = failures(await doctor(PORT=url.rpartition(":")[2]))

    assert list(found) == ["Address"]


async def test_missing_scopes_are_named_with_a_remedy(doctor: Doctor, world: World) -> None:
    world.slack.scopes = {"users:read"} | bot_scopes() - {"chat:write", "commands"}

    found = failures(await doctor())

    assert found["Slack bot token"].startswith("It lacks chat:write, commands. Add that on the app's page")
    assert found["Slack bot token"].endswith("then reinstall the app.")


async def test_app_token_without_its_scope_is_reported_with_a_remedy(doctor: Doctor, world: World) -> None:
    world.slack.app_scopes = set()

    [(subject, sentence)] = failures(await doctor()).items()

    assert subject == "Slack app token"
    assert sentence.startswith("Slack rejects it (missing_scope). Make one with connections:write")


@pytest.mark.parametrize(
    ("changes", "subject", "sentence"),
    [
        (
            {"SLACK_BOT_TOKEN": "xoxb-another"},
            "Slack bot token",
            r"Slack rejects it \(invalid_auth\)\. Copy the Bot User OAuth Token again",
        ),
        (
            {"SLACK_APP_TOKEN": "xapp-another"},
            "Slack app token",
            r"Slack rejects it \(invalid_auth\)\. Make one with connections:write",
        ),
        (
            {"CLOUDFLARE_API_TOKEN": "another"},
            "Cloudflare RealtimeKit",
            r"Cloudflare rejects the request \(.*10000.*Make an API token",
        ),
        (
            {"REALTIMEKIT_APP_ID": "another"},
            "Cloudflare RealtimeKit",
            r"Cloudflare rejects the request \(.*7003.*REALTIMEKIT_APP_ID",
        ),
        (
            {"CLOUDFLARE_ACCOUNT_ID": "another"},
            "Cloudflare RealtimeKit",
            r"Cloudflare rejects the request \(.*7003.*CLOUDFLARE_ACCOUNT_ID",
        ),
        (
            {"CLOUDFLARE_BASE_URL": "http://127.0.0.1:1/client/v4"},
            "Cloudflare RealtimeKit",
            ".*Check the network and CLOUDFLARE_BASE_URL",
        ),
        ({"HOST": "192.0.2.1"}, "Address", ""),
        ({"HOST": "no-such-host.invalid"}, "Address", ""),
        ({"HOST": "ä" * 70}, "Address", ""),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_wrong_setting_is_reported_with_a_remedy(
    doctor: Doctor, changes: dict[str, Any], subject: str, sentence: str
) -> None:
    found = failures(await doctor(**changes))

    assert list(found) == [subject]
    assert re.match(sentence, found[subject])


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
@pytest.mark.parametrize("code", ["internal_error", "ratelimited"])
async def test_slack_failure_does_not_blame_the_token(doctor: Doctor, world: World, method: str, code: str) -> None:
    world.slack.refuse_next(method, code)

    [sentence] = failures(await doctor()).values()

    assert sentence == f"Slack can't check it right now ({code}). Try again in a minute."


@pytest.mark.parametrize("fault", [SlackFault.DROP, SlackFault.SERVER_ERROR])
async def test_unreachable_slack_is_reported_for_both_tokens(doctor: Doctor, world: World, fault: SlackFault) -> None:
    world.slack.fault = fault

    found = failures(await doctor())

    assert list(found) == ["Slack bot token", "Slack app token"]
    for sentence in found.values():
        assert sentence.startswith("Can't reach Slack (")
        assert sentence.endswith("Check the network, the proxy and SLACK_API_URL.")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (CloudflareFault.RATE_LIMITED, "Cloudflare is rate-limiting this bot. Try again in five minutes."),
        (CloudflareFault.SERVER_ERROR, "Cloudflare is having problems (HTTP 500"),
        (CloudflareFault.HTML, "Cloudflare is having problems (HTTP 502)"),
    ],
)
async def test_cloudflare_failure_does_not_blame_the_settings(
    doctor: Doctor, world: World, fault: CloudflareFault, message: str
) -> None:
    world.kit.fault = fault

    found = failures(await doctor())

    assert list(found) == ["Cloudflare RealtimeKit"]
    assert found["Cloudflare RealtimeKit"].startswith(message)
    assert "meeting" not in found["Cloudflare RealtimeKit"]
    assert "network" not in found["Cloudflare RealtimeKit"]


async def test_database_of_a_newer_version_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    await (await open_store(url)).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "bot.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_compatibility SET min_revision = '9999'")
        connection.commit()

    found = failures(await doctor(DATABASE_URL=url))

    assert list(found) == ["Database"]
    assert "written by a newer version of this bot" in found["Database"]


async def test_unreachable_database_is_reported_without_the_password(doctor: Doctor) -> None:
    found = failures(await doctor(DATABASE_URL="postgresql://bot:pass-of-the-bot@127.0.0.1:1/bot"))

    assert list(found) == ["Database"]
    assert "pass-of-the-bot" not in doctor.printed


async def test_missing_database_is_fine_and_not_created(doctor: Doctor, tmp_path: Path) -> None:
    findings = await doctor(DATABASE_URL=f"sqlite:///{tmp_path}/bot.db")

    assert failures(findings) == {}
    assert not (tmp_path / "bot.db").exists()


WEBHOOK = "https://bot.example.com/realtimekit/webhooks"


async def test_missing_webhook_is_fine(doctor: Doctor, world: World) -> None:
    world.kit.add_webhook("https://other.example.com/hook")

    findings = await doctor()

    assert failures(findings) == {}
    [webhook] = [finding for finding in findings if finding.subject == "RealtimeKit webhook"]
    assert webhook.sentence.startswith("None registered, so changes are found by polling.")


async def test_registered_webhook_is_reported_with_its_url_beside_an_invalid_one(doctor: Doctor, world: World) -> None:
    world.kit.add_webhook("http://[")
    world.kit.add_webhook(WEBHOOK)

    findings = await doctor()

    assert failures(findings) == {}
    [webhook] = [finding for finding in findings if finding.subject == "RealtimeKit webhook"]
    assert WEBHOOK in webhook.sentence


@pytest.mark.parametrize("wrong", [{"enabled": False}, {"events": ["meeting.ended"]}])
async def test_disabled_or_incomplete_webhook_is_reported_with_a_remedy(
    doctor: Doctor, world: World, wrong: dict[str, Any]
) -> None:
    world.kit.add_webhook(WEBHOOK, **wrong)

    found = failures(await doctor())

    assert list(found) == ["RealtimeKit webhook"]
    assert "livestream-bot webhook add" in found["RealtimeKit webhook"]


async def test_unavailable_key_is_reported_when_a_webhook_needs_it(doctor: Doctor, world: World) -> None:
    world.kit.add_webhook(WEBHOOK)

    found = failures(await doctor(REALTIMEKIT_WEBHOOK_KEY_URL=f"{world.kit_url}/no-key"))

    assert list(found) == ["RealtimeKit's public key"]
    assert "REALTIMEKIT_WEBHOOK_KEY_URL" in found["RealtimeKit's public key"]


async def test_unavailable_key_is_fine_without_a_webhook(doctor: Doctor, world: World) -> None:
    findings = await doctor(REALTIMEKIT_WEBHOOK_KEY_URL=f"{world.kit_url}/no-key")

    assert failures(findings) == {}
    assert "Only webhooks need it" in findings[-1].sentence


async def test_webhook_checks_are_skipped_when_cloudflare_fails(doctor: Doctor, world: World) -> None:
    """It may refuse the access, or not be reached."""
    world.kit.fault = CloudflareFault.DROP

    why = "Not checked, because the Cloudflare check above failed."
    assert skipped(await doctor()) == {"RealtimeKit webhook": why, "RealtimeKit's public key": why}


async def test_failed_webhook_list_is_reported_and_skips_the_key_check(doctor: Doctor, world: World) -> None:
    world.kit.fail_next(CloudflareFault.NONE)
    world.kit.fail_next(CloudflareFault.RATE_LIMITED)

    findings = await doctor()

    assert failures(findings) == {
        "RealtimeKit webhook": "Cloudflare is rate-limiting this bot. Try again in five minutes."
    }
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
async def test_direct_message_check_is_skipped_without_a_valid_token(
    doctor: Doctor, changes: dict[str, Any], why: str
) -> None:
    usual = {finding.subject for finding in await doctor()} - {"Settings", "Slack app token"}
    findings = await doctor(**changes)

    assert skipped(findings)["Slack direct messages"] == f"Not checked, because {why}."
    assert usual <= {finding.subject for finding in findings}


async def test_every_failure_is_reported_together(doctor: Doctor, world: World) -> None:
    changes: dict[str, Any] = {
        "SLACK_BOT_TOKEN": "xoxb-another",
        "SLACK_APP_TOKEN": "xapp-another",
        "CLOUDFLARE_API_TOKEN": "another",
    }
    with below_the_usual() as sock:
        found = failures(await doctor(PORT=str(sock.getsockname()[1]), **changes))

    assert list(found) == ["Address", "Slack bot token", "Slack app token", "Cloudflare RealtimeKit"]

"""Whose certificates are trusted, and what people read where a connection fails. Over real sockets, with real TLS."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.doctor import run_checks
from bot.errors import ConfigurationError
from bot.settings import Settings, load
from bot.uvicorn_server import listen, url_of
from sandbox.bot_process import below_the_usual, settings_for
from sandbox.realtimekit import seeds
from tests.authority import Authority, tls_in_front_of
from tests.conftest import World

UNTRUSTED = "its certificate is from an authority that this machine does not trust"


@pytest.fixture
def _shared_client_contexts() -> None:
    """Let each client load the certificates that its own test trusts."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.asynccontextmanager
async def behind_tls(world: World, context: ssl.SSLContext) -> AsyncIterator[dict[str, str]]:
    """Yield settings with which Slack and Cloudflare are reached by TLS."""
    async with tls_in_front_of(world.slack.base_url, context) as slack, tls_in_front_of(world.kit_url, context) as kit:
        environment = settings_for(world.slack, slack, world.kit, kit, "http")
        with below_the_usual() as sock:
            port = str(sock.getsockname()[1])
        yield {**environment, "PORT": port}


async def failures(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> dict[str, str]:
    """Return the failed checks of the doctor."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return {finding.subject: finding.sentence async for finding in run_checks() if not finding.ok}


async def test_system_certificate_store_is_trusted(
    world: World, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For Slack, for Cloudflare and for the webhooks' key."""

    def system_store(context: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        context.load_verify_locations(authority.file)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", system_store)
    async with behind_tls(world, authority.server()) as environment:
        assert await failures(monkeypatch, environment) == {}


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("where", ["environment", ".env"])
async def test_certificate_settings_are_trusted(
    world: World, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, where: str
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(authority.file.read_bytes())
    rehash = await asyncio.create_subprocess_exec("openssl", "rehash", str(folder))
    assert await rehash.wait() == 0
    value = str(authority.file if name == "SSL_CERT_FILE" else folder)
    async with behind_tls(world, authority.server()) as environment:
        if where == ".env":
            (tmp_path / ".env").write_text(f"{name}={value}\n")
        else:
            environment[name] = f'"{value}"'  # as docker run --env-file passes it
        assert await failures(monkeypatch, environment) == {}


async def test_bot_answers_over_tls_with_a_private_authority(world: World, authority: Authority) -> None:
    context = authority.server()
    async with tls_in_front_of(world.slack.base_url, context) as slack, tls_in_front_of(world.kit_url, context) as kit:
        changes: dict[str, Any] = {"slack_api_url": f"{slack}/api/", "cloudflare_base_url": f"{kit}/client/v4"}
        async with world.bot(ssl_cert_file=str(authority.file), **changes):
            await world.ready()
            answer = await world.ask(seeds.LIVE)

    assert "Launch keynote" in answer.text


async def test_doctor_reports_an_untrusted_certificate_and_the_setting(
    world: World, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_tls(world, authority.server()) as environment:
        found = await failures(monkeypatch, environment)

    assert UNTRUSTED in found["Slack bot token"]
    assert UNTRUSTED in found["Cloudflare RealtimeKit"]
    assert "SSL_CERT_FILE" in found["Slack bot token"]


async def test_doctor_reports_an_expired_certificate(
    world: World, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_tls(world, authority.server(expired=True)) as environment:
        found = await failures(monkeypatch, {**environment, "SSL_CERT_FILE": str(authority.file)})

    assert "its certificate has expired. Check this machine's clock" in found["Slack bot token"]
    assert "its certificate has expired" in found["Cloudflare RealtimeKit"]


async def test_doctor_reports_a_certificate_for_another_host(
    world: World, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_tls(world, authority.server("slack.example.com")) as environment:
        found = await failures(monkeypatch, {**environment, "SSL_CERT_FILE": str(authority.file)})

    assert "its certificate is for another host" in found["Slack bot token"]
    assert "its certificate is for another host" in found["Cloudflare RealtimeKit"]


async def test_doctor_reports_a_server_without_tls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slack, kit = (url.replace("http:", "https:") for url in (world.slack.base_url, world.kit_url))
    found = await failures(monkeypatch, settings_for(world.slack, slack, world.kit, kit, "http"))

    assert "there is no TLS at that address" in found["Slack bot token"]
    assert "there is no TLS at that address" in found["Cloudflare RealtimeKit"]


@pytest.mark.parametrize(
    ("status", "message"),
    [(407, "the proxy wants a name and a password (407)"), (403, "the proxy refuses (403)")],
)
async def test_doctor_reports_a_proxy_that_rejects(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int, message: str
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()

    async with await asyncio.start_server(refuse, sock=listen()) as server:
        proxy = url_of(server.sockets[0])
        environment = settings_for(world.slack, "https://slack.invalid", world.kit, "https://api.invalid", "http")
        found = await failures(monkeypatch, {**environment, "HTTPS_PROXY": proxy})

    assert message in found["Slack bot token"]
    assert message in found["Cloudflare RealtimeKit"]


async def test_doctor_reports_an_unreachable_proxy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with listen() as sock:
        nowhere = f"http://127.0.0.1:{sock.getsockname()[1]}"
    environment = settings_for(world.slack, "https://slack.invalid", world.kit, "https://api.invalid", "http")
    found = await failures(monkeypatch, {**environment, "HTTPS_PROXY": nowhere})

    assert "the proxy can't be reached" in found["Slack bot token"]
    assert "the proxy can't be reached" in found["Cloudflare RealtimeKit"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SSL_CERT_FILE", "nowhere.pem", "SSL_CERT_FILE names a file that does not exist: nowhere.pem."),
        ("SSL_CERT_FILE", "empty.pem", "SSL_CERT_FILE names a file without certificates (PEM): empty.pem."),
        ("SSL_CERT_FILE", "text.pem", "SSL_CERT_FILE names a file without certificates (PEM): text.pem."),
        ("SSL_CERT_FILE", "folder", "SSL_CERT_FILE names a file that can't be read: folder (Is a directory)."),
        ("SSL_CERT_DIR", "nowhere", "SSL_CERT_DIR names a folder that does not exist: nowhere."),
    ],
)
async def test_unusable_certificate_setting_prevents_the_start(
    world: World, tmp_path: Path, name: str, value: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "text.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        cwd=tmp_path,
        env={**environment, name: value},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    assert (process.returncode, errors.decode()) == (2, message + "\n")


def test_httpx_certificates_are_used_without_a_system_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda context, purpose=None: None)
    nothing: Any = SimpleNamespace(cafile=None, capath=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)

    from bot.network import tls_context

    assert tls_context().cert_store_stats()["x509_ca"] > 50


def test_certificate_problem_is_listed_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    assert "SSL_CERT_FILE names a file that does not exist: /nowhere." in raised.value.mistakes
    assert len(raised.value.mistakes) > 3

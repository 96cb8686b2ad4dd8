"""Settings, from the environment and from `.env`."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.errors import ConfigurationError
from bot.settings import (
    CloudflareSettings,
    LogSettings,
    LookupSettings,
    NetworkSettings,
    ServerSettings,
    Settings,
    SettingsSection,
    SlackSettings,
    load,
)

BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "xoxb-1-abc", "xapp-1-def", "0a1b2c3d"  # made up
API_TOKEN = "cloudflare-ghi"  # made up
SECRETS = [BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, API_TOKEN]
COMPLETE = {
    "SLACK_BOT_TOKEN": BOT_TOKEN,
    "SLACK_APP_TOKEN": APP_TOKEN,
    "SLACK_SIGNING_SECRET": SIGNING_SECRET,
    "CLOUDFLARE_API_TOKEN": API_TOKEN,
    "CLOUDFLARE_ACCOUNT_ID": "5a4d0b0c0a7e4f1c9d2e3f4a5b6c7d8e",
    "REALTIMEKIT_APP_ID": "a-realtimekit-app",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nothing is missing."""
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def mistakes(section: type[SettingsSection] = Settings) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load(section)
    return raised.value.mistakes


def test_defaults(environment: pytest.MonkeyPatch) -> None:
    """What is not required has the default that the contract names."""
    read = load(Settings)

    assert read.slack_api_url == "https://slack.com/api/"
    assert read.cloudflare_base_url == "https://api.cloudflare.com/client/v4"
    assert (read.host, read.port) == ("127.0.0.1", 3000)
    assert (read.log_format, read.log_level) == (None, "INFO")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SLACK_API_URL", "https://slack.example.com/api/", "https://slack.example.com/api/"),
        ("CLOUDFLARE_BASE_URL", "http://127.0.0.1:8000/client/v4", "http://127.0.0.1:8000/client/v4"),
        ("CLOUDFLARE_ACCOUNT_ID", " abc ", "abc"),
        ("REALTIMEKIT_APP_ID", "app_1-2", "app_1-2"),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("PORT", "8080", 8080),
        ("LOG_FORMAT", "json", "json"),
        ("LOG_FORMAT", "Console", "console"),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_LEVEL", " Warning ", "WARNING"),
    ],
)
def test_read_from_the_environment(environment: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    """Each variable is read, without the spaces around it."""
    environment.setenv(name, text)

    assert getattr(load(Settings), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", BOT_TOKEN),
        ("SLACK_APP_TOKEN", APP_TOKEN),
        ("SLACK_SIGNING_SECRET", SIGNING_SECRET),
        ("CLOUDFLARE_API_TOKEN", API_TOKEN),
    ],
)
def test_secrets_are_read(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Each secret is read, without the spaces and the line end that came along."""
    environment.setenv(name, f" {value}\n")

    assert getattr(load(Settings), name.lower()).get_secret_value() == value


def test_everything_missing() -> None:
    """All that is missing is told at once, a sentence each that says what it is."""
    assert sorted(mistakes()) == [
        "CLOUDFLARE_ACCOUNT_ID is not set. The account that the app belongs to.",
        "CLOUDFLARE_API_TOKEN is not set. API token with the permission Realtime.",
        "REALTIMEKIT_APP_ID is not set. The RealtimeKit app.",
        "SLACK_BOT_TOKEN is not set. Bot token of the workspace (xoxb-...).",
        "SLACK_SIGNING_SECRET or SLACK_APP_TOKEN must be set: the first for HTTP, the second for Socket Mode.",
    ]


def test_everything_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is wrong is told at once, each with its variable's name, and none of it is quoted."""
    for name in [*COMPLETE, "SLACK_API_URL", "CLOUDFLARE_BASE_URL", "LOG_FORMAT", "LOG_LEVEL", "PORT"]:
        monkeypatch.setenv(name, "what was/pasted")

    told = mistakes()

    assert sorted(sentence.split()[0] for sentence in told) == sorted(
        [*COMPLETE, "SLACK_API_URL", "CLOUDFLARE_BASE_URL", "LOG_FORMAT", "LOG_LEVEL", "PORT"]
    )
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in told)
    assert "pasted" not in " ".join(told).replace("another kind of token was pasted", "")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-1-abc", "does not start with xoxb-; another kind of token was pasted."),
        ("SLACK_BOT_TOKEN", "xapp-1-abc", "does not start with xoxb-; another kind of token was pasted."),
        ("SLACK_BOT_TOKEN", "xoxb-", "is only the beginning of a token; copy all of it."),
        ("SLACK_APP_TOKEN", "xoxb-1-abc", "does not start with xapp-; another kind of token was pasted."),
        ("SLACK_APP_TOKEN", "xapp-", "is only the beginning of a token; copy all of it."),
        ("SLACK_SIGNING_SECRET", "ab cd", "contains a space or a character that tokens never have; copy it again."),
        ("SLACK_SIGNING_SECRET", "ab\x07cd", "contains a space or a character that tokens never have; copy it again."),
        ("CLOUDFLARE_API_TOKEN", "“abc", "contains a space or a character that tokens never have; copy it again."),
        ("CLOUDFLARE_API_TOKEN", "ab\ncd", "contains a space or a character that tokens never have; copy it again."),
        ("CLOUDFLARE_ACCOUNT_ID", "a/b", "is not an ID as Cloudflare shows it (letters, digits and hyphens)."),
        ("CLOUDFLARE_ACCOUNT_ID", "..", "is not an ID as Cloudflare shows it (letters, digits and hyphens)."),
        ("REALTIMEKIT_APP_ID", "a" * 65, "is not an ID as Cloudflare shows it (letters, digits and hyphens)."),
        ("REALTIMEKIT_APP_ID", "é", "is not an ID as Cloudflare shows it (letters, digits and hyphens)."),
        ("PORT", "eighty", "must be a whole number from 1 to 65535."),
        ("PORT", "0", "must be a whole number from 1 to 65535."),
        ("PORT", "65536", "must be a whole number from 1 to 65535."),
        ("LOG_FORMAT", "xml", "must be console or json."),
        ("LOG_LEVEL", "LOUD", "must be DEBUG, INFO, WARNING or ERROR."),
    ],
)
def test_one_thing_wrong(environment: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    """A mistake is one sentence that says what a good value looks like."""
    environment.setenv(name, value)

    assert mistakes() == [f"{name} {sentence}"]


@pytest.mark.parametrize("name", ["SLACK_API_URL", "CLOUDFLARE_BASE_URL"])
@pytest.mark.parametrize(
    "value",
    [
        "api.example.com",
        "ftp://example.com",
        "https://",
        "https:///v4",
        "https://[::1",
        "https://example.com:99999",
        "https://example.com:0",
        "https://exa mple.com",
        "https://example.com/\x07",
        "https://exämple.com",
        "https://example.com/?x=1",
        "https://example.com/#x",
        "https://someone:password@example.com/",
    ],
)
def test_no_address(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """An address to which no path can be appended, or with a password in it, is none."""
    environment.setenv(name, value)

    assert mistakes() == [f"{name} is not an http:// or https:// address such as https://api.example.com/v4."]


@pytest.mark.parametrize(
    "value",
    ["http://127.0.0.1:8000", "http://localhost/api", "HTTP://LOCALHOST", "http://[::1]:8000", "http://127.9.9.9"],
)
def test_plain_http_on_this_machine(environment: pytest.MonkeyPatch, value: str) -> None:
    """http:// is good for this machine."""
    environment.setenv("CLOUDFLARE_BASE_URL", value)

    assert load(Settings).cloudflare_base_url == value


@pytest.mark.parametrize(
    "host", ["api.example.com", "10.0.0.1", "0.0.0.0", "localhost.example.com", "127.0.0.1.nip.io"]
)
def test_plain_http_elsewhere(environment: pytest.MonkeyPatch, host: str) -> None:
    """http:// to another machine would show the token to everybody on the way."""
    environment.setenv("SLACK_API_URL", f"http://{host}/api/")

    assert mistakes() == ["SLACK_API_URL must be https:// (a secret goes there); http:// is for this machine only."]


@pytest.mark.parametrize("name", ["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"])
def test_one_way_in_is_enough(environment: pytest.MonkeyPatch, name: str) -> None:
    """Socket Mode alone is enough, and so is HTTP alone."""
    environment.delenv(name)

    assert getattr(load(Settings), name.lower()) is None


def test_no_way_in(environment: pytest.MonkeyPatch) -> None:
    """Without both, Slack could not reach the bot."""
    environment.delenv("SLACK_APP_TOKEN")
    environment.delenv("SLACK_SIGNING_SECRET")

    assert mistakes(SlackSettings) == [
        "SLACK_SIGNING_SECRET or SLACK_APP_TOKEN must be set: the first for HTTP, the second for Socket Mode."
    ]


def test_a_wrong_way_in_is_told_once(environment: pytest.MonkeyPatch) -> None:
    """An app token that is wrong is not called missing as well."""
    environment.setenv("SLACK_APP_TOKEN", "xoxb-1")
    environment.delenv("SLACK_SIGNING_SECRET")

    assert mistakes() == ["SLACK_APP_TOKEN does not start with xapp-; another kind of token was pasted."]


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_empty_is_unset(environment: pytest.MonkeyPatch, empty: str) -> None:
    """A variable with nothing in it counts as not there, be it required or not."""
    for name in ("SLACK_APP_TOKEN", "SLACK_API_URL", "HOST", "PORT", "LOG_FORMAT", "LOG_LEVEL"):
        environment.setenv(name, empty)
    read = load(Settings)
    assert read.slack_app_token is None
    assert read.slack_api_url == "https://slack.com/api/"
    assert (read.host, read.port, read.log_format, read.log_level) == ("127.0.0.1", 3000, None, "INFO")

    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "CLOUDFLARE_API_TOKEN", "REALTIMEKIT_APP_ID"):
        environment.setenv(name, empty)

    assert sorted(sentence.split()[0] for sentence in mistakes()) == [
        "CLOUDFLARE_API_TOKEN",
        "REALTIMEKIT_APP_ID",
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    ]


def test_dotenv() -> None:
    """`.env` in the working directory is read; what is not ours in it is left alone."""
    lines = [f"{name}={value}" for name, value in COMPLETE.items()]
    Path(".env").write_text("\n".join(["# a comment", *lines, "export PORT=4000", "SOMETHING_ELSE=1"]))

    read = load(Settings)

    assert read.slack_bot_token.get_secret_value() == BOT_TOKEN
    assert read.port == 4000


def test_environment_wins_over_dotenv(environment: pytest.MonkeyPatch) -> None:
    """A variable of the environment wins over a line in `.env`, unless it is empty."""
    Path(".env").write_text("PORT=4000\nHOST=127.0.0.2\nLOG_LEVEL=\n")
    environment.setenv("PORT", "5000")
    environment.setenv("HOST", "")

    read = load(Settings)

    assert (read.host, read.port, read.log_level) == ("127.0.0.2", 5000, "INFO")


def test_dotenv_that_is_no_text() -> None:
    """A `.env` in another encoding is one sentence."""
    Path(".env").write_bytes(b"SLACK_BOT_TOKEN=\xff\xfe")

    assert mistakes() == ["The file .env is not UTF-8 text. Save it as UTF-8."]


def test_dotenv_that_may_not_be_read(environment: pytest.MonkeyPatch) -> None:
    """A `.env` that may not be read is one sentence."""

    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    environment.setattr(Path, "is_file", refuse)

    assert mistakes() == ["The file .env can't be read: Permission denied."]


def test_dotenv_with_a_mistake(environment: pytest.MonkeyPatch) -> None:
    """A mistake in `.env` is told like one in the environment."""
    Path(".env").write_text("PORT=eighty\n")

    assert [sentence.split()[0] for sentence in mistakes()] == ["PORT"]


@pytest.mark.parametrize("section", [SlackSettings, CloudflareSettings, ServerSettings, LogSettings, LookupSettings])
def test_sections(environment: pytest.MonkeyPatch, section: type[SettingsSection]) -> None:
    """A section asks for its own variables only."""
    for name in COMPLETE:
        if name.lower() not in section.model_fields:
            environment.delenv(name)

    load(section)


def test_lookup_needs_no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """`lookup` works without anything of Slack's."""
    assert sorted(sentence.split()[0] for sentence in mistakes(LookupSettings)) == [
        "CLOUDFLARE_ACCOUNT_ID",
        "CLOUDFLARE_API_TOKEN",
        "REALTIMEKIT_APP_ID",
    ]


def test_overrides(environment: pytest.MonkeyPatch) -> None:
    """What is given wins over the environment."""
    assert load(Settings, port=1).port == 1


def test_every_setting_is_described() -> None:
    """Each variable has a meaning, which is told when it is missing."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_secrets_are_listed(environment: pytest.MonkeyPatch) -> None:
    """All secrets that are set are there for the log to mask."""
    assert sorted(load(Settings).secrets()) == sorted(SECRETS)
    assert load(LookupSettings).secrets() == [API_TOKEN]

    environment.delenv("SLACK_APP_TOKEN")
    assert APP_TOKEN not in load(Settings).secrets()


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql+asyncpg://bot:correct%20horse@db/livestream", ["correct horse", "correct%20horse"]),
        ("postgresql+asyncpg://bot@db/livestream", []),
        ("sqlite+aiosqlite:///livestream-bot.db", []),
    ],
)
def test_the_database_s_password(environment: pytest.MonkeyPatch, url: str, secrets: list[str]) -> None:
    """Is masked in the log, and the rest of its address is not: a file's name would be missing everywhere."""
    environment.setenv("DATABASE_URL", url)
    read = load(Settings)

    assert sorted(set(read.secrets()) - set(SECRETS)) == secrets
    assert url not in f"{read!r}"


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    """No secret is in anything that the settings show of themselves."""
    read = load(Settings)

    shown = f"{read!r} {read} {read.model_dump()} {read.model_dump_json()} {json.dumps(read.model_json_schema())}"
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("name", COMPLETE)
def test_mistakes_never_quote(environment: pytest.MonkeyPatch, name: str) -> None:
    """A value that is wrong may be a secret in the wrong place."""
    environment.setenv(name, "xoxp-a secret")

    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    told = f"{raised.value!r} {raised.value} {raised.value.detail} {raised.value.__context__!r}"
    assert "xoxp-a secret" not in told


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
URL_PARTS = st.sampled_from(
    ["https://", "http://", "a", ".", ":", "@", "[", "]", "::1", "/", "?", "99999", "%", "-", "\\", "é"]
)


@settings(deadline=None)
@given(name=st.sampled_from([*COMPLETE, "SLACK_API_URL", "PORT", "HOST", "LOG_FORMAT", "LOG_LEVEL"]), value=TEXTS)
def test_any_value(name: str, value: str) -> None:
    """Any text is good, or is one mistake in a sentence that does not quote it."""
    told: list[str] = []

    with pytest.MonkeyPatch.context() as environment:
        for each, text in {**COMPLETE, name: value}.items():
            environment.setenv(each, text)
        try:
            load(Settings)
        except ConfigurationError as error:
            told = error.mistakes

    assert len(told) <= 1
    assert all(sentence.startswith(name) for sentence in told)
    assert len(value) < 10 or value not in "".join(told)


@settings(deadline=None)
@given(TEXTS | st.lists(URL_PARTS).map("".join) | st.lists(URL_PARTS).map(lambda parts: "https://" + "".join(parts)))
def test_any_address(value: str) -> None:
    """What is taken for an address can be asked."""
    try:
        read = load(
            CloudflareSettings,
            cloudflare_api_token="t",
            cloudflare_account_id="a",
            realtimekit_app_id="b",
            cloudflare_base_url=value,
        )
    except ConfigurationError:
        return

    url = httpx.Client(base_url=read.cloudflare_base_url).build_request("GET", "/meetings").url
    assert url.host
    assert url.path.endswith("/meetings")
    assert not url.query


def test_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is an address; anything else is told."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    assert load(NetworkSettings).proxy == "http://proxy.example.com:3128"

    monkeypatch.setenv("HTTPS_PROXY", "http://ann:pass-word@proxy.example.com:3128")
    assert "pass-word" not in repr(load(NetworkSettings))

    monkeypatch.setenv("HTTPS_PROXY", "proxy")
    with pytest.raises(ConfigurationError) as wrong:
        load(NetworkSettings)

    assert wrong.value.mistakes == ["HTTPS_PROXY is not the address of a proxy (http://proxy.example.com:3128)."]


@pytest.mark.parametrize(
    "around", ['"{}"', "'{}'", " {} ", '"{}" ', '" {} "', "\u201c{}\u201d", "{}\r", "\ufeff{}", "'\"{}\"'"]
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_what_is_around_a_value_is_taken_off(monkeypatch: pytest.MonkeyPatch, around: str, where: str) -> None:
    """Quotes, as `docker run --env-file` passes them, and spaces: around every setting, not around tokens only."""
    wanted = {**COMPLETE, "PORT": "4000", "HOST": "0.0.0.0", "LOG_LEVEL": "ERROR", "END_GRACE_PERIOD_SECONDS": "30"}
    wanted["HTTPS_PROXY"] = "http://proxy.example.com:3128"
    wanted["DATABASE_URL"] = "sqlite+aiosqlite:////tmp/x.db"
    values = {name: around.format(value) for name, value in wanted.items()}
    if where == "environment":
        for name, value in values.items():
            monkeypatch.setenv(name, value)
    else:
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")

    read = load(Settings)

    for name, value in wanted.items():
        found = getattr(read, name.lower())
        assert str(found.get_secret_value() if isinstance(found, SecretStr) else found) == value


@pytest.mark.parametrize("nothing", ["", " ", '""', "''", '" "', "\u200b"])
def test_an_empty_variable_is_unset(environment: pytest.MonkeyPatch, nothing: str) -> None:
    """A variable with nothing in it counts as none: `.env` or the default has the value."""
    Path(".env").write_text("PORT=4000\n")
    environment.setenv("PORT", nothing)
    environment.setenv("LOG_LEVEL", nothing)
    environment.setenv("SLACK_APP_TOKEN", nothing)
    read = load(Settings)

    assert (read.port, read.log_level, read.slack_app_token) == (4000, "INFO", None)


@pytest.mark.parametrize(
    "token", ['xoxb-1-"abc', "xoxb-1-'abc", "xoxb-1\nabc", "<xoxb-1-abc>", "xoxb-1 abc", '"xoxb-1-abc']
)
def test_a_token_with_something_in_it(environment: pytest.MonkeyPatch, token: str) -> None:
    """A quote or a line break within a token is one sentence, which does not show the token."""
    environment.setenv("SLACK_BOT_TOKEN", token)

    [mistake] = mistakes()
    assert mistake.startswith("SLACK_BOT_TOKEN ")
    assert "1-" not in mistake


def test_dotenv_that_is_a_folder(environment: pytest.MonkeyPatch) -> None:
    """A folder in the place of `.env`, as Docker makes one for a file that is not there, is one sentence."""
    Path(".env").mkdir()

    assert mistakes() == ["The file .env is a folder. Remove it, and put the settings into a file."]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dotenv_from_another_system(encoding: str, end: str) -> None:
    """A byte order mark, Windows' ends of lines, `export`, quotes and spaces do no harm."""
    lines = [f"export {name} = '{value}'" for name, value in COMPLETE.items()]
    Path(".env").write_bytes(end.join([*lines, ""]).encode(encoding))

    assert load(Settings).slack_bot_token.get_secret_value() == BOT_TOKEN


def test_dotenv_in_utf_16() -> None:
    """What PowerShell's `>` writes is one sentence."""
    Path(".env").write_text("SLACK_BOT_TOKEN=x", encoding="utf-16")

    assert mistakes() == ["The file .env is not UTF-8 text. Save it as UTF-8."]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("warn", "WARNING"), ("Warning", "WARNING"), ("debug", "DEBUG"), ("Info", "INFO"), ("critical", "ERROR")],
)
def test_log_level_in_other_words(monkeypatch: pytest.MonkeyPatch, written: str, meant: str) -> None:
    """Log levels are taken in any case, and by other programs' names."""
    monkeypatch.setenv("LOG_LEVEL", written)

    assert load(LogSettings).log_level == meant


@pytest.mark.parametrize("written", ["JSON", "Json", '"json"'])
def test_log_format_in_any_case(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    """Log formats are taken in any case."""
    monkeypatch.setenv("LOG_FORMAT", written)

    assert load(LogSettings).log_format == "json"

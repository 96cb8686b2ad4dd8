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
    """Return an environment in which nothing is missing."""
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def problems(section: type[SettingsSection] = Settings) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load(section)
    return raised.value.mistakes


def test_optional_settings_have_their_defaults(environment: pytest.MonkeyPatch) -> None:
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
        ("LOG_FORMAT", '"JSON"', "json"),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_LEVEL", "Info", "INFO"),
        ("LOG_LEVEL", " Warning ", "WARNING"),
        ("LOG_LEVEL", "warn", "WARNING"),
        ("LOG_LEVEL", "critical", "ERROR"),
    ],
)
def test_variable_is_read_in_any_case_without_surrounding_spaces(
    environment: pytest.MonkeyPatch, name: str, text: str, value: Any
) -> None:
    environment.setenv(name, text)

    assert getattr(load(Settings), name.lower()) == value


def test_all_missing_settings_are_listed_with_their_meaning() -> None:
    assert sorted(problems()) == [
        "CLOUDFLARE_ACCOUNT_ID is not set. ID of the account that the app belongs to: see its overview in "
        "Cloudflare's dashboard.",
        "CLOUDFLARE_API_TOKEN is not set. API token with the permission Realtime: see Manage Account > API Tokens in "
        "Cloudflare's dashboard.",
        "REALTIMEKIT_APP_ID is not set. ID of the RealtimeKit app: see RealtimeKit in Cloudflare's dashboard.",
        "SLACK_BOT_TOKEN is not set. Bot token of the workspace (xoxb-...): see "
        "OAuth & Permissions on the Slack app's page.",
        "SLACK_SIGNING_SECRET or SLACK_APP_TOKEN must be set: the first for HTTP, the second for Socket Mode.",
    ]


def test_all_invalid_settings_are_listed_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*COMPLETE, "SLACK_API_URL", "CLOUDFLARE_BASE_URL", "LOG_FORMAT", "LOG_LEVEL", "PORT"]:
        monkeypatch.setenv(name, "what was/pasted")

    shown = problems()

    assert sorted(sentence.split()[0] for sentence in shown) == sorted(
        [*COMPLETE, "SLACK_API_URL", "CLOUDFLARE_BASE_URL", "LOG_FORMAT", "LOG_LEVEL", "PORT"]
    )
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in shown)
    assert "pasted" not in " ".join(shown).replace("another kind of token was pasted", "")


NO_URL = "is not an http:// or https:// address such as https://api.example.com/v4."
UNUSABLE_URLS = [
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
]
INSECURE = "must be https:// (a secret goes there); http:// is for this machine only."
OTHER_HOSTS = ["api.example.com", "10.0.0.1", "0.0.0.0", "localhost.example.com", "127.0.0.1.nip.io"]
OTHER_KIND = "another kind of token was pasted."
ODD = "contains a space or a character that tokens never have; copy it again."
NO_ID = "is not an ID as Cloudflare shows it (letters, digits and hyphens)."
NO_PORT = "must be a whole number from 1 to 65535."


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-1-abc", f"does not start with xoxb-; {OTHER_KIND}"),
        ("SLACK_BOT_TOKEN", "xapp-1-abc", f"does not start with xoxb-; {OTHER_KIND}"),
        ("SLACK_BOT_TOKEN", "xoxb-", "is only the beginning of a token; copy all of it."),
        ("SLACK_BOT_TOKEN", 'xoxb-1-"abc', ODD),
        ("SLACK_BOT_TOKEN", "xoxb-1-'abc", ODD),
        ("SLACK_BOT_TOKEN", "<xoxb-1-abc>", ODD),
        ("SLACK_BOT_TOKEN", '"xoxb-1-abc', ODD),
        ("SLACK_APP_TOKEN", "xoxb-1-abc", f"does not start with xapp-; {OTHER_KIND}"),
        ("SLACK_APP_TOKEN", "xapp-", "is only the beginning of a token; copy all of it."),
        ("SLACK_SIGNING_SECRET", "ab cd", ODD),
        ("SLACK_SIGNING_SECRET", "ab\x07cd", ODD),
        ("CLOUDFLARE_API_TOKEN", "“abc", ODD),
        ("CLOUDFLARE_API_TOKEN", "ab\ncd", ODD),
        ("CLOUDFLARE_ACCOUNT_ID", "a/b", NO_ID),
        ("CLOUDFLARE_ACCOUNT_ID", "..", NO_ID),
        ("REALTIMEKIT_APP_ID", "a" * 65, NO_ID),
        ("REALTIMEKIT_APP_ID", "é", NO_ID),
        ("PORT", "eighty", NO_PORT),
        ("PORT", "0", NO_PORT),
        ("PORT", "65536", NO_PORT),
        ("LOG_FORMAT", "xml", "must be console or json."),
        ("LOG_LEVEL", "LOUD", "must be DEBUG, INFO, WARNING or ERROR."),
        ("HTTPS_PROXY", "proxy", "is not the address of a proxy (http://proxy.example.com:3128)."),
        *((name, url, NO_URL) for name in ("SLACK_API_URL", "CLOUDFLARE_BASE_URL") for url in UNUSABLE_URLS),
        *(("SLACK_API_URL", f"http://{host}/api/", INSECURE) for host in OTHER_HOSTS),
    ],
)
def test_invalid_value_is_one_sentence_with_the_valid_form(
    environment: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    environment.setenv(name, value)

    assert problems() == [f"{name} {sentence}"]


@pytest.mark.parametrize(
    "value",
    ["http://127.0.0.1:8000", "http://localhost/api", "HTTP://LOCALHOST", "http://[::1]:8000", "http://127.9.9.9"],
)
def test_plain_http_is_allowed_for_this_machine(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("CLOUDFLARE_BASE_URL", value)

    assert load(Settings).cloudflare_base_url == value


@pytest.mark.parametrize("name", ["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"])
def test_either_slack_transport_is_enough(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)

    assert getattr(load(Settings), name.lower()) is None


def test_invalid_app_token_is_not_also_missing(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SLACK_APP_TOKEN", "xoxb-1")
    environment.delenv("SLACK_SIGNING_SECRET")

    assert problems() == ["SLACK_APP_TOKEN does not start with xapp-; another kind of token was pasted."]


@pytest.mark.parametrize("empty", ["", " ", "\t\n", '""', "''", '" "', "\u200b"])
def test_empty_variable_counts_as_unset(environment: pytest.MonkeyPatch, empty: str) -> None:
    """The value is then that of `.env`, or the default."""
    Path(".env").write_text("PORT=4000\n")
    for name in ("SLACK_APP_TOKEN", "SLACK_API_URL", "HOST", "PORT", "LOG_FORMAT", "LOG_LEVEL"):
        environment.setenv(name, empty)
    read = load(Settings)
    assert read.slack_app_token is None
    assert read.slack_api_url == "https://slack.com/api/"
    assert (read.host, read.port, read.log_format, read.log_level) == ("127.0.0.1", 4000, None, "INFO")

    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "CLOUDFLARE_API_TOKEN", "REALTIMEKIT_APP_ID"):
        environment.setenv(name, empty)

    assert sorted(sentence.split()[0] for sentence in problems()) == [
        "CLOUDFLARE_API_TOKEN",
        "REALTIMEKIT_APP_ID",
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    ]


def test_dotenv_is_read_and_unknown_variables_are_ignored() -> None:
    lines = [f"{name}={value}" for name, value in COMPLETE.items()]
    Path(".env").write_text("\n".join(["# a comment", *lines, "export PORT=4000", "SOMETHING_ELSE=1"]))

    read = load(Settings)

    assert read.slack_bot_token.get_secret_value() == BOT_TOKEN
    assert read.port == 4000


def test_environment_takes_precedence_over_dotenv(environment: pytest.MonkeyPatch) -> None:
    """Unless the variable is empty."""
    Path(".env").write_text("PORT=4000\nHOST=127.0.0.2\nLOG_LEVEL=\n")
    environment.setenv("PORT", "5000")
    environment.setenv("HOST", "")

    read = load(Settings)

    assert (read.host, read.port, read.log_level) == ("127.0.0.2", 5000, "INFO")


@pytest.mark.parametrize("content", [b"SLACK_BOT_TOKEN=\xff\xfe", "SLACK_BOT_TOKEN=x".encode("utf-16")])
def test_dotenv_in_another_encoding_is_one_sentence(content: bytes) -> None:
    """PowerShell's `>` writes UTF-16."""
    Path(".env").write_bytes(content)

    assert problems() == ["The file .env is not UTF-8 text. Save it as UTF-8."]


def test_unreadable_dotenv_is_one_sentence(environment: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    environment.setattr(Path, "is_file", refuse)

    assert problems() == ["The file .env can't be read: Permission denied."]


def test_invalid_dotenv_value_is_reported(environment: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=eighty\n")

    assert [sentence.split()[0] for sentence in problems()] == ["PORT"]


@pytest.mark.parametrize("section", [SlackSettings, CloudflareSettings, ServerSettings, LogSettings, LookupSettings])
def test_section_needs_only_its_own_variables(environment: pytest.MonkeyPatch, section: type[SettingsSection]) -> None:
    for name in COMPLETE:
        if name.lower() not in section.model_fields:
            environment.delenv(name)

    load(section)


def test_overrides_take_precedence_over_the_environment(environment: pytest.MonkeyPatch) -> None:
    assert load(Settings, port=1).port == 1


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_secrets_lists_every_secret_that_is_set(environment: pytest.MonkeyPatch) -> None:
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
def test_database_password_is_a_secret_but_its_url_is_not(
    environment: pytest.MonkeyPatch, url: str, secrets: list[str]
) -> None:
    """Masking a file's name would hide it everywhere."""
    environment.setenv("DATABASE_URL", url)
    read = load(Settings)

    assert sorted(set(read.secrets()) - set(SECRETS)) == secrets
    assert url not in f"{read!r}"


def test_settings_never_show_secrets(environment: pytest.MonkeyPatch) -> None:
    read = load(Settings)

    shown = f"{read!r} {read} {read.model_dump()} {read.model_dump_json()} {json.dumps(read.model_json_schema())}"
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("name", COMPLETE)
def test_errors_never_quote_the_value(environment: pytest.MonkeyPatch, name: str) -> None:
    """It may be a secret in the wrong place."""
    environment.setenv(name, "xoxp-a secret")

    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    shown = f"{raised.value!r} {raised.value} {raised.value.detail} {raised.value.__context__!r}"
    assert "xoxp-a secret" not in shown


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
URL_PARTS = st.sampled_from(
    ["https://", "http://", "a", ".", ":", "@", "[", "]", "::1", "/", "?", "99999", "%", "-", "\\", "é"]
)


@settings(deadline=None)
@given(name=st.sampled_from([*COMPLETE, "SLACK_API_URL", "PORT", "HOST", "LOG_FORMAT", "LOG_LEVEL"]), value=TEXTS)
def test_any_value_is_valid_or_one_problem_without_a_quote(name: str, value: str) -> None:
    shown: list[str] = []

    with pytest.MonkeyPatch.context() as environment:
        for each, text in {**COMPLETE, name: value}.items():
            environment.setenv(each, text)
        try:
            load(Settings)
        except ConfigurationError as error:
            shown = error.mistakes

    assert len(shown) <= 1
    assert all(sentence.startswith(name) for sentence in shown)
    assert len(value) < 10 or value not in "".join(shown)


@settings(deadline=None)
@given(TEXTS | st.lists(URL_PARTS).map("".join) | st.lists(URL_PARTS).map(lambda parts: "https://" + "".join(parts)))
def test_any_accepted_url_can_be_requested(value: str) -> None:
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


def test_proxy_may_have_a_password_which_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:pass-word@proxy.example.com:3128")

    read = load(NetworkSettings)

    assert read.proxy == "http://ann:pass-word@proxy.example.com:3128"
    assert "pass-word" not in repr(read)


@pytest.mark.parametrize(
    "around", ['"{}"', "'{}'", " {} ", '"{}" ', '" {} "', "\u201c{}\u201d", "{}\r", "{}\n", "\ufeff{}", "'\"{}\"'"]
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_quotes_and_spaces_around_a_value_are_removed(monkeypatch: pytest.MonkeyPatch, around: str, where: str) -> None:
    """`docker run --env-file` passes quotes."""
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


def test_dotenv_folder_is_one_sentence(environment: pytest.MonkeyPatch) -> None:
    """Docker creates one for a missing file."""
    Path(".env").mkdir()

    assert problems() == ["The file .env is a folder. Remove it, and put the settings into a file."]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dotenv_from_another_system_is_read(encoding: str, end: str) -> None:
    lines = [f"export {name} = '{value}'" for name, value in COMPLETE.items()]
    Path(".env").write_bytes(end.join([*lines, ""]).encode(encoding))

    assert load(Settings).slack_bot_token.get_secret_value() == BOT_TOKEN

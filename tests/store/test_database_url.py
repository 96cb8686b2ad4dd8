"""DATABASE_URL as hosting companies write it, and what of it is never shown."""

import ssl
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import ConfigurationError
from bot.settings import StoreSettings
from bot.store.database import Database, connect
from bot.store.database_url import describe, parse_database_url, secrets_in, servers
from bot.store.diagnostics import describe_error, inspect
from bot.store.postgresql import Timeouts, open_postgresql
from bot.store.store import open_store
from bot.store.url_options import driver_arguments
from tests.postgres import Front

HOSTED = [
    "postgresql://alex:AbC123dEf@ep-cool-a1b2c3d4-pooler.us-east-2.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
    "postgresql://alex:AbC@ep-cool.us-east-2.aws.neon.tech/neondb?options=endpoint%3Dep-cool&sslmode=verify-full&sslrootcert=system",
    "postgresql://postgres.abcdefgh:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
    "postgres://postgres.abc:pw@aws-0-us-east-1.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
    "postgres://uabc:p1234@ec2-1-2-3-4.compute-1.amazonaws.com:5432/dabc",
    "postgresql://bot:pw@dpg-abc123-a.frankfurt-postgres.render.com/bot_db?ssl=true",
    "postgres://bot:pw@bot-db.flycast:5432/bot?sslmode=disable",
    "postgresql://postgres:pw@containers-us-west-1.railway.app:6543/railway",
    "postgresql://doadmin:pw@db-postgresql-fra1-1-do-user-1-0.b.db.ondigitalocean.com:25060/defaultdb?sslmode=require",
    "postgresql://bot:pw@bot.abc.eu-west-1.rds.amazonaws.com:5432/bot?connect_timeout=10&application_name=bot&keepalives=1",
    "postgresql://bot%40server:pw@server.postgres.database.azure.com:5432/bot?sslmode=require&gssencmode=disable",
    "postgres://application:pw@p.abc.db.postgresbridge.com:5431/postgres",
    "postgres://avnadmin:pw@pg-1.aivencloud.com:12691/defaultdb?sslmode=require&tcp_user_timeout=5000",
    "postgresql+asyncpg://bot:pw@/bot?host=/cloudsql/project:region:instance",
    "postgresql://bot:pw@%2Fvar%2Frun%2Fpostgresql/bot",
    "postgresql://bot:pw@h1:5432,h2:5433,[::1]:5434/bot?target_session_attrs=primary&load_balance_hosts=random",
    "postgresql://bot:pw@/bot?host=h1:5432&host=h2:5433&target_session_attrs=read-write",
    "postgresql://bot:pw@/bot?host=h1,h2&port=5432,5433",
    "postgresql://h/bot?user=bot&password=pw",
]


@pytest.mark.parametrize("text", HOSTED)
def test_urls_of_hosting_companies_are_understood(text: str) -> None:
    url = parse_database_url(text)

    assert url.password
    assert url.username
    assert url.password not in describe(url).split("at ")[0]
    open_postgresql(url, Timeouts())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("postgresql://u@h1:5432,h2:5433/d", [("h1", 5432), ("h2", 5433)]),
        ("postgresql://u@h1,h2/d", [("h1", 5432), ("h2", 5432)]),
        ("postgresql://u@h1,[::1]:5/d", [("h1", 5432), ("::1", 5)]),
        ("postgresql://u@/d?host=h1:1&host=h2:2", [("h1", 1), ("h2", 2)]),
        ("postgresql://u@/d?host=h1,h2&port=7", [("h1", 7), ("h2", 7)]),
        ("postgresql://u@/d?host=/run/pg&port=7", [("/run/pg", 7)]),
        ("postgresql://u@%2Frun%2Fpg/d", [("/run/pg", 5432)]),
        ("postgresql://u@/d", []),
    ],
)
def test_one_or_several_servers_can_be_written_in_each_usual_way(text: str, found: list[tuple[str, int]]) -> None:
    assert servers(parse_database_url(text)) == found


@pytest.mark.parametrize("text", ["postgres://u@h/d", "postgresql://u@h/d", " postgresql+asyncpg://u@h/d\n"])
def test_url_needs_no_driver(text: str) -> None:
    assert parse_database_url(text).render_as_string() == "postgresql+asyncpg://u@h/d"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is not the URL"),
        ("livestream.db", "is not the URL"),
        ("postgresql://u:hunter2@host:port/db", "is not the URL"),
        ("mysql://u:hunter2@host/db", "for a kind of database"),
        ("postgresql+psycopg://u:hunter2@host/db", "for a kind of database"),
        ("sqlite://", "no permanent file"),
        ("sqlite:///:memory:", "no permanent file"),
        ("sqlite://host/file", "no permanent file"),
        ("postgresql://u:hunter2@host", "names no database"),
        ("postgresql://u:hunter2@/db?host=a&port=x", "is not the URL"),
        ("postgresql://u@h/d?colour=blue", "unknown option, colour;"),
        ("postgresql://u@h/d?sslmode=maybe", "sslmode in DATABASE_URL must be disable, allow"),
        ("postgresql://u@h/d?target_session_attrs=standby", "must be any, read-write or primary"),
        ("postgresql://u@h/d?connect_timeout=soon", "must be a number of seconds"),
        ("postgresql://u@h/d?gssencmode=require", "gssencmode"),
        ("postgresql://u@h/d?sslnegotiation=direct", "needs sslmode=require"),
        ("postgresql://u@h/d?sslrootcert", "isn't an option"),
        ("postgresql://u@h1,h2/d?port=1,2,3", "is not the URL"),
        ("postgresql://u@h:70000/d", "is not the URL"),
    ],
)
def test_unusable_url_or_option_is_explained_in_one_sentence(text: str, word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_database_url(text)

    (sentence,) = caught.value.mistakes
    assert word in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_missing_certificate_file_is_named_by_its_option(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} in DATABASE_URL names a file that cannot be read"):
        open_postgresql(parse_database_url(f"postgresql://u@h/d?sslmode=verify-full&{name}=/nowhere/file"), Timeouts())


def test_system_certificates_count_by_default_and_names_are_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for options in ("sslmode=verify-full", "sslmode=verify-ca", "sslrootcert=system"):
        context = driver_arguments(parse_database_url(f"postgresql://u@h/d?{options}").query)["ssl"]
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("sslmode=require&channel_binding=require", "does not speak TLS"),
        (
            "options=-c%20default_transaction_read_only%3Don&target_session_attrs=read-write",
            "doesn't accept changes; name the primary server",
        ),
    ],
    ids=["a server without TLS", "a read-only server"],
)
async def test_server_without_what_an_option_asks_for_is_refused(
    front: Front, postgres_database: str, options: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        await inspect(front.url(postgres_database, f"?{options}"))


async def test_options_reach_the_server(front: Front, postgres_url: str, postgres_database: str) -> None:
    options = "?application_name=bot%20one&options=-c%20geqo%3Doff&sslmode=prefer&connect_timeout=9&keepalives=1"
    database = Database(connect(parse_database_url(front.url(postgres_database, options))))
    async with database.read_only() as connection:
        for name, value in (("application_name", "bot one"), ("geqo", "off")):
            assert await connection.exec_driver_sql(f"SELECT current_setting('{name}')") is not None
            assert (await connection.exec_driver_sql(f"SHOW {name}")).scalar_one() == value
    await database.close()


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)
PASSWORDS = st.one_of(WORDS, st.text("@#/?&=:%+,[] abc0", min_size=4, max_size=24))
FORMS = (
    "postgresql://bot:{}@db.example.com/live",
    "postgres://bot:{}@db.example.com:5432,other.example.com/live?sslmode=require",
    "postgresql://bot@db.example.com/live?password={}",
    "postgresql://bot@db.example.com/live?password={}&sslmode=require",
    "postgresql://bot:x@db.example.com/live?sslpassword={}",
    "postgresql://bot:{}@/live?host=/run/postgresql",
)
WELL_KNOWN = [
    "DATABASE_URL names is not the a an of in can be read several ways percent-encode password it this bot know known",
    "does cannot used The database live at db.example.com other.example.com 5432 /run/postgresql localhost 0123456789",
]


def pieces(password: str) -> list[str]:
    """Return the parts of a password that a sentence without it does not have by chance."""
    found = {password[start : start + 6] for start in range(max(1, len(password) - 5))}
    return [piece for piece in found if len(piece) >= 6]


@given(password=PASSWORDS, form=st.sampled_from(FORMS), escaped=st.booleans())
@example(password="ab@cd#ef/gh", form=FORMS[0], escaped=False)
@example(password="hunter2&hunter3=hunter4", form=FORMS[2], escaped=False)
@example(password="hunter2?hunter3=hunter4", form=FORMS[0], escaped=False)
@example(password="hunter2/hunter3:hunter4", form=FORMS[0], escaped=False)
@example(password="100%hunter2", form=FORMS[0], escaped=False)
@example(password="hunter2hunter2", form=FORMS[4], escaped=True)
def test_no_part_of_a_password_is_shown(password: str, form: str, escaped: bool) -> None:
    text = form.format(quote(password, safe="") if escaped else password)
    try:
        url = parse_database_url(text)
    except ConfigurationError as error:
        assert not escaped
        (shown,) = error.mistakes
    else:
        shown = " ".join((describe(url), describe_error(TimeoutError(), url), describe_error(OSError(password), url)))
        shown += repr(open_postgresql(url, Timeouts()))
        if escaped:
            assert password in (url.password, url.query.get("sslpassword"))
            assert password in secrets_in(text)
    assert [piece for piece in pieces(password) if piece in shown and piece not in " ".join(WELL_KNOWN)] == []
    if len(password) > 3 and "@" not in password:
        assert any(password.strip() in secret or secret in password for secret in secrets_in(text))


@pytest.mark.parametrize(
    "password", ["ab@hunter2#ef/gh", "a/hunter2", "a?hunter2", "a#hunter2", "a@hunter2", "hunter2%"]
)
async def test_ambiguous_url_asks_to_percent_encode_the_password_and_shows_nothing(password: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode the password") as caught:
        await open_store(f"postgresql://bot:{password}@db.example.com/live")

    assert "db.example.com" not in caught.value.mistakes[0]
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://bot@h/d?password=se%63ret", ["se%63ret", "secret"]),
        ("postgresql://bot:a+b@h/d", ["a+b"]),
        ("postgresql://bot:one@h/d?sslpassword=two", ["one", "two"]),
    ],
)
def test_log_masks_every_password_in_the_url(monkeypatch: pytest.MonkeyPatch, url: str, secrets: list[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    assert StoreSettings(_env_file=None).secrets() == secrets


def test_log_masks_all_of_an_ambiguous_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://bot:ab@cd#ef/gh@db.example.com/live")

    assert "ab@cd#ef/gh" in StoreSettings(_env_file=None).secrets()

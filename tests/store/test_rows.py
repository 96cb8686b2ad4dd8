"""Text and JSON that a database does not take are made to fit, wherever they come from."""

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.follow import Level
from bot.store.database import Database
from bot.store.rows import clean, dumps
from bot.store.schema import meetings
from bot.store.store import Store
from tests.store.helpers import MEETING, TEAM, Change, Episode, claim, look

NUL, HALF = "\0", "\ud83d"
BAD = f"a{NUL}b{HALF}c"
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))


@dataclass(frozen=True)
class BadEpisode(Episode):
    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "phase": self.phase, BAD: [BAD, {"deep": BAD}], "nan": math.nan, "inf": math.inf}


@dataclass(frozen=True)
class BadChange(Change):
    def to_dict(self) -> dict[str, Any]:
        return {"reason": BAD, "at": -math.inf}


async def test_text_that_databases_reject_is_cleaned_everywhere(store: Store, database: Database) -> None:
    followed = await store.follows.follow(
        f"{TEAM}{NUL}", BAD, MEETING, user_id=BAD, level=Level.NORMAL, episode=BadEpisode(name=BAD), worker_id="another"
    )
    assert followed.is_new
    assert (followed.follow.team_id, followed.follow.channel_id, followed.follow.created_by) == (TEAM, "abc", "abc")
    assert followed.card is not None
    await store.card_queue.mark_posted(followed.card, BAD, 1, last=True)
    meeting = await look(store)
    await store.meeting_queue.record(
        meeting, BadEpisode(phase="live", name=BAD), [BadChange(kind=BAD)], next_check_in=15, ended=None
    )

    card = await claim(store)
    assert card.message_ts == "abc"
    assert card.stored_episode == {
        "number": 1,
        "phase": "live",
        "abc": ["abc", {"deep": "abc"}],
        "nan": None,
        "inf": None,
    }
    assert card.announcements[0].kind == "abc"
    assert card.announcements[0].payload == {"reason": "abc", "at": None}
    await store.card_queue.mark_sent(card, 1, BAD)
    paused = await store.pauses.pause(card, BAD)
    assert paused is not None
    assert paused.pause_reason == "abc"
    (listed,) = await store.follows.in_channel(TEAM, BAD)
    assert listed.name == "abc"
    assert await store.workspaces.forget(f"{NUL}{TEAM}") == 1
    assert await store.check() is None
    async with database.read_only() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(meetings)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=ANYTHING)
async def test_any_text_comes_back_but_for_what_no_database_stores(database: Database, text: str) -> None:
    query = sa.select(sa.literal(text, sa.Text), sa.literal({"text": [text]}, sa.JSON))
    async with database.read_only() as connection:
        row = (await connection.execute(query)).one()

    fits = text.replace(NUL, "").encode(errors="ignore").decode()
    assert row[0] == fits
    assert row[1] in ({"text": [fits]}, json.dumps({"text": [fits]}))


@given(text=ANYTHING)
def test_clean_text_is_left_alone(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert clean("Grüße \U0001f600\t\x1b") == "Grüße \U0001f600\t\x1b"


def test_json_nested_too_deeply_is_an_error_and_no_crash() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]

    with pytest.raises(ValueError, match="nested too deeply"):
        dumps(nested)

"""What the state machine makes goes in and comes out as it was."""

from datetime import UTC, datetime, timedelta

from bot.domain.episode import Change, ChangeKind, Episode, Phase
from bot.domain.follow import Level
from bot.store.store import Store
from tests.store.helpers import ANN, CHANNEL, MEETING, TEAM, claim, look

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


async def test_episode_and_changes_come_out_as_they_went_in(store: Store) -> None:
    waiting = Episode.waiting(NOON)
    await store.follows.follow(TEAM, CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=waiting)
    meeting = await look(store)
    assert Episode.from_dict(meeting.episode) == waiting

    live = Episode(number=1, phase=Phase.LIVE, phase_since=NOON + timedelta(seconds=1), name="Ümläut", seq=1)
    change = Change(1, 1, ChangeKind.LIVE, at=NOON, seen_at=NOON + timedelta(seconds=1))
    await store.meeting_queue.record(meeting, live, [change], next_check_in=15)

    card = await claim(store)
    assert card.desired == live
    assert card.announcements[0].change == change
    assert card.announcements[0].kind == ChangeKind.LIVE
    assert card.announcements[0].occurred_at == NOON

"""The tools of `make bench`: the bot understands the lean peer, and the floors do what they should."""

from uuid import UUID

from bench.contender import FLOOR, SAME_REQUESTS, Contender
from bench.measuring import Figures, Load, measure, median
from bench.peer import ACCOUNT_ID, API_TOKEN, APP_ID, Peer, meeting_id, playback_url
from bench.tables import of_load
from bot.clock import WallClock, utc
from bot.domain.observation import Status
from bot.realtimekit.client import RealtimeKitClient, open_http
from bot.realtimekit.lookup import look_up

MEETING = meeting_id(0)
FIGURES = Figures(20, 20, 0, 1, 2, 3, float("inf"), 0.5, 40, 1, 0.1, 0.2)


async def test_bot_finds_the_peers_live_meeting_with_three_requests() -> None:
    peer = Peer(cloudflare_seconds=0)
    async with peer.running() as url:
        kit = RealtimeKitClient(open_http(f"{url}/client/v4", API_TOKEN), account_id=ACCOUNT_ID, app_id=APP_ID)
        found = await look_up(kit, UUID(MEETING), lambda: utc(WallClock()))
        await kit.close()

    assert (found.status, found.name, found.playback_url) == (Status.LIVE, "Town hall", playback_url(MEETING))
    assert found.live_since
    assert peer.requests == {"active-livestream": 1, "active-livestream-session": 1, "meetings": 1}


async def test_first_reply_with_the_playback_url_counts() -> None:
    peer = Peer(cloudflare_seconds=0, expected={7: playback_url(MEETING).encode()})

    peer.answer("/commands/7", b"something went wrong")
    assert not peer.replied

    peer.answer("/commands/7", playback_url(MEETING).encode())
    first = dict(peer.replied)
    peer.answer("/commands/7", playback_url(MEETING).encode())
    assert peer.replied == first


async def _measure(contender: Contender) -> Figures:
    return await measure(contender, Load("few", 20, at_once=5))


async def test_floors_answer_every_command_with_one_or_three_requests() -> None:
    floor, same_requests = await _measure(FLOOR), await _measure(SAME_REQUESTS)

    assert (floor.answered, floor.late, floor.requests) == (20, 0, 1)
    assert (same_requests.answered, same_requests.late, same_requests.requests) == (20, 0, 3)


def test_median_is_taken_per_figure() -> None:
    slow = Figures(*[value * 3 for value in (20, 20, 0, 1, 2, 3, 4, 0.5, 40, 1, 0.1, 0.2)])

    assert median([slow, FIGURES, FIGURES]) == FIGURES


def test_table_rows_are_the_same_in_both_formats() -> None:
    table = of_load({"floor": FIGURES, "bot": FIGURES}, ("floor",))

    for text in (table.text(), table.markdown()):
        row = [cell for cell in text.splitlines()[-1].replace("|", " ").split() if cell != "ms"]
        assert row == ["bot", "20", "0", "1", "2", "3", "never", "0.50", "1.0", "40", "MB", "1.0", "1.00", "10%"]

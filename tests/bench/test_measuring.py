"""What `make bench` measures with: that its lean peer is understood, and that its floor does what it says."""

from uuid import UUID

from bench.contender import FLOOR, SAME_QUESTIONS, Contender
from bench.measuring import Figures, Load, measure, median
from bench.peer import ACCOUNT_ID, API_TOKEN, APP_ID, Peer, meeting_id, playback_url
from bench.tables import of_load
from bot.clock import WallClock, utc
from bot.domain.observation import Status
from bot.realtimekit.client import RealtimeKitClient, open_http
from bot.realtimekit.lookup import look_up

MEETING = meeting_id(0)
FIGURES = Figures(20, 20, 0, 1, 2, 3, float("inf"), 0.5, 40, 1, 0.1, 0.2)


async def test_the_bot_understands_the_peer() -> None:
    """The bot finds a live meeting with a title, a start and a place to watch, from three questions."""
    peer = Peer(cloudflare_seconds=0)
    async with peer.running() as url:
        kit = RealtimeKitClient(open_http(f"{url}/client/v4", API_TOKEN), account_id=ACCOUNT_ID, app_id=APP_ID)
        found = await look_up(kit, UUID(MEETING), lambda: utc(WallClock()))
        await kit.close()

    assert (found.status, found.name, found.playback_url) == (Status.LIVE, "Town hall", playback_url(MEETING))
    assert found.live_since
    assert peer.asked == {"active-livestream": 1, "active-livestream-session": 1, "meetings": 1}


async def test_only_the_right_answer_counts() -> None:
    """A reply without the meeting's own playback URL is none, and a second one is no other."""
    peer = Peer(cloudflare_seconds=0, expected={7: playback_url(MEETING).encode()})

    peer.answer("/commands/7", b"something went wrong")
    assert not peer.replied

    peer.answer("/commands/7", playback_url(MEETING).encode())
    first = dict(peer.replied)
    peer.answer("/commands/7", playback_url(MEETING).encode())
    assert peer.replied == first


async def _questions(contender: Contender) -> Figures:
    return await measure(contender, Load("few", 20, at_once=5))


async def test_the_floors() -> None:
    """Both floors answer every command; one asks a single question for it, and the other all that the bot asks."""
    floor, same_questions = await _questions(FLOOR), await _questions(SAME_QUESTIONS)

    assert (floor.answered, floor.late, floor.questions) == (20, 0, 1)
    assert (same_questions.answered, same_questions.late, same_questions.questions) == (20, 0, 3)


def test_median() -> None:
    """Of several rounds each figure is the middle one."""
    slow = Figures(*[value * 3 for value in (20, 20, 0, 1, 2, 3, 4, 0.5, 40, 1, 0.1, 0.2)])

    assert median([slow, FIGURES, FIGURES]) == FIGURES


def test_tables() -> None:
    """A row is the same in both forms: times of the floors, and a word for what never came."""
    table = of_load({"floor": FIGURES, "bot": FIGURES}, ("floor",))

    for text in (table.text(), table.markdown()):
        row = [cell for cell in text.splitlines()[-1].replace("|", " ").split() if cell != "ms"]
        assert row == ["bot", "20", "0", "1", "2", "3", "never", "0.50", "1.0", "40", "MB", "1.0", "1.00", "10%"]

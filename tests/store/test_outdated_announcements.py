"""What has waited for long, or for the end of a pause, is announced only if it is still true."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from bot.store.outdated_announcements import IN_THREAD, LATE_SECONDS, Line, Sent, outdated
from bot.store.store import Store
from tests.store.helpers import CHANNEL, LEASE, TEAM, Change, Clock, claim, follow, follow_and_post, look, pause, see
from tests.store.helpers import Episode as AnyEpisode

WORDS = {"S": "starting", "L": "live", "E": "errored", "B": "back", "X": "ended"}
PHASES = {**WORDS, "B": "live"}


@dataclass(frozen=True)
class Episode(AnyEpisode):
    """An episode that says what was announced of it last."""

    told: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "last_announced": self.told}


def thread(history: str, first: int = 1) -> list[Line]:
    """Return a thread: upper case is not sent yet, lower case was sent, and the post before a ? got no answer."""
    lines: list[Line] = []
    for letter, after in pairwise(history + " "):
        if letter != "?":
            sent = Sent.UNCONFIRMED if after == "?" else Sent.NOT_YET if letter.isupper() else Sent.YES
            lines.append(Line(first + len(lines), WORDS[letter.upper()], sent))
    return lines


@pytest.mark.parametrize(
    ("history", "first", "phase", "posted", "kept"),
    [
        ("", 1, "live", True, []),
        ("sle", 1, "errored", True, []),
        # Missed as a whole: the card, where the channel has one, says how it ended, and so does its thread.
        ("SLX", 1, "ended", True, ["ended"]),
        ("LEBX", 1, "ended", True, ["ended"]),
        ("SLX", 1, "ended", False, []),
        ("SX", 1, "ended", True, []),
        # Where the channel knew of the beginning it gets the end.
        ("slX", 1, "ended", True, ["ended"]),
        ("sX", 1, "ended", True, ["ended"]),
        ("slEBX", 1, "ended", True, ["ended"]),
        ("X", 2, "ended", True, ["ended"]),
        ("EX", 2, "ended", True, ["ended"]),
        # It continues: its current state, once.
        ("S", 1, "starting", True, ["starting"]),
        ("SL", 1, "live", True, ["live"]),
        ("SL", 1, "live", False, ["live"]),
        ("SLEB", 1, "live", True, ["live"]),
        ("sLE", 1, "errored", True, ["errored"]),
        ("slEB", 1, "live", True, []),
        ("EB", 2, "live", True, []),
        ("sleB", 1, "live", True, ["back"]),
        ("B", 3, "live", True, ["back"]),
        ("BEB", 3, "live", True, ["back"]),
        ("sleBE", 1, "errored", True, []),
        ("sleBEB", 1, "live", True, ["back"]),
        ("LE", 2, "errored", True, ["errored"]),
        ("L", 2, "interrupted", True, ["live"]),
        # The end is not announced to this channel: nothing else is true.
        ("SL", 1, "ended", True, []),
        # What may be in the thread is not contradicted by silence.
        ("slE?B", 1, "live", True, ["back"]),
        ("E?B", 2, "live", True, ["back"]),
        ("sleB?E", 1, "errored", True, ["errored"]),
        ("S?X", 1, "ended", True, ["ended"]),
        ("E?X", 1, "ended", True, ["ended"]),
        ("S?L", 1, "live", True, ["live"]),
        # It may say so already: repeated under its ID, it appears once.
        ("L?", 1, "live", True, ["live"]),
        ("L?EB", 1, "live", True, ["live"]),
        ("sleB?EB", 1, "live", True, ["back"]),
        ("slE?BE", 1, "errored", True, ["errored"]),
        ("sX?", 1, "ended", True, ["ended"]),
        # The thread says so already, whether it is there or not.
        ("slEB?", 1, "live", True, []),
    ],
)
def test_only_what_is_true_and_new_stays_pending(
    history: str, first: int, phase: str, posted: bool, kept: list[str]
) -> None:
    lines = thread(history, first)

    verdict = outdated(lines, phase=phase, is_posted=posted)

    unsent = [line for line in lines if line.sent is not Sent.YES]
    assert [line.kind for line in unsent if line.seq not in verdict.drop] == kept
    assert all(line in unsent for line in lines if line.seq in verdict.drop)


@pytest.mark.parametrize("history", ["L?EB", "sleB?EB", "slE?BE"])
def test_of_two_that_say_the_same_the_unconfirmed_one_is_repeated(history: str) -> None:
    """The other has another ID, so both would appear."""
    lines = thread(history)

    verdict = outdated(lines, phase="live", is_posted=True)

    assert [line.sent for line in lines if line.seq not in verdict.drop and line.sent is not Sent.YES] == [
        Sent.UNCONFIRMED
    ]


@pytest.mark.parametrize(
    ("history", "first", "pings"),
    [("SLX", 1, False), ("slX", 1, True), ("sX", 1, True), ("X", 2, True), ("L?X", 1, False), ("slE?X", 1, True)],
)
def test_end_is_only_for_the_thread_if_the_channel_missed_the_beginning(history: str, first: int, pings: bool) -> None:
    lines = thread(history, first)

    assert (lines[-1].seq not in outdated(lines, phase="ended", is_posted=True).in_thread) is pings


def test_announcement_of_an_expiry_is_never_outdated() -> None:
    lines = [Line(1, "live", Sent.NOT_YET), Line(2, "ended", Sent.NOT_YET), Line(-1, "expired", Sent.NOT_YET)]

    assert -1 not in outdated(lines, phase="ended", is_posted=True).drop


async def paused(store: Store, *before: Change) -> None:
    """Set up a follow whose card has these in its thread, in a channel where the bot may no longer post."""
    channel = await follow_and_post(store)
    if before:
        await see(store, Episode(phase="live", told=before[-1].kind), *before)
        await channel.work(store)
    await see(store, Episode(phase="live", told="live"))
    await pause(store)


async def announced(store: Store) -> list[tuple[int, list[str]]]:
    """Return what every due card has to announce."""
    found = []
    while due := await store.card_queue.claim("announcer", 10, LEASE):
        for card in due:
            found.append((card.episode, [each.kind for each in card.announcements]))
            for each in card.announcements:
                await store.card_queue.mark_sent(card, each.seq, "1.5")
            await store.card_queue.mark_posted(
                card, card.message_ts or f"{card.episode}.0", card.desired_version, last=True
            )
    return sorted(found)


async def resume(store: Store, how: str) -> None:
    """Invite the bot, or follow again as a person."""
    if how == "invited":
        assert await store.pauses.resume(TEAM, CHANNEL)
    else:
        await follow(store)


@pytest.mark.parametrize("how", ["invited", "followed again"])
@pytest.mark.parametrize(
    ("before", "missed", "expected"),
    [
        ("", "SLEB", [(1, ["live"])]),
        ("L", "EBX", [(1, ["ended"])]),
        ("L", "X LX LX L", [(1, ["ended"]), (4, ["live"])]),
        ("L", "X LX", [(1, ["ended"]), (2, [])]),
    ],
    ids=[
        "only that it is live if it still is",
        "only the end of what was announced as live",
        "the known end and the latest state of several episodes",
        "nothing of a latest episode that was missed as a whole",
    ],
)
async def test_only_what_is_true_and_new_is_announced_after_a_pause(
    store: Store, how: str, before: str, missed: str, expected: list[tuple[int, list[str]]]
) -> None:
    await paused(store, *(Change(seq, WORDS[letter]) for seq, letter in enumerate(before, start=1)))
    for number, letters in enumerate(missed.split(), start=1):
        for seq, letter in enumerate(letters, start=1 + (len(before) if number == 1 else 0)):
            episode = Episode(number, PHASES[letter], told=WORDS[letter])
            await see(store, episode, Change(seq, WORDS[letter], episode=number))
    assert await store.card_queue.due_in() is None

    await resume(store, how)

    assert await announced(store) == expected


async def test_end_whose_beginning_was_missed_is_announced_in_the_thread_only(store: Store) -> None:
    await paused(store)
    await see(store, Episode(phase="live", told="live"), Change(1, "live"))
    await see(store, Episode(phase="ended", told="ended"), Change(2, "ended"))

    await resume(store, "invited")

    card = await claim(store)
    assert [(each.kind, each.payload.get(IN_THREAD)) for each in card.announcements] == [("ended", True)]


async def waiting_for_slack(store: Store, seconds: float = 600) -> None:
    """Let Slack refuse an announcement for this long."""
    await follow_and_post(store)
    await see(store, Episode(phase="live", told="live"), Change(1, "live", at=datetime(2027, 1, 15, 8, 0, tzinfo=UTC)))
    card = await claim(store)
    await store.card_queue.defer(card, seconds)


async def test_only_the_end_is_announced_after_slack_was_down_for_long(store: Store, clock: Clock) -> None:
    await waiting_for_slack(store)
    clock.advance(LATE_SECONDS + 300)
    await see(store, Episode(phase="ended", told="ended"), Change(2, "ended"))

    assert await announced(store) == [(1, ["ended"])]


async def test_live_is_announced_late_if_it_is_still_true(store: Store, clock: Clock) -> None:
    await waiting_for_slack(store)
    clock.advance(LATE_SECONDS + 300)
    await see(store, Episode(phase="live", told="live"))

    assert await announced(store) == [(1, ["live"])]


async def test_each_change_is_announced_after_slack_was_down_for_a_moment(store: Store, clock: Clock) -> None:
    await waiting_for_slack(store, LATE_SECONDS)
    clock.advance(LATE_SECONDS)
    await see(store, Episode(phase="ended", told="ended"), Change(2, "ended"))

    assert await announced(store) == [(1, ["live", "ended"])]


UNANSWERED = ["unanswered", "killed"]
"""Why the bot does not know whether Slack took a post: no answer came, or the bot died before recording it."""


async def leave_unconfirmed(store: Store, clock: Clock, how: str) -> None:
    """Post what is due next, without an answer."""
    (card,) = [each for each in await store.card_queue.claim("announcer", 10, LEASE) if each.announcements]
    if how == "unanswered" and card.message_ts is None:
        await store.card_queue.defer(card, 60, unconfirmed=True)
    elif how == "unanswered":
        await store.card_queue.defer(card, 60, unconfirmed_seq=card.announcements[0].seq)
    clock.advance(LATE_SECONDS + 300)


@pytest.mark.parametrize("how", UNANSWERED)
async def test_an_error_that_may_have_been_announced_is_followed_by_the_recovery(
    store: Store, clock: Clock, how: str
) -> None:
    """Otherwise the thread would say that it is in error as long as it is live."""
    channel = await follow_and_post(store)
    await see(store, Episode(phase="live", told="live"), Change(1, "live"))
    await channel.work(store)
    await see(store, Episode(phase="errored", told="errored"), Change(2, "errored"))

    await leave_unconfirmed(store, clock, how)
    await see(store, Episode(phase="live", told="back"), Change(3, "back"))

    assert await announced(store) == [(1, ["back"])]


@pytest.mark.parametrize("how", UNANSWERED)
async def test_a_card_that_may_be_there_gets_the_end(store: Store, clock: Clock, how: str) -> None:
    """People may have seen it on the card as live."""
    await follow_and_post(store)
    await see(store, Episode(phase="ended", told="ended"), Change(1, "live"), Change(2, "ended"))
    await announced(store)
    await see(store, Episode(2, "live", told="live"), Change(1, "live", episode=2))

    await leave_unconfirmed(store, clock, how)
    await see(store, Episode(2, "ended", told="ended"), Change(2, "ended", episode=2))

    assert (2, ["ended"]) in await announced(store)


@pytest.mark.parametrize("phase", ["live", "interrupted", "errored"])
async def test_late_announcement_waits_for_a_check(store: Store, clock: Clock, phase: str) -> None:
    await waiting_for_slack(store)
    if phase != "live":
        clock.advance(LATE_SECONDS)
        await see(store, Episode(phase=phase, told="live"))
    clock.advance(LATE_SECONDS + 1)

    assert await store.card_queue.claim("announcer", 10, LEASE) == []
    assert await store.card_queue.due_in() == 5
    clock.advance(5)
    meeting = await look(store)
    await store.meeting_queue.record(meeting, Episode(phase="live", told="live"), next_check_in=60)

    assert await announced(store) == [(1, ["live"])]

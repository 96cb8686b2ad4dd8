"""Whatever order things happen in, each change is told once, in order, and in the end every card shows the present."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.store.address import parse
from bot.store.announcing import DueCard
from bot.store.database import Database, connect
from bot.store.store import Store
from bot.store.tables import Volume, meetings
from bot.store.tracking import DueMeeting
from tests.store.acting import LEASE, MEETING, TEAM, Change, Clock, Episode, follow

T = TypeVar("T")
Thread = tuple[str, int]
EXAMPLES = int(os.environ.get("INTERLEAVINGS", "25"))
"""Enough for most mistakes that were tried; ask for 300 after a change of what is stored."""
CHANNELS = st.sampled_from(["C1", "C2"])


@dataclass(frozen=True)
class Seen:
    """What a look has to tell."""

    changes: int
    visible: bool
    following: bool
    """One episode ended, and the next one began."""


ENDS = st.sampled_from(["killed", "finish", "postpone", "lost", "pause", "slow"])
SEEN = st.builds(Seen, changes=st.integers(0, 2), visible=st.booleans(), following=st.booleans())


@dataclass
class Holder:
    """An announcer in the middle of its work, which may be killed, or be slower than its lease."""

    card: DueCard
    ts: str | None
    to_tell: list[int] = field(default_factory=list)

    @property
    def thread(self) -> Thread:
        return self.card.follow.channel_id, self.card.episode


class Interleavings(RuleBasedStateMachine):
    # The same for all examples, since the first statements of an engine are slow.
    loop: asyncio.AbstractEventLoop
    clock: Clock
    store: Store
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.do(self.empty())
        self.holders: list[Holder] = []
        self.trackers: list[DueMeeting] = []
        self.episode = Episode()
        self.seq = 0
        # What should be told, what Slack shows (it drops a message whose key it has seen), and what is known as sent.
        self.expected: dict[Thread, list[int]] = defaultdict(list)
        self.told: dict[Thread, list[int]] = defaultdict(list)
        self.known: set[tuple[Thread, int]] = set()
        # Until when nobody else may work at a card.
        self.leased: dict[Thread, float] = {}
        self.to_show: dict[Thread, dict[str, Any]] = {}
        self.shown: dict[Thread, dict[str, Any]] = {}
        self.state = {"C1": "none", "C2": "none"}

    async def empty(self) -> None:
        async with self.database.writing() as connection:
            await connection.execute(sa.delete(meetings))

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    @rule(channel=CHANNELS, quiet=st.booleans())
    def follow(self, channel: str, quiet: bool) -> None:
        nobody = all(state == "none" for state in self.state.values())
        if nobody:
            self.episode, self.seq = Episode(), 0
        followed = self.do(
            follow(self.store, channel, volume=Volume.QUIET if quiet else Volume.NORMAL, episode=self.episode)
        )
        assert followed.new == (self.state[channel] == "none")
        if followed.new:
            self.state[channel] = "quiet" if quiet else "active"
            self.to_show[channel, self.episode.number] = self.episode.to_dict()
        elif self.state[channel] == "paused":
            self.state[channel] = "quiet" if followed.follow.volume is Volume.QUIET else "active"

    @rule(channel=CHANNELS)
    def unfollow(self, channel: str) -> None:
        assert (self.do(self.store.follows.unfollow(TEAM, channel, MEETING)) is None) == (self.state[channel] == "none")
        self.state[channel] = "none"
        for record in (self.expected, self.told, self.shown, self.to_show, self.leased):
            for thread in [thread for thread in record if thread[0] == channel]:
                del record[thread]
        self.known = {each for each in self.known if each[0][0] != channel}

    @initialize(quiet=st.booleans())
    def begin(self, quiet: bool) -> None:
        self.follow("C1", quiet)

    @rule(seen=SEEN)
    def look(self, seen: Seen) -> None:
        """Somebody looks at once, unless somebody else is looking."""
        self.begin_to_look()
        if self.trackers:
            self.record(self.trackers[-1], seen)

    def begin_to_look(self) -> None:
        self.do(self.store.tracking.hint(MEETING))
        self.trackers += self.do(self.store.tracking.claim("tracker", 1, LEASE))

    @rule(seen=SEEN, instead=SEEN, late=st.booleans())
    def be_overtaken(self, seen: Seen, instead: Seen, late: bool) -> None:
        """A look takes longer than its lease, and somebody else looks meanwhile, perhaps longer still."""
        self.begin_to_look()
        self.clock.advance(LEASE)
        self.begin_to_look()
        if late and self.trackers:
            self.record(self.trackers[0], seen)
        if self.trackers:
            self.record(self.trackers[-1], instead)

    def record(self, meeting: DueMeeting, seen: Seen) -> None:
        before, changes, number = self.episode, seen.changes, self.episode.number + seen.following
        made = [Change(self.seq + n, "live", episode=before.number) for n in range(1, changes + 1)]
        opening = [Change(1, "live", episode=number)] if seen.following else []
        after = Episode(number, f"{self.clock.time} {changes} {seen.visible}")
        ended = Episode(before.number, "ended") if seen.following else None
        newest = meeting is self.trackers[-1]
        self.trackers.remove(meeting)
        recorded = self.do(
            self.store.tracking.record(meeting, after, [*made, *opening], look_in=5, visible=seen.visible, ended=ended)
        )
        if not recorded:
            return
        assert newest, "recorded by somebody who had lost the lease"
        self.episode, self.seq = after, 1 if seen.following else self.seq + changes
        for channel in (channel for channel, state in self.state.items() if state != "none"):
            if seen.visible or seen.following:
                self.to_show[channel, number] = after.to_dict()
            if ended is not None:
                self.to_show[channel, before.number] = ended.to_dict()
        for channel in (channel for channel, state in self.state.items() if state == "active"):
            self.expected[channel, before.number] += [change.seq for change in made]
            self.expected[channel, number] += [change.seq for change in opening]

    @rule()
    def work(self) -> None:
        """An announcer whom nothing disturbs."""
        before, self.holders = self.holders, []
        self.claim(3)
        self.work_off()
        self.holders = before

    def work_off(self) -> None:
        for holder in self.holders:
            for _ in range(len(holder.to_tell) + 1):
                self.step_of(holder, killed=False)
            assert self.finish(holder)
        self.holders = []

    def claim(self, limit: int) -> None:
        for card in self.do(self.store.announcing.claim("announcer", limit, LEASE)):
            thread = (card.follow.channel_id, card.episode)
            assert not [each for each in card.announcements if (thread, each.seq) in self.known], "told already"
            assert self.state[thread[0]] != "paused"
            assert self.leased.get(thread, 0) <= self.clock.time, "somebody else works at it"
            self.leased[thread] = self.clock.time + LEASE
            self.holders.append(Holder(card, card.ts, [each.seq for each in card.announcements]))

    @rule(limit=st.integers(1, 2), steps=st.integers(0, 3), seen=st.none() | SEEN, end=ENDS)
    def work_partly(self, limit: int, steps: int, seen: Seen | None, end: str) -> None:
        """An announcer gets so far, while somebody looks; then it is killed, gives back, or is just slow."""
        before, self.holders = self.holders, []
        self.claim(limit)
        for holder in self.holders:
            for _ in range(steps):
                self.step_of(holder, killed=False)
        if seen is not None:
            self.look(seen)
        for holder in self.holders:
            self.end(holder, end)
        self.holders = before + (self.holders if end == "slow" else [])

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), steps=st.integers(0, 3), end=ENDS)
    def go_on(self, data: st.DataObject, steps: int, end: str) -> None:
        """One who was slow, perhaps for longer than its lease."""
        holder = data.draw(st.sampled_from(self.holders))
        for _ in range(steps):
            self.step_of(holder, killed=False)
        self.end(holder, end)
        if end != "slow":
            self.holders.remove(holder)

    def end(self, holder: Holder, how: str) -> None:
        match how:
            case "killed":
                self.step_of(holder, killed=True)
            case "finish":
                self.finish(holder)
            case "postpone":
                if self.do(self.store.announcing.postpone(holder.card, 10)):
                    self.leased[holder.thread] = self.clock.time + 10
            case "lost":
                self.do(self.store.announcing.lost(holder.card))
                self.finish(holder)
            case "pause":
                if self.do(self.store.pauses.pause(holder.card, "is_archived")) is not None:
                    self.state[holder.thread[0]] = "paused"
                    self.leased = {key: until for key, until in self.leased.items() if key[0] != holder.thread[0]}

    def finish(self, holder: Holder) -> bool:
        finished = self.do(self.store.announcing.finish(holder.card))
        if finished:
            self.leased.pop(holder.thread)
        return finished

    def step_of(self, holder: Holder, killed: bool) -> None:
        card, thread = holder.card, holder.thread
        followed = self.state[thread[0]] != "none"
        if holder.ts is None or card.shown_version < card.wanted_version:
            holder.ts = holder.ts or "1.0"
            write = self.store.announcing.posted(card, holder.ts, card.wanted_version)
            if killed:
                write.close()
            elif self.do(write):
                self.shown[thread] = card.wanted
                self.leased[thread] = self.clock.time + LEASE
            object.__setattr__(card, "shown_version", card.wanted_version)
        elif holder.to_tell:
            seq = holder.to_tell.pop(0)
            write = self.store.announcing.sent(card, seq, "1.1")
            same = followed and self.follow_id(thread[0]) == card.follow.id
            if same and seq not in self.told[thread]:
                self.told[thread].append(seq)
            if killed:
                write.close()
            elif self.do(write):
                self.known.add((thread, seq))
                self.leased[thread] = self.clock.time + LEASE

    def follow_id(self, channel: str) -> Any:
        (listed,) = self.do(self.store.follows.in_channel(TEAM, channel))
        return listed.follow.id

    @rule(channel=CHANNELS)
    def resume(self, channel: str) -> None:
        for resumed in self.do(self.store.pauses.resume(TEAM, channel)):
            self.state[channel] = "quiet" if resumed.volume is Volume.QUIET else "active"

    @rule(seconds=st.sampled_from([1.0, 10.0, LEASE]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def purge(self) -> None:
        self.do(self.store.housekeeping.purge(5))

    @invariant()
    def only_what_should_be_told(self) -> None:
        for thread, told in self.told.items():
            assert told == self.expected[thread][: len(told)]

    def teardown(self) -> None:
        self.finish_all()

    def finish_all(self) -> None:
        """Everybody is killed; a new announcer finds everything that is left to do."""
        for channel in self.state:
            self.resume(channel)
        self.holders.clear()
        self.clock.advance(LEASE)
        while self.do(self.store.announcing.due_in()) is not None:
            self.work()
            self.clock.advance(LEASE)
        self.only_what_should_be_told()
        for thread, expected in self.expected.items():
            assert self.told[thread] == expected, "lost"
        for channel, state in self.state.items():
            if state != "none":
                assert self.shown[channel, self.episode.number] == self.to_show[channel, self.episode.number], (
                    "outdated"
                )


@pytest.fixture
def machine(sqlite_url: str) -> Iterator[type[Interleavings]]:
    loop, clock = asyncio.new_event_loop(), Clock()
    database = Database(connect(parse(sqlite_url)), clock)
    parts = {"loop": loop, "clock": clock, "store": Store(database), "database": database}
    yield type("Machine", (Interleavings,), parts)
    loop.run_until_complete(database.close())
    loop.close()


def test_any_interleaving(machine: type[Interleavings]) -> None:
    """Followed, recorded, claimed, sent, postponed, paused, killed in any order: nothing is lost, nothing repeated."""
    thorough = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine, settings=thorough)

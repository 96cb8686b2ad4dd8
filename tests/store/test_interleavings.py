"""Whatever order things happen in, each change is told once, in order, and in the end every card shows the present."""

import asyncio
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from bot.store.address import parse
from bot.store.announcing import DueCard
from bot.store.database import Database, connect
from bot.store.store import Store
from bot.store.tables import Volume
from bot.store.tracking import DueMeeting
from tests.store.acting import LEASE, MEETING, TEAM, Change, Clock, Episode, follow

T = TypeVar("T")
Thread = tuple[str, int]
EXAMPLES = int(os.environ.get("INTERLEAVINGS", "25"))
"""Enough for each of the mistakes that were tried; ask for more after a change of the rules."""
CHANNELS = st.sampled_from(["C1", "C2"])


@dataclass
class Holder:
    """An announcer in the middle of its work, which may be killed, or be slower than its lease."""

    card: DueCard
    ts: str | None
    to_tell: list[int] = field(default_factory=list)


class Interleavings(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = shutil.copy(self.template, Path(self.folder.name) / "livestream.db")
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.store = Store(Database(connect(parse(f"sqlite:///{path}")), self.clock))
        self.holders: list[Holder] = []
        self.trackers: list[DueMeeting] = []
        self.episode = Episode()
        self.seq = 0
        # What should be told, what Slack shows (it drops a message whose key it has seen), and what is known as sent.
        self.expected: dict[Thread, list[int]] = defaultdict(list)
        self.told: dict[Thread, list[int]] = defaultdict(list)
        self.known: set[tuple[Thread, int]] = set()
        self.shown: dict[Thread, dict[str, Any]] = {}
        self.state = {"C1": "none", "C2": "none"}
        self.ids: dict[Any, str] = {}

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
        elif self.state[channel] == "paused":
            self.state[channel] = "quiet" if followed.follow.volume is Volume.QUIET else "active"

    @rule(channel=CHANNELS)
    def unfollow(self, channel: str) -> None:
        assert (self.do(self.store.follows.unfollow(TEAM, channel, MEETING)) is None) == (self.state[channel] == "none")
        self.state[channel] = "none"
        for record in (self.expected, self.told, self.shown):
            for thread in [thread for thread in record if thread[0] == channel]:
                del record[thread]
        self.known = {each for each in self.known if each[0][0] != channel}

    @rule()
    def hint_and_claim(self) -> None:
        self.do(self.store.tracking.hint(MEETING))
        self.trackers += self.do(self.store.tracking.claim("tracker", 1, LEASE))

    @precondition(lambda self: self.trackers)
    @rule(data=st.data(), changes=st.integers(0, 2), visible=st.booleans(), following=st.booleans())
    def record(self, data: st.DataObject, changes: int, visible: bool, following: bool) -> None:
        """By the newest tracker, or by one that is too late."""
        meeting = data.draw(st.sampled_from(self.trackers))
        before, first = self.episode, self.seq
        number = before.number + 1 if following else before.number
        # What stale trackers record must leave no trace, so it is told apart.
        made = [Change(first + n + 1, "live", episode=before.number) for n in range(changes)]
        opening = [Change(1, "live", episode=number)] if following else []
        after = Episode(number, f"{self.clock.time} {len(made)} {visible}")
        ended = Episode(before.number, "ended") if following else None
        if self.do(
            self.store.tracking.record(
                meeting, after, [*made, *opening], look_in=5, visible=visible or bool(made), ended=ended
            )
        ):
            assert meeting is self.trackers[-1]
            self.episode, self.seq = after, (1 if following else first + changes)
            for channel, state in self.state.items():
                if state == "active":
                    self.expected[channel, before.number] += [change.seq for change in made]
                    self.expected[channel, number] += [change.seq for change in opening]
        self.trackers.remove(meeting)

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        for card in self.do(self.store.announcing.claim("announcer", limit, LEASE)):
            thread = (card.follow.channel_id, card.episode)
            assert not [each for each in card.announcements if (thread, each.seq) in self.known], "told already"
            assert self.state[thread[0]] != "paused"
            self.holders.append(Holder(card, card.ts, [each.seq for each in card.announcements]))

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), killed=st.booleans())
    def step(self, data: st.DataObject, killed: bool) -> None:
        """The next thing that an announcer does; killed, it does not live to store it."""
        holder = data.draw(st.sampled_from(self.holders))
        self.step_of(holder, killed)
        if killed:
            self.holders.remove(holder)

    def step_of(self, holder: Holder, killed: bool) -> None:
        card, thread = holder.card, (holder.card.follow.channel_id, holder.card.episode)
        followed = self.state[thread[0]] != "none"
        if holder.ts is None or card.shown_version < card.wanted_version:
            holder.ts = holder.ts or "1.0"
            write = self.store.announcing.posted(card, holder.ts, card.wanted_version)
            if killed:
                write.close()
            elif self.do(write):
                self.shown[thread] = card.wanted
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

    def follow_id(self, channel: str) -> Any:
        (listed,) = self.do(self.store.follows.in_channel(TEAM, channel))
        return listed.follow.id

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), how=st.sampled_from(["finish", "postpone", "lost"]))
    def give_back(self, data: st.DataObject, how: str) -> None:
        holder = data.draw(st.sampled_from(self.holders))
        match how:
            case "finish":
                self.do(self.store.announcing.finish(holder.card))
            case "postpone":
                self.do(self.store.announcing.postpone(holder.card, 10))
            case _:
                self.do(self.store.announcing.lost(holder.card))
        self.holders.remove(holder)

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(self.holders))
        if self.do(self.store.pauses.pause(holder.card, "is_archived")) is not None:
            self.state[holder.card.follow.channel_id] = "paused"
        self.holders.remove(holder)

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
        try:
            self.finish_all()
        finally:
            self.do(self.store.close())
            self.loop.close()
            self.folder.cleanup()

    def finish_all(self) -> None:
        """Everybody is killed; a new announcer finds everything that is left to do."""
        for channel in self.state:
            self.resume(channel)
        self.holders.clear()
        self.clock.advance(LEASE)
        while self.do(self.store.announcing.due_in()) is not None:
            self.claim(3)
            for holder in self.holders:
                for _ in range(len(holder.to_tell) + 1):
                    self.step_of(holder, killed=False)
                assert self.do(self.store.announcing.finish(holder.card))
            self.holders.clear()
            self.clock.advance(LEASE)
        self.only_what_should_be_told()
        for thread, expected in self.expected.items():
            assert self.told[thread] == expected, "lost"
        for channel, state in self.state.items():
            if state != "none":
                assert self.shown[channel, self.episode.number]["number"] == self.episode.number


def test_any_interleaving(sqlite_template: Path) -> None:
    """Followed, recorded, claimed, sent, postponed, paused, killed in any order: nothing is lost, nothing repeated."""
    machine = type("Machine", (Interleavings,), {"template": sqlite_template})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

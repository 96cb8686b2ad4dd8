"""Whatever happens in which order: each change is announced once, in order, and every card ends up current."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.domain.follow import FollowState, Level
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.due_cards import DueCard
from bot.store.leases import LeaseLost
from bot.store.meeting_queue import DueMeeting
from bot.store.outdated_announcements import LATE_SECONDS
from bot.store.past_follows import is_followed_again
from bot.store.schema import announcements, cards, follows, meetings
from bot.store.store import Store
from tests.store.helpers import LEASE, MEETING, TEAM, Change, Clock, Episode, follow

T = TypeVar("T")
Thread = tuple[UUID, int]
EXAMPLES = int(os.environ.get("INTERLEAVINGS", "15"))
"""Enough for most mistakes that were tried; ask for 300 after a change of what is stored."""
PHASES = set(Phase) if "SHRINK" in os.environ else set(Phase) - {Phase.shrink, Phase.explain}
"""To shrink a failing example takes minutes, which is for who looks into it."""
CHANNELS = st.sampled_from(["C1", "C2"])


@dataclass(frozen=True)
class Seen:
    """What a check finds."""

    changes: int
    visible: bool
    following: bool
    """One episode ended, and the next one began."""


ENDS = st.sampled_from(["killed", "finish", "postpone", "lost", "pause", "slow"])
SEEN = st.builds(Seen, changes=st.integers(0, 2), visible=st.booleans(), following=st.booleans())


@dataclass(frozen=True)
class Live(Episode):
    """An episode on air, all of whose changes are recorded; `version` tells one card of it from another."""

    phase: str = "live"
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "last_announced": "live", "version": self.version}


@dataclass
class Holder:
    """An announcer in the middle of its work, which may be killed, or be slower than its lease."""

    card: DueCard
    ts: str | None
    to_tell: list[int] = field(default_factory=list)

    @property
    def thread(self) -> Thread:
        return self.card.follow.id, self.card.episode

    @property
    def is_over(self) -> bool:
        return self.card.follow.state is FollowState.UNFOLLOWED


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
        # What to announce, what Slack shows (it drops a message whose key it has seen), and what is known as sent.
        self.expected: dict[Thread, list[int]] = defaultdict(list)
        self.told: dict[Thread, list[int]] = defaultdict(list)
        self.known: set[tuple[Thread, int]] = set()
        # Until when no other worker may claim a card; announcements do not wait where only an edit has to.
        self.leased: dict[Thread, float] = {}
        self.wait_for_edit: set[Thread] = set()
        # What may be dropped because the follow was paused meanwhile, and when each change was recorded.
        self.before_resume: set[tuple[Thread, int]] = set()
        self.recorded_at: dict[tuple[Thread, int], float] = {}
        self.dropped: set[tuple[Thread, int]] = set()
        self.to_show: dict[Thread, dict[str, Any]] = {}
        self.shown: dict[Thread, dict[str, Any]] = {}
        self.state = {"C1": "none", "C2": "none"}
        self.quiet: set[str] = set()
        self.follows: dict[str, UUID] = {}
        # What the last edit of each card of an ended follow said of that.
        self.over: dict[UUID, dict[Thread, FollowState]] = {}
        self.ended_at: dict[UUID, float] = {}
        self.newest_of_ended: dict[UUID, Thread] = {}
        self.states: dict[Thread, FollowState] = {}
        self.messages = 0

    async def empty(self) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(sa.delete(meetings))

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    @rule(channel=CHANNELS, quiet=st.booleans())
    def follow(self, channel: str, quiet: bool) -> None:
        nobody = all(state == "none" for state in self.state.values())
        if nobody:
            self.episode, self.seq = Episode(), 0
        followed = self.do(
            follow(self.store, channel, level=Level.QUIET if quiet else Level.NORMAL, episode=self.episode)
        )
        assert followed.is_new == (self.state[channel] == "none")
        if followed.is_new:
            self.state[channel] = "active"
            self.quiet = self.quiet | {channel} if quiet else self.quiet - {channel}
            self.follows[channel] = followed.follow.id
            self.to_show[followed.follow.id, self.episode.number] = self.episode.to_dict()
        elif self.state[channel] == "paused":
            self.note_resumed(channel, followed.follow.id)

    @rule(channel=CHANNELS)
    def unfollow(self, channel: str) -> None:
        assert (self.do(self.store.follows.unfollow(TEAM, channel, MEETING, user_id="U2")) is None) == (
            self.state[channel] == "none"
        )
        if self.state[channel] == "none":
            return
        self.state[channel] = "none"
        ended = self.follows.pop(channel)
        self.ended_at[ended] = self.clock.time
        self.newest_of_ended[ended] = (ended, self.episode.number)
        self.over[ended] = {thread: state for thread, state in self.states.items() if thread[0] == ended}
        self.wait_for_edit = {thread for thread in self.wait_for_edit if thread[0] != ended}
        self.dropped = {each for each in self.dropped if each[0][0] != ended}
        for record in (self.expected, self.told, self.shown, self.to_show, self.leased, self.states):
            for thread in [thread for thread in record if thread[0] == ended]:
                del record[thread]
        self.known = {each for each in self.known if each[0][0] != ended}

    @initialize(quiet=st.booleans())
    def begin(self, quiet: bool) -> None:
        self.follow("C1", quiet)

    @rule(seen=SEEN)
    def look(self, seen: Seen) -> None:
        """Check at once, unless another worker is checking."""
        self.begin_to_look()
        if self.trackers:
            self.record(self.trackers[-1], seen)

    def begin_to_look(self) -> None:
        self.do(self.store.meeting_queue.request_check(MEETING))
        self.trackers += self.do(self.store.meeting_queue.claim("tracker", 1, LEASE))

    @rule(seen=SEEN, instead=SEEN, late=st.booleans())
    def be_overtaken(self, seen: Seen, instead: Seen, late: bool) -> None:
        """Check for longer than the lease while another worker checks, perhaps for longer still."""
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
        after = Live(number, version=f"{self.clock.time} {changes} {seen.visible}")
        ended = Episode(before.number, "ended") if seen.following else None
        newest = meeting is self.trackers[-1]
        self.trackers.remove(meeting)
        recorded = self.writes(
            self.store.meeting_queue.record(
                meeting, after, [*made, *opening], next_check_in=5, visible=seen.visible, ended=ended
            )
        )
        if not recorded:
            return
        assert newest, "recorded by a worker that had lost the lease"
        self.episode, self.seq = after, 1 if seen.following else self.seq + changes
        for follow_id in self.follows.values():
            if seen.visible or seen.following:
                self.to_show[follow_id, number] = after.to_dict()
            if ended is not None:
                self.to_show[follow_id, before.number] = ended.to_dict()
        # What happens during a pause is announced after it, as far as it is still true then.
        for follow_id in (self.follows[channel] for channel in self.follows if channel not in self.quiet):
            self.expected[follow_id, before.number] += [change.seq for change in made]
            self.expected[follow_id, number] += [change.seq for change in opening]
        for follow_id in self.follows.values():
            for change in [*made, *opening]:
                thread = (follow_id, change.episode)
                self.recorded_at[thread, change.seq] = self.clock.time
                if thread in self.wait_for_edit and change.seq in self.expected[thread]:
                    self.leased.pop(thread, None)

    @rule()
    def work(self) -> None:
        """Announce without a disturbance."""
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
        claimed = self.do(self.store.card_queue.claim("announcer", limit, LEASE))
        self.note_dropped()
        for card in claimed:
            thread = (card.follow.id, card.episode)
            assert not [each for each in card.announcements if (thread, each.seq) in self.known], "announced already"
            if card.follow.id in self.over:
                assert card.follow.state is FollowState.UNFOLLOWED
                assert card.announcements == (), "announced after its end"
            else:
                assert self.follows[card.follow.channel_id] == card.follow.id
                assert self.state[card.follow.channel_id] != "paused"
            assert self.leased.get(thread, 0) <= self.clock.time, "another worker has claimed it"
            self.leased[thread] = self.clock.time + LEASE
            self.wait_for_edit.discard(thread)
            self.holders.append(Holder(card, card.message_ts, [each.seq for each in card.announcements]))

    @rule(limit=st.integers(1, 2), steps=st.integers(0, 3), seen=st.none() | SEEN, end=ENDS)
    def work_partly(self, limit: int, steps: int, seen: Seen | None, end: str) -> None:
        """Announce this far during a check; then die, release the card, or just be slow."""
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
            case "lost" | "pause" if holder.is_over:
                if self.writes(self.store.card_queue.give_up(holder.card)):
                    self.leased.pop(holder.thread)
                    self.over[holder.card.follow.id].pop(holder.thread, None)
                self.do(self.store.card_queue.remove_ended(holder.card.follow))
            case "postpone":
                if self.writes(self.store.card_queue.defer(holder.card, 10)):
                    # Of a past follow, it is due sooner if the channel follows the meeting again.
                    self.leased[holder.thread] = self.clock.time + (0 if holder.is_over else 10)
                    if self.do(self.has_nothing_but_edits(holder.thread)):
                        self.wait_for_edit.add(holder.thread)
            case "lost":
                if self.writes(self.store.card_queue.mark_deleted(holder.card)):
                    self.states.pop(holder.thread, None)
                self.finish(holder)
            case "pause":
                if self.do(self.store.pauses.pause(holder.card, "is_archived")) is not None:
                    self.state[holder.card.follow.channel_id] = "paused"
                    self.leased = {key: until for key, until in self.leased.items() if key[0] != holder.thread[0]}

    def writes(self, write: Coroutine[Any, Any, object]) -> bool:
        """Return whether a fenced write succeeds; if not, its holder has lost the lease."""
        try:
            self.do(write)
        except LeaseLost:
            return False
        return True

    def finish(self, holder: Holder) -> bool:
        finished = self.writes(self.store.card_queue.release(holder.card))
        if finished:
            self.leased.pop(holder.thread)
            self.do(self.store.card_queue.remove_ended(holder.card.follow))
        return finished

    def step_of(self, holder: Holder, killed: bool) -> None:
        card, thread = holder.card, holder.thread
        if holder.ts is None or card.needs_edit:
            new, holder.ts = holder.ts is None, holder.ts or self.new_ts()
            announcing = self.store.card_queue
            write: Coroutine[Any, Any, object] = (
                announcing.mark_posted(card, holder.ts, card.desired_version)
                if new
                else announcing.mark_rendered(card, card.desired_version)
            )
            if killed:
                write.close()
            elif self.writes(write):
                self.note_shown(holder)
                self.leased[thread] = self.clock.time + LEASE
            elif new and self.do(announcing.report_post(card, holder.ts)):
                self.note_shown(holder)
                self.leased.pop(thread, None)
            object.__setattr__(card, "rendered_version", card.desired_version)
            object.__setattr__(card, "unconfirmed_until", None)
        elif holder.to_tell:
            seq = holder.to_tell.pop(0)
            saying = self.store.card_queue.mark_sent(card, seq, self.new_ts())
            if card.follow.id not in self.over and seq not in self.told[thread]:
                self.told[thread].append(seq)
            if killed:
                saying.close()
            elif self.writes(saying):
                self.known.add((thread, seq))
                self.leased[thread] = self.clock.time + LEASE

    def note_shown(self, holder: Holder) -> None:
        thread, follow = holder.thread, holder.card.follow
        states = self.over.get(follow.id, self.states)
        states[thread] = follow.state
        if follow.id not in self.over:
            self.shown[thread] = holder.card.stored_episode

    def new_ts(self) -> str:
        self.messages += 1
        return f"1.{self.messages}"

    @rule(channel=CHANNELS)
    def resume(self, channel: str) -> None:
        for resumed in self.do(self.store.pauses.resume(TEAM, channel)):
            self.note_resumed(channel, resumed.id)
        # Who works at a card there has lost its lease, and may still be editing it.
        for thread in [thread for thread in self.leased if thread[0] == self.follows.get(channel)]:
            if self.do(self.has_nothing_but_edits(thread)):
                self.wait_for_edit.add(thread)

    def note_resumed(self, channel: str, follow_id: UUID) -> None:
        """Expect nothing of an earlier episode of which the channel had seen nothing when its follow was paused."""
        self.state[channel] = "active"
        self.before_resume |= {each for each in self.recorded_at if each[0][0] == follow_id}
        there = self.do(self.threads())
        for thread in [thread for thread in self.expected if thread[0] == follow_id and thread not in there]:
            assert thread[1] < self.episode.number, "removed the current episode"
            assert thread not in self.states, "removed a card that the channel has seen"
            self.expected[thread] = list(self.told[thread])
        self.note_dropped()

    def note_dropped(self) -> None:
        """Expect no longer what the store has dropped as outdated, and check that it had a reason.

        Of a follow that was paused, or of what has waited for ten minutes, one "is live" is enough for an episode on
        air, and none for one that is over.
        """
        threads: dict[Thread, list[tuple[int, bool, bool]]] = defaultdict(list)
        for row in (row for row in self.do(self.announced()) if row.follow_id not in self.over):
            threads[row.follow_id, row.episode].append((row.seq, row.sent_at is not None, row.sent_ts is not None))
        for thread, lines in threads.items():
            for seq in [seq for seq, is_done, is_sent in lines if is_done and not is_sent]:
                if (thread, seq) in self.dropped:
                    continue
                waited = self.clock.time - min(self.recorded_at[thread, each] for each, _, _ in lines)
                assert (thread, seq) in self.before_resume or waited > LATE_SECONDS, "dropped without a reason"
                is_over = thread[1] < self.episode.number
                assert is_over or any(is_sent or not is_done for _, is_done, is_sent in lines), "all is dropped"
                self.dropped.add((thread, seq))
                if seq not in self.told[thread]:
                    self.expected[thread].remove(seq)

    async def announced(self) -> Sequence[Any]:
        async with self.database.read_only() as connection:
            return (await connection.execute(sa.select(announcements))).all()

    async def has_nothing_but_edits(self, thread: Thread) -> bool:
        this = sa.and_(cards.c.follow_id == thread[0], cards.c.episode == thread[1])
        async with self.database.read_only() as connection:
            return not await connection.scalar(sa.select(cards.c.has_news).where(this))

    @rule(seconds=st.sampled_from([1.0, 10.0, LEASE]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def purge(self) -> None:
        self.do(self.store.maintenance.purge(5))
        kept = self.do(self.threads())
        self.states = {thread: state for thread, state in self.states.items() if thread in kept}
        for follow_id, since in self.ended_at.items():
            if self.clock.time - since > 5:
                # It had its time to be shown; Slack did not take it.
                states = self.over[follow_id]
                self.over[follow_id] = {thread: state for thread, state in states.items() if thread in kept}

    async def threads(self) -> set[Thread]:
        async with self.database.read_only() as connection:
            rows = await connection.execute(sa.select(cards.c.follow_id, cards.c.episode))
            return {(row.follow_id, row.episode) for row in rows}

    @invariant()
    def only_what_should_be_told(self) -> None:
        for thread, told in self.told.items():
            assert told == self.expected[thread][: len(told)]

    def teardown(self) -> None:
        self.finish_all()

    def finish_all(self) -> None:
        """All workers are killed; a new announcer finds everything that is left to do."""
        for channel in self.state:
            self.resume(channel)
        self.holders.clear()
        self.clock.advance(LEASE)
        while self.do(self.store.card_queue.due_in()) is not None:
            # What has waited for long is announced only after a new check.
            self.look(Seen(changes=0, visible=False, following=False))
            self.work()
            self.clock.advance(LEASE)
        self.only_what_should_be_told()
        for thread, expected in self.expected.items():
            assert self.told[thread] == expected, "lost"
        for follow_id in self.follows.values():
            newest = (follow_id, self.episode.number)
            assert self.shown[newest] == self.to_show[newest], "outdated"
        for ended, states in self.over.items():
            # Only the newest card says so, if it is there.
            shown = states.get(self.newest_of_ended[ended], FollowState.UNFOLLOWED)
            assert shown is FollowState.UNFOLLOWED, "it does not say that it is over"
        assert self.do(self.replaced()) == 0, "a follow is still there although the channel follows the meeting again"

    async def replaced(self) -> int:
        replaced = sa.select(sa.func.count()).select_from(follows).where(is_followed_again())
        async with self.database.read_only() as connection:
            return int(await connection.scalar(replaced) or 0)


@pytest.fixture
def machine(sqlite_url: str) -> Iterator[type[Interleavings]]:
    loop, clock = asyncio.new_event_loop(), Clock()
    database = Database(connect(parse_database_url(sqlite_url)), clock)
    parts = {"loop": loop, "clock": clock, "store": Store(database, check_spacing=0), "database": database}
    yield type("Machine", (Interleavings,), parts)
    loop.run_until_complete(database.close())
    loop.close()


def test_nothing_is_lost_or_repeated_in_any_interleaving(machine: type[Interleavings]) -> None:
    thorough = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=PHASES,
    )
    run_state_machine_as_test(machine, settings=thorough)

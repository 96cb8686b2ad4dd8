"""Compares what was told with what really happened. Pure, and written without a look at how the bot decides.

What the bot certainly knows (`knowledge.py`) it has to tell. What it tells must have been so, must come in an order
that is possible, and once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.cards import card_violations
from tests.chaos.evidence import LATE, MISSING, ORDER, TWICE, UNTRUE, Channel, Evidence, Violation
from tests.chaos.expectations import Knowledge
from tests.chaos.observer import Absence, Told, about_what
from tests.chaos.quiet_periods import LATEST_SECONDS, TELLS, silence
from tests.chaos.removals import AFTERMATH_SECONDS, attendance, owed
from tests.chaos.repetitions import MOST_COPIES, Posted, Repetition, copies, reason_not_to_know, repetitions

SLACKNESS = 5.0
"""Sandbox seconds by which two clocks, and an answer under way, may differ."""

_CALM_SECONDS = 300.0
_MOST_PATIENCE = 15 * 60.0
"""After errors that keep coming back."""
_TOO_LATE_SECONDS = 600.0
"""What has waited longer than this to be told is told only if it is still so."""
_QUEUE_SECONDS = 80.0
"""How long after it was told elsewhere something may wait where many channels are told of much."""
_WELL_SECONDS = 120.0
"""How long nothing may be in a bot's way for it to be expected to post: the lease of one that was killed, and a post
that is repeated, have passed by then."""
_REPEAT_SECONDS = 60.0 + 120.0 + _QUEUE_SECONDS
"""The same behind a reply that got no answer, twice: it is repeated after a minute, then after two."""

_SAYS = {kind: state for state, kinds in TELLS.items() if state is not State.OFF for kind in kinds}
_FIRST = frozenset({"starting", "live", "errored"})
_AFTER = {
    "starting": frozenset({"live", "errored", "ended"}),
    "live": frozenset({"errored", "ended"}),
    "back": frozenset({"errored", "ended"}),
    "ended": _FIRST,
}


def judged(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong."""
    threads: dict[tuple[str, int], list[Told]] = defaultdict(list)
    for each in told_once(evidence):
        threads[each.channel, each.broadcast].append(each)
    found = [*_repeated_without_reason(evidence), *card_violations(evidence)]
    for channel in evidence.channels:
        for broadcast in evidence.broadcasts:
            told = sorted(threads[channel.id, broadcast.number], key=lambda each: float(each.thread))
            judge = _Judge(evidence, channel, broadcast, told)
            found += [Violation(what, channel.id, broadcast.number, why) for what, why in judge.all()]
    return found


def demanded(evidence: Evidence) -> int:
    """How many states had to be told of, in all channels: what "nothing is missing" stands for."""
    hears = [channel for channel in evidence.channels if channel.hears_all]
    return len(hears) * sum(len(known_of(each, evidence).states()) for each in evidence.broadcasts)


def known_of(broadcast: Broadcast, evidence: Evidence) -> Knowledge:
    """What the bot certainly knows of it."""
    return Knowledge(broadcast, evidence.troubles, evidence.grace)


def demanded_after_absence(evidence: Evidence) -> int:
    """How many sentences had to be told where the bot was sent away now and then."""
    return sum(
        len(owed_in(channel, each, evidence))
        for channel in evidence.channels
        for each in evidence.broadcasts
        if channel.closes
    )


def owed_in(channel: Channel, broadcast: Broadcast, evidence: Evidence) -> list[Told]:
    """What was told elsewhere of a time in which the bot was in this channel."""
    there = attendance(channel.id, broadcast.number, evidence.absences, evidence.signs)
    elsewhere = told_elsewhere(broadcast, evidence)
    absences = [each for each in evidence.absences if each.channel == channel.id]
    return [each for each in owed(elsewhere, broadcast, there) if not was_over(each, elsewhere, absences)]


def told_elsewhere(broadcast: Broadcast, evidence: Evidence) -> list[Told]:
    """What was told of a broadcast where everything is told."""
    open_ones = {each.id for each in evidence.channels if each.hears_all}
    return [each for each in evidence.told if each.channel in open_ones and each.broadcast == broadcast.number]


def all_repetitions(evidence: Evidence) -> list[Repetition]:
    """Every message that is there twice: replies and cards."""
    posted = [Posted(each.at, each.channel, str(each.at), each.message_id) for each in evidence.told]
    posted += [Posted(float(each.ts), each.channel, each.ts, each.client_msg_id) for each in evidence.cards]
    return repetitions(posted, evidence.unconfirmed, evidence.troubles)


def told_once(evidence: Evidence) -> list[Told]:
    """What was told, without what was posted under an ID that was there before; a card that is there twice has one
    thread."""
    again = {(each.again.at, each.again.message_id) for each in all_repetitions(evidence)}
    first = {each.again.ts: each.first.ts for each in all_repetitions(evidence)}
    return [
        replace(each, thread=first.get(each.thread, each.thread))
        for each in evidence.told
        if (each.at, each.message_id) not in again
    ]


def _repeated_without_reason(evidence: Evidence) -> list[Violation]:
    about = {(each.at, each.message_id): each for each in evidence.told}
    cards = {card.ts: about_what(card) for card in evidence.cards}
    found = []
    repeated = all_repetitions(evidence)
    number_of = copies(repeated)
    for each in repeated:
        number = number_of[each.first.message_id or ""]
        if each.reason is not None and number <= MOST_COPIES:
            continue
        told, card = about.get((each.again.at, each.again.message_id)), cards.get(each.again.ts)
        what = f"{told.kind} of move {told.move}" if told else f"the card of move {card[1] if card else '?'}"
        broadcast = told.broadcast if told else card[0] if card else 0
        why = f"{what} was posted again without need" if each.reason is None else f"{what} is there {number} times"
        found.append(Violation(TWICE, each.again.channel, broadcast, why))
    return found


class _Judge:
    """Of one broadcast in one channel."""

    def __init__(self, evidence: Evidence, channel: Channel, broadcast: Broadcast, told: list[Told]) -> None:
        self._evidence = evidence
        self._channel = channel
        self._broadcast = broadcast
        self._moves = broadcast.moves
        self._told = told
        self._known = known_of(broadcast, evidence)

    def all(self) -> Iterable[tuple[str, str]]:
        if self._channel.quiet:
            yield from ((UNTRUE, f"{each.kind} was told, and the channel is quiet") for each in self._told)
            return
        yield from self._twice()
        yield from self._untrue()
        yield from self._backwards()
        if self._channel.leaves:
            return
        yield from self._runs_overlap()
        if self._channel.closes:
            yield from self._left_out()
            yield from self._outdated()
            yield from self._silent_at_a_calm()
        else:
            yield from self._out_of_order()
            yield from self._missing()
            yield from self._late()

    def _twice(self) -> Iterable[tuple[str, str]]:
        seen = set()
        for each in self._told:
            # Who follows again has a new thread, which may begin with what the old one ended with. And an end that the
            # next run has brought to light bears the name of that run, as will the end of that, in its own thread.
            is_in_its_thread = self._channel.leaves or each.kind == "ended"
            key = (each.kind, each.move, each.thread if is_in_its_thread else "")
            if key in seen:
                yield TWICE, f"{each.kind} of move {each.move}"
            seen.add(key)

    def _untrue(self) -> Iterable[tuple[str, str]]:
        before: Told | None = None
        for each in self._told:
            if not self._was_so(each, before):
                yield UNTRUE, f"{each.kind} of move {each.move}"
            if not self._is_where_it_belongs(each):
                yield UNTRUE, f"{each.kind} of move {each.move}: to the channel, or not"
            before = each

    def _is_where_it_belongs(self, told: Told) -> bool:
        """Whether it was posted to the channel if it had to be, and not if it must not be."""
        if not (self._channel.loud and self._is_for_the_channel(told)):
            return not told.loud
        if told.loud:
            return not self._was_known_to_be_over(told)
        return self._was_told_unawares(told) or self._was_over_by_then(told)

    def _was_so(self, told: Told, before: Told | None) -> bool:
        if told.move >= len(self._moves):
            return False
        move = self._moves[told.move]
        if move.began > told.at + SLACKNESS:
            return False
        if told.kind in _SAYS:
            return move.state is _SAYS[told.kind] and _right_reason(told, self._moves)
        return self._had_ended(told, move, before)

    def _had_ended(self, told: Told, move: Move, before: Told | None) -> bool:
        """Off the air for the grace time, as far as it was looked at; or the next run was on its way."""
        if any(later.run > move.run and later.began <= told.at + SLACKNESS for later in self._moves[move.number :]):
            return True
        # The end of a run that the next one has brought to light bears the name that it has by then.
        if before is not None and self._moves[before.move].run < move.run:
            return True
        # The same where the beginning of that run was too late to be told.
        if before is None or before.kind == "ended":
            news = range(before.move + 1 if before else 0, move.number)
            if self._was_too_late([number for number in news if self._moves[number].run < move.run], told.at):
                return True
        if move.state is not State.OFF:
            return False
        live = {number for _, number in self._known.looks() if self._moves[number].state is State.LIVE}
        since = move.began
        for earlier in reversed(self._moves[: move.number]):
            if earlier.number in live or (before and earlier.number < before.move):
                break
            if earlier.state is not State.LIVE:
                since = earlier.began
        return told.at - since >= self._evidence.grace - SLACKNESS

    def _backwards(self) -> Iterable[tuple[str, str]]:
        for before, after in zip(self._told, self._told[1:], strict=False):
            if after.move < before.move:
                yield ORDER, f"{after.kind} of move {after.move} after {before.kind} of move {before.move}"

    def _runs_overlap(self) -> Iterable[tuple[str, str]]:
        """Across threads, in the order of time: each run has its own, and a later run a later one."""
        latest: Told | None = None
        for each in sorted(self._told, key=lambda each: each.at):
            if latest and (float(each.thread) < float(latest.thread) or each.move < latest.move):
                yield ORDER, f"{each.kind} of move {each.move} was told when {latest.kind} of {latest.move} was there"
            else:
                latest = each

    def _left_out(self) -> Iterable[tuple[str, str]]:
        told = {(each.kind, each.move) for each in self._told}
        for each in owed_in(self._channel, self._broadcast, self._evidence):
            if (each.kind, each.move) in told or self._was_too_late_here(each) or self._was_dropped_unawares(each):
                continue
            if self._was_missed_as_a_whole(each):
                continue
            yield (
                MISSING,
                f"{each.kind} of move {each.move} was told in {each.channel}, and the bot was here, too",
            )

    def _outdated(self) -> Iterable[tuple[str, str]]:
        """What is told after the bot has come back is still true: not what was over, and told so elsewhere, before."""
        elsewhere = told_elsewhere(self._broadcast, self._evidence)
        for each in self._told:
            back = [absence.ended for absence in self._absences() if absence.ended > self._moves[each.move].began]
            returned = max((at for at in back if at < each.at), default=None)
            if returned is None or each.kind == "ended":
                continue
            newer = [other for other in elsewhere if other.move > each.move and other.at < returned - SLACKNESS]
            if any(_contradicts(each, other) for other in newer[-1:]):
                said = f"{newer[-1].kind} of move {newer[-1].move}"
                yield UNTRUE, f"{each.kind} of move {each.move} was told after the bot came back, {said} before"

    def _silent_at_a_calm(self) -> Iterable[tuple[str, str]]:
        """When all is calm, the last that was told is how it is, also where the bot was away in between."""
        for calm in self._evidence.calms:
            moves = [move for move in self._moves if move.began < calm]
            move = moves[-1]
            if move.state is not State.LIVE or calm - self._began_on_air(move) < _CALM_SECONDS:
                continue
            told = [each for each in self._told if each.at < calm]
            last = max(told, key=lambda each: each.at, default=None)
            if last is None or last.kind not in ("live", "back"):
                said = f"{last.kind} of move {last.move}" if last else "nothing"
                yield MISSING, f"move {move.number} was live in a calm, and the last that was told is {said}"

    def _began_on_air(self, move: Move) -> float:
        earlier = self._moves[: move.number + 1]
        while len(earlier) > 1 and earlier[-2].state is State.LIVE:
            earlier = earlier[:-1]
        return earlier[-1].began

    def _absences(self) -> list[Absence]:
        return [each for each in self._evidence.absences if each.channel == self._channel.id]

    def _late(self) -> Iterable[tuple[str, str]]:
        for each in self._told:
            seconds = silence(each, self._broadcast)
            if seconds > LATEST_SECONDS and self._was_well(each.at - seconds, each.at):
                yield LATE, f"{each.kind} of move {each.move}: after {seconds:.0f} seconds"

    def _out_of_order(self) -> Iterable[tuple[str, str]]:
        before, been_live = "ended", False
        thread = ""
        for each in self._told:
            allowed = _AFTER.get(before, frozenset({"back" if been_live else "live", "ended"}))
            if each.kind not in allowed and not self._is_without_its_beginning(each):
                yield ORDER, f"{each.kind} of move {each.move} after {before}"
            new = before == "ended"
            if thread and new is (each.thread == thread) and not self._lost(thread):
                yield ORDER, f"{each.kind} of move {each.move} is in the {'old' if new else 'wrong'} thread"
            been_live = (been_live and not new) or each.kind in ("live", "back")
            before, thread = each.kind, each.thread

    def _is_without_its_beginning(self, end: Told) -> bool:
        """Whether this is the end of something whose beginning could not be told before it was over, and too late."""
        before = self._before(end)
        if end.kind != "ended" or (before and before.kind != "ended"):
            return False
        return self._was_too_late(range(before.move + 1 if before else 0, end.move + 1), end.at)

    def _was_dropped_unawares(self, end: Told) -> bool:
        """Whether this end of what was never live waited here, when the bot was sent away, for a beginning whose answer
        may have been lost. On its return the bot knows of nothing here that has ended."""
        elsewhere = [each for each in told_elsewhere(self._broadcast, self._evidence) if each.channel == end.channel]
        before = max((each.move for each in elsewhere if each.kind == "ended" and each.at < end.at), default=0)
        run = [each for each in elsewhere if before < each.move <= end.move and each.at < end.at]
        here = [each for each in self._told if before < each.move <= end.move and each.kind != "ended"]
        if end.kind != "ended" or not here or any(each.kind == "live" for each in run):
            return False
        return any(
            0 <= absence.began - end.at < _REPEAT_SECONDS
            and all(self._is_unknown(each, replace(end, at=absence.began)) for each in here)
            for absence in self._absences()
        )

    def _was_missed_as_a_whole(self, end: Told) -> bool:
        """Whether this channel had neither card nor reply of the episode, which was told elsewhere to begin more than
        ten minutes before its end: then the card shows the end, and no reply does."""
        elsewhere = [each for each in told_elsewhere(self._broadcast, self._evidence) if each.channel == end.channel]
        before = max((each.at for each in elsewhere if each.kind == "ended" and each.at < end.at), default=0.0)
        began = min((each.at for each in elsewhere if before < each.at < end.at), default=end.at)
        is_here = any(each.kind != "ended" and began - _QUEUE_SECONDS < each.at < end.at for each in self._told)
        is_here |= any(
            began - _QUEUE_SECONDS < float(each.card) < end.at - _QUEUE_SECONDS
            for each in self._evidence.edits
            if (each.channel, each.broadcast) == (self._channel.id, end.broadcast)
        )
        if end.kind != "ended" or is_here or end.at - began <= _TOO_LATE_SECONDS:
            return False
        return not self._was_well(began - SLACKNESS, end.at - _WELL_SECONDS)

    def _was_too_late_here(self, told: Told) -> bool:
        """Whether what was told elsewhere could not be told here before it was over, and too late."""
        after = min((each for each in self._told if each.at > told.at), key=lambda each: each.at, default=None)
        elsewhere = (each for each in told_elsewhere(self._broadcast, self._evidence) if each.channel == told.channel)
        over = next((each for each in elsewhere if each.at > told.at and each.kind == "ended"), None)
        if over is not None and self._was_missed_as_a_whole(over):
            return told.kind != "ended"
        if told.kind == "ended" or after is None or after.move < told.move or not _contradicts(told, after):
            return False
        return self._was_too_late([told.move], after.at)

    def _was_too_late(self, moves: Collection[int], told_at: float) -> bool:
        """Whether no bot was well for ten minutes from the first look on that saw one of these moves, and saw it begin
        something; and what came of it was told after that."""
        begun = {number for number in moves if self._moves[number].state is not State.OFF}
        seen = min((at for at, number in self._broadcast.looks if number in begun), default=None)
        if seen is None or told_at - seen <= _TOO_LATE_SECONDS:
            return False
        return not self._was_well(seen, seen + _TOO_LATE_SECONDS)

    def _was_well(self, since: float, until: float) -> bool:
        """Whether a bot looked at anything in this time, and had no trouble before it could post, nor was it sent away
        from the channel."""
        looks = [at for each in self._evidence.broadcasts for at, _ in known_of(each, self._evidence).looks()]
        kept = [(each.began, each.began) for each in self._evidence.troubles]
        kept += [(each.began, each.ended) for each in self._absences()]
        return any(
            since <= at < until and not any(began < at + _WELL_SECONDS and ended > at for began, ended in kept)
            for at in looks
        )

    def _lost(self, thread: str) -> bool:
        return thread in self._evidence.deleted

    def _is_for_the_channel(self, each: Told) -> bool:
        """Return whether a loud follow posts this in the channel too; not an end whose beginning was not announced."""
        if each.kind == "ended":
            before = self._before(each)
            return before is not None and (before.thread == each.thread or self._goes_on(before))
        return each.kind in ("live", "errored")

    def _was_over_by_then(self, told: Told) -> bool:
        """Whether it was no longer so when it was told, and a card had shown that: then it pings nobody."""
        if told.kind == "errored" and self._shows_live_again(told):
            return True
        end = self._end_of(told)
        if end is None or not self._was_so(replace(end, at=told.at), told):
            return False
        shown = (each for each in self._evidence.edits if each.broadcast == told.broadcast)
        return any(each.move >= end.move and each.at <= told.at for each in shown)

    def _shows_live_again(self, error: Told) -> bool:
        """Whether the card of an error showed by then that what came after it is live."""
        its = (each for each in self._evidence.edits if (each.channel, each.card) == (error.channel, error.thread))
        last = max((each for each in its if each.at <= error.at), key=lambda each: each.at, default=None)
        return last is not None and last.move > error.move and self._moves[last.move].state is State.LIVE

    def _was_known_to_be_over(self, told: Told) -> bool:
        """Whether the end of it was told anywhere before it was told here, and not just before."""
        end = self._end_of(told)
        return end is not None and any(
            (each.kind, each.broadcast, each.move) == ("ended", told.broadcast, end.move)
            and each.at < told.at - _QUEUE_SECONDS
            for each in self._evidence.told
        )

    def _end_of(self, told: Told) -> Told | None:
        """The end that was told after it in its thread; none of an end itself."""
        after = (each for each in self._told if each.thread == told.thread and each.at > told.at)
        return None if told.kind == "ended" else next((each for each in after if each.kind == "ended"), None)

    def _was_told_unawares(self, end: Told) -> bool:
        """Return whether this is the end of something of which all was told by a bot that could not write that down,
        and was too late to be told again."""
        run: list[Told] = []
        before = self._before(end)
        while before is not None and before.kind != "ended":
            run.append(before)
            before = self._before(before)
        if end.kind != "ended" or not all(self._is_unknown(each, end) for each in run):
            return False
        return self._was_too_late(range(before.move + 1 if before else 0, end.move + 1), end.at)

    def _is_unknown(self, told: Told, later: Told) -> bool:
        first, again = (Posted(each.at, each.channel, str(each.at), each.message_id) for each in (told, later))
        reason = reason_not_to_know(first, again, self._evidence.unconfirmed, self._evidence.troubles)
        return reason is not None

    def _goes_on(self, before: Told) -> bool:
        """Return whether what is next may be of the same run, in the thread of a card that replaces a deleted one."""
        return before.kind != "ended" and self._lost(before.thread)

    def _before(self, told: Told) -> Told | None:
        earlier = [each for each in self._told if each.at < told.at]
        return max(earlier, key=lambda each: each.at, default=None)

    def _missing(self) -> Iterable[tuple[str, str]]:
        for move in self._known.states():
            told = [each for each in self._told if each.move <= move.number]
            # The end of what was live in this move, as the next run has brought it to light.
            if told and told[-1].kind == "ended" and told[-1].move == move.number and move.state is not State.OFF:
                told.pop()
            if self._agrees(move, told[-1] if told else None) or self._is_told_by_a_later_name(move):
                continue
            after = next((each for each in self._told if each.move > move.number), None)
            if after is None or not self._was_too_late([move.number], after.at):
                last = f"{told[-1].kind} of move {told[-1].move}" if told else "nothing"
                yield (
                    MISSING,
                    f"move {move.number} ({move.state}) was seen, and the last that was told by then is {last}",
                )

    def _is_told_by_a_later_name(self, move: Move) -> bool:
        """Whether it was live, and that was told when it had another name by then, without a pause."""
        after = next((each for each in self._told if each.move > move.number), None)
        if move.state is not State.LIVE or after is None or after.kind not in TELLS[State.LIVE]:
            return False
        return all(each.state is State.LIVE for each in self._moves[move.number : after.move + 1])

    def _is_back(self, move: Move, error: Told) -> bool:
        """Whether it was live for the grace period after an error, and twice as long for each error before it."""
        before = sum(
            each.kind == "errored" and each.at < error.at for each in self._told if each.thread == error.thread
        )
        patience = min(self._evidence.grace * 2.0**before, max(self._evidence.grace, _MOST_PATIENCE))
        return self._known.was_live_for(move, patience)

    def _agrees(self, move: Move, last: Told | None) -> bool:
        if move.state is State.OFF:
            return last is None or last.kind == "ended"
        if last is None or not self._known.may_be_one(self._moves[last.move], move):
            return False
        match move.state:
            case State.LIVE:
                return last.kind in ("live", "back") or (last.kind == "errored" and not self._is_back(move, last))
            case State.STARTING:
                return last.kind != "ended"
        # Of a run that has ended, an error is no news.
        same = self._moves[last.move].run == move.run
        return last.kind == "errored" or (last.kind == "ended" and same)


def was_over(told: Told, elsewhere: Sequence[Told], absences: Iterable[Absence]) -> bool:
    """Whether what was told elsewhere may be left out, as the bot was sent away soon after, and it was over when it
    came back."""
    return any(
        0 <= absence.began - told.at < _QUEUE_SECONDS
        and any(other.move > told.move and other.at < absence.ended + AFTERMATH_SECONDS for other in elsewhere)
        for absence in absences
    )


def _contradicts(told: Told, newer: Told) -> bool:
    """Whether the one is no longer so when the other is."""
    same = {"live": "on air", "back": "on air"}
    return same.get(told.kind, told.kind) != same.get(newer.kind, newer.kind)


def _right_reason(told: Told, moves: Sequence[Move]) -> bool:
    """That of an error of this time, or none: a reason is asked for by itself, and may not be had."""
    if told.kind != "errored" or "fault " not in told.text:
        return True
    number = int(told.text.partition("fault ")[2].split(".")[0])
    return number < len(moves) and moves[number].state is State.ERRORED and moves[number].run == moves[told.move].run

"""Compares what was announced with what really happened. Pure, and written without regard to how the bot decides.

The bot must announce what it certainly knows (`expectations.py`). What it announces must be true, in a possible order,
and appear once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.cards import card_violations
from tests.chaos.evidence import LATE, MISSING, ORDER, TWICE, UNTRUE, Channel, Evidence, Violation
from tests.chaos.expectations import Expectations
from tests.chaos.observer import Absence, Reply, subject_of
from tests.chaos.quiet_periods import MAX_DELAY_SECONDS, REPLY_KINDS, delay_of
from tests.chaos.removals import AFTERMATH_SECONDS, expected_replies, presence_of
from tests.chaos.repetitions import MAX_COPIES, Posted, Repetition, copies, reason_not_to_know, repetitions

TOLERANCE_SECONDS = 5.0
"""Sandbox seconds by which two clocks, and a response in flight, may differ."""

_CALM_SECONDS = 300.0
_MAX_ERROR_GRACE_SECONDS = 15 * 60.0
"""After repeated errors."""
_TOO_LATE_SECONDS = 600.0
"""What has waited longer than this is announced only if it is still true."""
_QUEUE_SECONDS = 80.0
"""How long an announcement may wait after another channel got it, when there are many."""
_NAME_SECONDS = 2.0
"""The time between the responses of one check to the state and to the name."""
_MAX_REPEAT_SECONDS = 300.0 + _QUEUE_SECONDS
"""How long a post without a response waits at most until it is repeated."""
_RECOVERY_SECONDS = 120.0
"""How long a bot must be without trouble to be expected to post: by then the lease of a killed bot, and a repeated
post, have passed."""
_REPEAT_SECONDS = 60.0 + 120.0 + _QUEUE_SECONDS
"""The same behind a reply without a response, twice: it is repeated after a minute, then after two."""

_STATE_OF_KIND = {kind: state for state, kinds in REPLY_KINDS.items() if state is not State.OFF for kind in kinds}
_FIRST_KINDS = frozenset({"starting", "live", "errored"})
_KINDS_AFTER = {
    "starting": frozenset({"live", "errored", "ended"}),
    "live": frozenset({"errored", "ended"}),
    "back": frozenset({"errored", "ended"}),
    "ended": _FIRST_KINDS,
}


def find_violations(evidence: Evidence) -> list[Violation]:
    """Return everything that is wrong."""
    threads: dict[tuple[str, int], list[Reply]] = defaultdict(list)
    for each in without_repetitions(evidence):
        threads[each.channel, each.broadcast].append(each)
    found = [*_repeated_without_reason(evidence), *card_violations(evidence)]
    for channel in evidence.channels:
        for broadcast in evidence.broadcasts:
            replies = sorted(threads[channel.id, broadcast.number], key=lambda each: float(each.thread))
            checker = _ThreadChecker(evidence, channel, broadcast, replies)
            found += [Violation(what, channel.id, broadcast.number, why) for what, why in checker.all()]
    return found


def count_expected(evidence: Evidence) -> int:
    """Return how many states had to be announced in all channels: the size behind "nothing is missing"."""
    complete_channels = [channel for channel in evidence.channels if channel.gets_all]
    return len(complete_channels) * sum(len(expectations_of(each, evidence).states()) for each in evidence.broadcasts)


def expectations_of(broadcast: Broadcast, evidence: Evidence) -> Expectations:
    """Return what the bot certainly knows of a broadcast."""
    return Expectations(broadcast, evidence.troubles, evidence.grace)


def count_expected_after_absences(evidence: Evidence) -> int:
    """Return how many replies were required where the bot was removed now and then."""
    return sum(
        len(expected_in(channel, each, evidence))
        for channel in evidence.channels
        for each in evidence.broadcasts
        if channel.removes_bot
    )


def expected_in(channel: Channel, broadcast: Broadcast, evidence: Evidence) -> list[Reply]:
    """Return the replies elsewhere from the times in which the bot was in this channel."""
    there = presence_of(channel.id, broadcast.number, evidence.absences, evidence.activities)
    elsewhere = replies_elsewhere(broadcast, evidence)
    absences = [each for each in evidence.absences if each.channel == channel.id]
    return [each for each in expected_replies(elsewhere, broadcast, there) if not was_over(each, elsewhere, absences)]


def replies_elsewhere(broadcast: Broadcast, evidence: Evidence) -> list[Reply]:
    """Return the replies about a broadcast in channels that get all."""
    complete_channels = {each.id for each in evidence.channels if each.gets_all}
    return [
        each for each in evidence.replies if each.channel in complete_channels and each.broadcast == broadcast.number
    ]


def all_repetitions(evidence: Evidence) -> list[Repetition]:
    """Return every repeated message: replies and cards."""
    posted = [Posted(each.at, each.channel, str(each.at), each.message_id) for each in evidence.replies]
    posted += [Posted(float(each.ts), each.channel, each.ts, each.client_msg_id) for each in evidence.cards]
    return repetitions(posted, evidence.unconfirmed, evidence.troubles)


def without_repetitions(evidence: Evidence) -> list[Reply]:
    """Return the replies without those posted again under the same ID; a repeated card has one thread."""
    again = {(each.again.at, each.again.message_id) for each in all_repetitions(evidence)}
    first = {each.again.ts: each.first.ts for each in all_repetitions(evidence)}
    return [
        replace(each, thread=first.get(each.thread, each.thread))
        for each in evidence.replies
        if (each.at, each.message_id) not in again
    ]


def _repeated_without_reason(evidence: Evidence) -> list[Violation]:
    about = {(each.at, each.message_id): each for each in evidence.replies}
    cards = {card.ts: subject_of(card) for card in evidence.cards}
    found = []
    repeated = all_repetitions(evidence)
    number_of = copies(repeated)
    for each in repeated:
        number = number_of[each.first.message_id or ""]
        if each.reason is not None and number <= MAX_COPIES:
            continue
        reply, card = about.get((each.again.at, each.again.message_id)), cards.get(each.again.ts)
        what = f"{reply.kind} of move {reply.move}" if reply else f"the card of move {card[1] if card else '?'}"
        broadcast = reply.broadcast if reply else card[0] if card else 0
        why = f"{what} was posted again without need" if each.reason is None else f"{what} is there {number} times"
        found.append(Violation(TWICE, each.again.channel, broadcast, why))
    return found


class _ThreadChecker:
    """Checks one broadcast in one channel."""

    def __init__(self, evidence: Evidence, channel: Channel, broadcast: Broadcast, replies: list[Reply]) -> None:
        self._evidence = evidence
        self._channel = channel
        self._broadcast = broadcast
        self._moves = broadcast.moves
        self._replies = replies
        self._known = expectations_of(broadcast, evidence)

    def all(self) -> Iterable[tuple[str, str]]:
        if self._channel.quiet:
            yield from ((UNTRUE, f"{each.kind} in a quiet channel") for each in self._replies)
            return
        yield from self._duplicates()
        yield from self._untrue()
        yield from self._reversed_moves()
        if self._channel.unfollows:
            return
        yield from self._threads_overlap()
        if self._channel.removes_bot:
            yield from self._missing_after_absence()
            yield from self._outdated()
            yield from self._silent_in_a_calm_period()
        else:
            yield from self._out_of_order()
            yield from self._missing()
            yield from self._late()

    def _duplicates(self) -> Iterable[tuple[str, str]]:
        seen = set()
        for each in self._replies:
            # A new follow has a new thread, which may begin with what the old one ended with. And an end that was found
            # with the next session has that session's name, as will the end of that, in its own thread.
            is_in_its_thread = self._channel.unfollows or each.kind == "ended"
            key = (each.kind, each.move, each.thread if is_in_its_thread else "")
            if key in seen:
                yield TWICE, f"{each.kind} of move {each.move}"
            seen.add(key)

    def _untrue(self) -> Iterable[tuple[str, str]]:
        before: Reply | None = None
        for each in self._replies:
            if not self._was_so(each, before):
                yield UNTRUE, f"{each.kind} of move {each.move}"
            if not self._is_broadcast_as_required(each):
                yield UNTRUE, f"{each.kind} of move {each.move}: to the channel, or not"
            before = each

    def _is_broadcast_as_required(self, reply: Reply) -> bool:
        """Return whether it was also posted to the channel if that was required, and not otherwise."""
        if not (self._channel.loud and self._must_be_broadcast(reply)):
            return not reply.loud
        if reply.loud:
            return not self._was_known_to_be_over(reply)
        return self._was_announced_without_record(reply) or self._was_over_by_then(reply)

    def _was_so(self, reply: Reply, before: Reply | None) -> bool:
        if reply.move >= len(self._moves):
            return False
        move = self._moves[reply.move]
        if move.began > reply.at + TOLERANCE_SECONDS:
            return False
        if reply.kind in _STATE_OF_KIND:
            is_state = move.state is _STATE_OF_KIND[reply.kind] or self._has_name_of_next_move(reply, move)
            return is_state and _has_right_reason(reply, self._moves)
        return self._had_ended(reply, move, before)

    def _had_ended(self, reply: Reply, move: Move, before: Reply | None) -> bool:
        """Return whether checks found it off air for the grace period, or the next session had started."""
        if any(
            later.session > move.session and later.began <= reply.at + TOLERANCE_SECONDS
            for later in self._moves[move.number :]
        ):
            return True
        # An end that was found with the next session has that session's name.
        before = self._before_second_livestreams(before)
        if before is not None and self._moves[before.move].session < move.session:
            return True
        # The same where the beginning of that session was too old to be announced.
        if before is None or before.kind == "ended":
            news = range(before.move + 1 if before else 0, move.number)
            if self._was_too_late([number for number in news if self._moves[number].session < move.session], reply.at):
                return True
        if move.state is not State.OFF:
            return False
        live = {number for _, number in self._known.checks() if self._moves[number].state is State.LIVE}
        since = move.began
        for earlier in reversed(self._moves[: move.number]):
            if earlier.number in live or (before and earlier.number < before.move):
                break
            if earlier.state is not State.LIVE:
                since = earlier.began
        return reply.at - since >= self._evidence.grace - TOLERANCE_SECONDS

    def _has_name_of_next_move(self, reply: Reply, move: Move) -> bool:
        """Return whether this is about the move before, which ended during the check: the name is fetched last."""
        before = self._moves[move.number - 1]
        is_its_state = move.number > 0 and before.state is _STATE_OF_KIND[reply.kind]
        return is_its_state and any(
            number == before.number and 0 <= move.began - at < _NAME_SECONDS for at, number in self._broadcast.checks
        )

    def _before_second_livestreams(self, reply: Reply | None) -> Reply | None:
        """Return the last reply in its thread, up to this one, that was not about a second livestream.

        Cloudflare names no session of a second livestream, so the bot notices the next session only after it.
        """
        thread = [each for each in self._replies if reply and each.thread == reply.thread and each.at <= reply.at]
        second = [url for url in self._broadcast.rivals if url]
        own = (each for each in reversed(thread) if not any(url in each.text for url in second))
        return next(own, reply)

    def _reversed_moves(self) -> Iterable[tuple[str, str]]:
        for before, after in zip(self._replies, self._replies[1:], strict=False):
            if after.move < before.move:
                yield ORDER, f"{after.kind} of move {after.move} after {before.kind} of move {before.move}"

    def _threads_overlap(self) -> Iterable[tuple[str, str]]:
        """Check the threads in the order of time: each episode has its own, and a later one a later thread."""
        latest: Reply | None = None
        for each in sorted(self._replies, key=lambda each: each.at):
            if latest and (float(each.thread) < float(latest.thread) or each.move < latest.move):
                yield ORDER, f"{each.kind} of move {each.move} was posted after {latest.kind} of {latest.move}"
            else:
                latest = each

    def _missing_after_absence(self) -> Iterable[tuple[str, str]]:
        replies = {(each.kind, each.move) for each in self._replies}
        for each in expected_in(self._channel, self._broadcast, self._evidence):
            if (
                (each.kind, each.move) in replies
                or self._was_too_late_here(each)
                or self._was_dropped_without_record(each)
                or self._was_over_on_a_late_return(each)
                or self._was_over_before_it_could_be_posted(each)
                or self._waited_for_an_unconfirmed_card(each)
                or self._never_heard_that_it_failed(each)
            ):
                continue
            if self._missed_the_whole_episode(each):
                continue
            yield (
                MISSING,
                f"{each.kind} of move {each.move} was posted in {each.channel}, and the bot was here as well",
            )

    def _outdated(self) -> Iterable[tuple[str, str]]:
        """Check that replies after the bot's return are still true, by what was announced elsewhere before."""
        elsewhere = replies_elsewhere(self._broadcast, self._evidence)
        for each in self._replies:
            back = [absence.ended for absence in self._absences() if absence.ended > self._moves[each.move].began]
            returned = max((at for at in back if at < each.at), default=None)
            if returned is None or each.kind == "ended":
                continue
            newer = [other for other in elsewhere if other.move > each.move and other.at < returned - TOLERANCE_SECONDS]
            if newer and self._was_not_noticed_to_be_absent(each, newer[-1]):
                continue
            if any(_contradicts(each, other) for other in newer[-1:]):
                newest = f"{newer[-1].kind} of move {newer[-1].move}"
                yield UNTRUE, f"{each.kind} of move {each.move} was posted after the bot came back, {newest} before"

    def _was_not_noticed_to_be_absent(self, late: Reply, newer: Reply) -> bool:
        """Return whether no bot could post in the absences, so that the bot may not know of them.

        Then it announces each change of the last ten minutes, in order, as if it had been here.
        """
        elsewhere = replies_elsewhere(self._broadcast, self._evidence)
        recorded = min(
            (each.at for each in elsewhere if (each.kind, each.move) == (late.kind, late.move)), default=None
        )
        if recorded is None or late.at - recorded > _TOO_LATE_SECONDS:
            return False
        follows = any(
            (each.kind, each.move) == (newer.kind, newer.move) and each.at > late.at for each in self._replies
        )
        times = [(max(each.began, recorded), each.ended) for each in self._absences() if each.began < late.at]
        return follows and not any(self._could_post(began, ended, removed=True) for began, ended in times)

    def _silent_in_a_calm_period(self) -> Iterable[tuple[str, str]]:
        """Check that in a calm period the last reply shows the current state, also after an absence."""
        for calm in self._evidence.calms:
            moves = [move for move in self._moves if move.began < calm]
            move = moves[-1]
            if move.state is not State.LIVE or calm - self._began_on_air(move) < _CALM_SECONDS:
                continue
            replies = [each for each in self._replies if each.at < calm]
            last = max(replies, key=lambda each: each.at, default=None)
            if last is None or last.kind not in ("live", "back"):
                newest = f"{last.kind} of move {last.move}" if last else "nothing"
                yield MISSING, f"move {move.number} was live in a calm period, and the last reply is {newest}"

    def _began_on_air(self, move: Move) -> float:
        earlier = self._moves[: move.number + 1]
        while len(earlier) > 1 and earlier[-2].state is State.LIVE:
            earlier = earlier[:-1]
        return earlier[-1].began

    def _absences(self) -> list[Absence]:
        return [each for each in self._evidence.absences if each.channel == self._channel.id]

    def _late(self) -> Iterable[tuple[str, str]]:
        for each in self._replies:
            seconds = delay_of(each, self._broadcast)
            # A bot that has just started has to make up for all that happened before.
            if seconds > MAX_DELAY_SECONDS and self._could_post(each.at - seconds, each.at - _REPEAT_SECONDS):
                yield LATE, f"{each.kind} of move {each.move}: after {seconds:.0f} seconds"

    def _out_of_order(self) -> Iterable[tuple[str, str]]:
        last: Reply | None = None
        been_live = False
        for each in self._replies:
            new = last is None or last.kind == "ended" or self._may_lack_its_end(last, each)
            before = "ended" if last is None or new else last.kind
            allowed = _KINDS_AFTER.get(before, frozenset({"back" if been_live else "live", "ended"}))
            if (
                each.kind not in allowed
                and not self._is_without_its_beginning(each)
                and not (last and self._is_without_its_error(each, last))
                and not (last and self._is_without_its_start(each, last))
            ):
                yield ORDER, f"{each.kind} of move {each.move} after {before}"
            if last and new is (each.thread == last.thread) and not self._lost(last.thread):
                yield ORDER, f"{each.kind} of move {each.move} is in the {'old' if new else 'wrong'} thread"
            been_live = (been_live and not new) or each.kind in ("live", "back")
            last = each

    def _may_lack_its_end(self, last: Reply, after: Reply) -> bool:
        """Return whether there may be no end between these two, the last in its thread and the first in the next.

        The bot could not record anything that it posted in that thread, and never saw the livestream live. When it
        could post again, the episode was over and too old to be announced.
        """
        thread = [each for each in self._replies if each.thread == last.thread]
        is_next = self._moves[after.move].session > self._moves[last.move].session
        if last is not thread[-1] or after.thread == last.thread or not is_next:
            return False
        was_live = any(each.kind in ("live", "back") for each in thread) or any(
            move.state is State.LIVE and thread[0].move <= move.number < after.move for move in self._known.states()
        )
        if was_live or not all(self._is_unknown(each, after) for each in thread):
            return False
        return self._was_too_late(range(thread[0].move, last.move + 1), after.at)

    def _is_without_its_beginning(self, end: Reply) -> bool:
        """Return whether its beginning was over, and too old, before it could be posted."""
        before = self._before(end)
        if end.kind != "ended" or (before and before.kind != "ended"):
            return False
        return self._was_too_late(range(before.move + 1 if before else 0, end.move + 1), end.at)

    def _is_without_its_error(self, back: Reply, last: Reply) -> bool:
        """Return whether the error was over, and too old, before a bot could know whether it had been posted."""
        errors = [number for number in range(last.move + 1, back.move) if self._moves[number].state is State.ERRORED]
        is_back = (last.kind, back.kind) == ("live", "back")
        return is_back and bool(errors) and self._was_too_late(errors, back.at)

    def _is_without_its_start(self, back: Reply, error: Reply) -> bool:
        """Return whether "is live" was over, and too old, when the error before this recovery could be posted."""
        before = self._before(error)
        if (back.kind, error.kind) != ("back", "errored"):
            return False
        numbers = range(before.move + 1 if before else 0, error.move)
        live = [number for number in numbers if self._moves[number].state is State.LIVE]
        return self._was_too_late(live, error.at)

    def _was_dropped_without_record(self, end: Reply) -> bool:
        """Return whether the end of what was never live may be missing.

        It waited here, when the bot was removed, for a beginning whose response may have been lost. On its
        return the bot knows of nothing here that has ended.
        """
        elsewhere = [each for each in replies_elsewhere(self._broadcast, self._evidence) if each.channel == end.channel]
        before = max((each.move for each in elsewhere if each.kind == "ended" and each.at < end.at), default=0)
        run = [each for each in elsewhere if before < each.move <= end.move and each.at < end.at]
        here = [each for each in self._replies if before < each.move <= end.move and each.kind != "ended"]
        if end.kind != "ended" or not here or any(each.kind == "live" for each in run):
            return False
        return any(
            0 <= absence.began - end.at < _REPEAT_SECONDS
            and all(self._is_unknown(each, replace(end, at=absence.began)) for each in here)
            for absence in self._absences()
        )

    def _was_over_on_a_late_return(self, reply: Reply) -> bool:
        """Return whether the bot was removed soon after this reply elsewhere, and it was over when it could return.

        A bot that was down when it was invited notices that some time after its start. An end is posted all the same.
        """
        if reply.kind == "ended":
            return False
        over = [
            each.at
            for each in replies_elsewhere(self._broadcast, self._evidence)
            if each.move > reply.move and _contradicts(reply, each)
        ]
        return bool(over) and any(
            0 <= absence.began - reply.at < _QUEUE_SECONDS
            and not self._could_post(
                absence.ended, max(absence.ended + AFTERMATH_SECONDS, min(over) - _RECOVERY_SECONDS)
            )
            for absence in self._absences()
        )

    def _was_over_before_it_could_be_posted(self, reply: Reply) -> bool:
        """Return whether the bot was removed before any bot could post this here, and it was over when one could."""
        # What is older came late as well, and says nothing about this.
        later = (each for each in self._replies if each.at > reply.at and each.move > reply.move)
        after = min(later, key=lambda each: each.at, default=None)
        if reply.kind == "ended" or after is None or not _contradicts(reply, after):
            return False
        was_removed = any(reply.at < each.began and each.ended < after.at for each in self._absences())
        return was_removed and not self._could_post(reply.at, after.at)

    def _waited_for_an_unconfirmed_card(self, reply: Reply) -> bool:
        """Return whether it was over, and too old, when Slack confirmed an earlier card.

        What comes after such a card waits for it, the newer changes of an episode behind the older ones. The bot posts
        the card again as soon as it may, which changes nothing in Slack if the card is there.
        """
        elsewhere = replies_elsewhere(self._broadcast, self._evidence)
        waiting = self._waiting_with(reply, elsewhere)
        seen = min((at for at, number in self._broadcast.checks if number in waiting), default=None)
        for card in self._evidence.cards:
            is_here = (card.channel, (subject_of(card) or (None,))[0]) == (self._channel.id, reply.broadcast)
            is_later = float(card.ts) > reply.at + _QUEUE_SECONDS
            if not is_here or card.client_msg_id not in self._evidence.unconfirmed or is_later:
                continue
            edits = [each.at for each in self._evidence.edits if (each.channel, each.card) == (card.channel, card.ts)]
            edits += [each.at for each in self._replies if each.thread == card.ts]
            # The first is the card as it was posted.
            confirmed = min(sorted(edits)[1:], default=None)
            if confirmed is None or seen is None or confirmed < reply.at or confirmed - seen <= _TOO_LATE_SECONDS:
                continue
            is_over = reply.kind == "ended" or any(
                reply.move < each.move and each.at < confirmed and _contradicts(reply, each) for each in elsewhere
            )
            if is_over and not self._could_post(float(card.ts), confirmed - _MAX_REPEAT_SECONDS):
                return True
        return False

    def _waiting_with(self, reply: Reply, elsewhere: Sequence[Reply]) -> set[int]:
        """Return the moves of its episode that were posted where this reply was, up to it, and not here."""
        there = [each for each in elsewhere if each.channel == reply.channel and each.at <= reply.at]
        ended = max((each.at for each in there if each.kind == "ended" and each.at < reply.at), default=0.0)
        here = {(each.kind, each.move) for each in self._replies}
        return {each.move for each in there if each.at > ended and (each.kind, each.move) not in here}

    def _missed_the_whole_episode(self, end: Reply) -> bool:
        """Return whether this channel had neither card nor reply of an episode of more than ten minutes.

        Then the card shows the end, and no reply does.
        """
        elsewhere = [each for each in replies_elsewhere(self._broadcast, self._evidence) if each.channel == end.channel]
        before = max((each.at for each in elsewhere if each.kind == "ended" and each.at < end.at), default=0.0)
        began = min((each.at for each in elsewhere if before < each.at < end.at), default=end.at)
        is_here = any(each.kind != "ended" and began - _QUEUE_SECONDS < each.at < end.at for each in self._replies)
        is_here |= any(
            began - _QUEUE_SECONDS < float(each.card) < end.at - _QUEUE_SECONDS
            for each in self._evidence.edits
            if (each.channel, each.broadcast) == (self._channel.id, end.broadcast)
        )
        if end.kind != "ended" or is_here or end.at - began <= _TOO_LATE_SECONDS:
            return False
        return not self._could_post(began - TOLERANCE_SECONDS, end.at - _RECOVERY_SECONDS)

    def _never_heard_that_it_failed(self, end: Reply) -> bool:
        """Return whether this channel heard nothing of an episode that never went live, nor could it.

        Where all that has happened was too old when a bot could post, only the card shows it.
        """
        elsewhere = [each for each in replies_elsewhere(self._broadcast, self._evidence) if each.channel == end.channel]
        ends = [each for each in elsewhere if each.kind == "ended" and each.at < end.at]
        before = max((each.at for each in ends), default=0.0)
        run = [each for each in elsewhere if before < each.at < end.at]
        if end.kind != "ended" or not run or any(each.kind == "live" for each in run):
            return False
        moves = range(min(each.move for each in run), end.move + 1)
        seen = min((at for at, number in self._broadcast.checks if number in moves), default=None)
        is_here = any(each.move in moves for each in self._replies)
        if seen is None or is_here or end.at - seen <= _TOO_LATE_SECONDS:
            return False
        return not self._could_post(seen, end.at)

    def _was_too_late_here(self, reply: Reply) -> bool:
        """Return whether a reply elsewhere could not be posted here before it was over, and too old."""
        after = min((each for each in self._replies if each.at > reply.at), key=lambda each: each.at, default=None)
        elsewhere = (
            each for each in replies_elsewhere(self._broadcast, self._evidence) if each.channel == reply.channel
        )
        over = next((each for each in elsewhere if each.at > reply.at and each.kind == "ended"), None)
        if over is not None and self._missed_the_whole_episode(over):
            return reply.kind != "ended"
        if reply.kind == "ended" or after is None or after.move < reply.move or not _contradicts(reply, after):
            return False
        return self._was_too_late([reply.move], after.at)

    def _was_too_late(self, moves: Collection[int], told_at: float, *, since: float = 0.0) -> bool:
        """Return whether no bot could post for ten minutes from the first check that saw one of these moves begin.

        The outcome was announced after that. `since`: there was no news of it before.
        """
        started = {number for number in moves if self._moves[number].state is not State.OFF}
        seen = min((at for at, number in self._broadcast.checks if number in started), default=None)
        if seen is None:
            return False
        seen = max(seen, since)
        if told_at - seen <= _TOO_LATE_SECONDS:
            return False
        return not self._could_post(seen, seen + _TOO_LATE_SECONDS)

    def _could_post(self, since: float, until: float, *, removed: bool = False) -> bool:
        """Return whether a bot was working in this time, long enough to post, and was in the channel.

        With `removed`, it need not have been in the channel.
        """
        checks = [
            at for each in self._evidence.broadcasts for at, _ in expectations_of(each, self._evidence).responses()
        ]
        kept = [(each.began, each.began) for each in self._evidence.troubles]
        kept += [] if removed else [(each.began, each.ended) for each in self._absences()]
        return any(
            since <= at < until and not any(began < at + _RECOVERY_SECONDS and ended > at for began, ended in kept)
            for at in checks
        )

    def _lost(self, thread: str) -> bool:
        return thread in self._evidence.deleted

    def _must_be_broadcast(self, each: Reply) -> bool:
        """Return whether a loud follow posts this in the channel too; not an end whose beginning was not announced."""
        if each.kind == "ended":
            before = self._before(each)
            return before is not None and (before.thread == each.thread or self._may_continue(before))
        return each.kind in ("live", "errored")

    def _was_over_by_then(self, reply: Reply) -> bool:
        """Return whether it was over when it was posted, and a card had shown that: then it is not broadcast."""
        if reply.kind == "errored" and self._shows_live_again(reply):
            return True
        end = self._end_of(reply)
        if end is None or not self._was_so(replace(end, at=reply.at), reply):
            return False
        shown = (each for each in self._evidence.edits if each.broadcast == reply.broadcast)
        return any(each.move >= end.move and each.at <= reply.at for each in shown)

    def _shows_live_again(self, error: Reply) -> bool:
        """Return whether the card of an error showed by then that the livestream is live again."""
        its = (each for each in self._evidence.edits if (each.channel, each.card) == (error.channel, error.thread))
        last = max((each for each in its if each.at <= error.at), key=lambda each: each.at, default=None)
        return last is not None and last.move > error.move and self._moves[last.move].state is State.LIVE

    def _was_known_to_be_over(self, reply: Reply) -> bool:
        """Return whether its end was announced anywhere well before it was posted here."""
        end = self._end_of(reply)
        return end is not None and any(
            (each.kind, each.broadcast, each.move) == ("ended", reply.broadcast, end.move)
            and each.at < reply.at - _QUEUE_SECONDS
            for each in self._evidence.replies
        )

    def _end_of(self, reply: Reply) -> Reply | None:
        """Return the end that follows it in its thread; None for an end."""
        after = (each for each in self._replies if each.thread == reply.thread and each.at > reply.at)
        return None if reply.kind == "ended" else next((each for each in after if each.kind == "ended"), None)

    def _was_announced_without_record(self, end: Reply) -> bool:
        """Return whether this is the end of something that a bot announced without being able to record it.

        It was too old to be announced again.
        """
        run: list[Reply] = []
        before = self._before(end)
        while before is not None and before.kind != "ended":
            run.append(before)
            before = self._before(before)
        if end.kind != "ended" or not all(self._is_unknown(each, end) for each in run):
            return False
        if before and run and run[-1].move == before.move:
            # The end before was found with this session, and has its name.
            return self._was_too_late(range(before.move, end.move + 1), end.at, since=before.at)
        return self._was_too_late(range(before.move + 1 if before else 0, end.move + 1), end.at)

    def _is_unknown(self, reply: Reply, later: Reply) -> bool:
        first, again = (Posted(each.at, each.channel, str(each.at), each.message_id) for each in (reply, later))
        reason = reason_not_to_know(first, again, self._evidence.unconfirmed, self._evidence.troubles)
        return reason is not None

    def _may_continue(self, before: Reply) -> bool:
        """Return whether the episode may continue in the thread of a card that replaces a deleted one."""
        return before.kind != "ended" and self._lost(before.thread)

    def _before(self, reply: Reply) -> Reply | None:
        earlier = [each for each in self._replies if each.at < reply.at]
        return max(earlier, key=lambda each: each.at, default=None)

    def _missing(self) -> Iterable[tuple[str, str]]:
        for move in self._known.states():
            replies = [each for each in self._replies if each.move <= move.number]
            # The end of what was live in this move, as found with the next session.
            if (
                replies
                and replies[-1].kind == "ended"
                and replies[-1].move == move.number
                and move.state is not State.OFF
            ):
                replies.pop()
            if self._agrees(move, replies[-1] if replies else None) or self._is_announced_under_a_later_name(move):
                continue
            after = next((each for each in self._replies if each.move > move.number), None)
            if move.state is State.OFF and replies and after and self._may_lack_its_end(replies[-1], after):
                continue
            if after is None or not self._was_too_late([move.number], after.at):
                last = f"{replies[-1].kind} of move {replies[-1].move}" if replies else "nothing"
                yield (
                    MISSING,
                    f"move {move.number} ({move.state}) was seen, and the last reply by then is {last}",
                )

    def _is_announced_under_a_later_name(self, move: Move) -> bool:
        """Return whether it was live and was announced, without a pause, when it had another name."""
        after = next((each for each in self._replies if each.move > move.number), None)
        if move.state is not State.LIVE or after is None or after.kind not in REPLY_KINDS[State.LIVE]:
            return False
        return all(each.state is State.LIVE for each in self._moves[move.number : after.move + 1])

    def _is_back(self, move: Move, error: Reply) -> bool:
        """Return whether it was live for the grace period after an error, doubled for each error before it."""
        before = sum(
            each.kind == "errored" and each.at < error.at for each in self._replies if each.thread == error.thread
        )
        grace = min(self._evidence.grace * 2.0**before, max(self._evidence.grace, _MAX_ERROR_GRACE_SECONDS))
        return self._known.was_live_for(move, grace)

    def _agrees(self, move: Move, last: Reply | None) -> bool:
        if move.state is State.OFF:
            return last is None or last.kind == "ended"
        if last is None or not self._known.may_be_one(self._moves[last.move], move):
            return False
        match move.state:
            case State.LIVE:
                return last.kind in ("live", "back") or (last.kind == "errored" and not self._is_back(move, last))
            case State.STARTING:
                return last.kind != "ended"
        # The error of a session that has ended is no news.
        same = self._moves[last.move].session == move.session
        return last.kind == "errored" or (last.kind == "ended" and same)


def was_over(reply: Reply, elsewhere: Sequence[Reply], absences: Iterable[Absence]) -> bool:
    """Return whether a reply may be missing.

    The bot was removed soon after it was posted elsewhere, and it was over on the return.
    """
    return any(
        0 <= absence.began - reply.at < _QUEUE_SECONDS
        and any(other.move > reply.move and other.at < absence.ended + AFTERMATH_SECONDS for other in elsewhere)
        for absence in absences
    )


def _contradicts(reply: Reply, newer: Reply) -> bool:
    """Return whether the one is no longer true when the other is."""
    same = {"live": "on air", "back": "on air"}
    return same.get(reply.kind, reply.kind) != same.get(newer.kind, newer.kind)


def _has_right_reason(reply: Reply, moves: Sequence[Move]) -> bool:
    """Return whether its reason, if any, is that of an error of this session."""
    if reply.kind != "errored" or "fault " not in reply.text:
        return True
    number = int(reply.text.partition("fault ")[2].split(".")[0])
    return (
        number < len(moves)
        and moves[number].state is State.ERRORED
        and moves[number].session == moves[reply.move].session
    )

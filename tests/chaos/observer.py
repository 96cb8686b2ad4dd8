"""Watches both sides: what Cloudflare has told the bot, and what the bot has told in Slack."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.realtimekit import Call, Fault, RealtimeKit
from sandbox.slack import EventKind, Message, Slack
from sandbox.slack.events import Event
from tests.chaos.broadcasts import Broadcast, State
from tests.scenarios.scenario import kind_of

_LABEL = re.compile(r"Show (\d+)\.(\d+)\b")
_VIDEO = re.compile(r"cloudflarestream\.com/([0-9a-f]{32})/")
_LOOK = re.compile(r"/meetings/([0-9a-f-]{36})(/active-livestream)?$")
_LIST = re.compile(r"/livestreams\?(?:.*&)?status=(LIVE|INVOKED|ERRORED)\b")
_LISTED = {"LIVE": (State.LIVE,), "INVOKED": (State.STARTING,), "ERRORED": (State.ERRORED, State.OFF)}
"""What a list tells of. The last of the three tells also what is in none."""
_LISTING_SECONDS = 10.0
LIVES_ON_SECONDS = 20.0
"""How long after an answer the bot has to live, at least, to be expected to have written it down."""


@dataclass(frozen=True, slots=True)
class Told:
    """A reply in a thread, as it was posted."""

    at: float
    channel: str
    thread: str
    kind: str
    broadcast: int
    move: int
    loud: bool = False
    message_id: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """From when to when what the bot is told may be lost: it was killed, or the database was away."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Absence:
    """From when to when the bot was not in a channel."""

    channel: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Sign:
    """The bot has posted or edited something of a broadcast in a channel: it follows it there."""

    at: float
    channel: str
    broadcast: int


@dataclass(frozen=True, slots=True)
class Edit:
    """What a card showed from then on: the move that it names, and where it can be watched."""

    at: float
    channel: str
    card: str
    broadcast: int
    move: int
    playback: str | None


class Witness:
    """Writes down what it sees; decides nothing."""

    def __init__(self, slack: Slack, kit: RealtimeKit, broadcasts: Iterable[Broadcast]) -> None:
        self.told: list[Told] = []
        self.cards: list[Message] = []
        """Each as it was posted."""
        self.deleted: set[str] = set()
        self.troubles: list[Trouble] = []
        self.absences: list[Absence] = []
        self.signs: list[Sign] = []
        self.edits: list[Edit] = []
        """Each card as it was posted, too."""
        self.calms: list[float] = []
        """When all was agreed."""
        self._slack = slack
        self._kit = kit
        self._broadcasts = {each.meeting_id: each for each in broadcasts}
        self._not_found: dict[str, int] = {}
        slack.events.subscribe(self._hear)
        kit.on_call.append(self._see)

    def trouble(self, began: float) -> None:
        """There was some from then on until now."""
        self.troubles.append(Trouble(began, self._kit.clock.now()))

    def absence(self, channel: str, began: float) -> None:
        """There was one from then on until now."""
        self.absences.append(Absence(channel, began, self._kit.clock.now()))

    def calm(self) -> None:
        """All is agreed now."""
        self.calms.append(self._kit.clock.now())

    def follows_all(self, channel: str) -> None:
        """It is certain now, without a sign."""
        now = self._kit.clock.now()
        self.signs += [Sign(now, channel, each.number) for each in self._broadcasts.values()]

    def _hear(self, event: Event) -> None:
        message = event.subject
        if not isinstance(message, Message) or message.ephemeral_to is not None:
            return
        if event.kind is EventKind.MESSAGE_DELETED:
            self.deleted.add(message.ts)
            return
        about = about_what(message)
        if about is None or message.channel not in self._slack.workspace.channels:
            return
        self.signs.append(Sign(self._kit.clock.now(), message.channel, about[0]))
        if message.thread_ts is None:
            shown = playback_in(message)
            self.edits.append(Edit(self._kit.clock.now(), message.channel, message.ts, *about, shown))
        if event.kind is EventKind.MESSAGE_POSTED:
            self._posted(message, about)

    def _posted(self, message: Message, about: tuple[int, int]) -> None:
        if message.thread_ts is None:
            self.cards.append(message)
            return
        told = Told(
            float(message.ts),
            message.channel,
            message.thread_ts,
            kind_of(message.text),
            *about,
            loud=message.is_broadcast,
            message_id=message.client_msg_id,
            text=message.text,
        )
        self.told.append(told)

    def _see(self, call: Call) -> None:
        """Only what was asked and answered within one move, with no fault in the way, says what the bot knows."""
        self._see_list(call)
        found = _LOOK.search(call.path)
        broadcast = self._broadcasts.get(found[1]) if found else None
        if found is None or broadcast is None or self._kit.fault is not Fault.NONE:
            return
        move = broadcast.now
        if move.began > call.at - call.ms / 1000 * self._kit.clock.speed:
            return
        asked_for_livestream = found[2] is not None
        if asked_for_livestream and call.status == 404:
            # That there is no livestream is believed when the meeting itself is found.
            self._not_found[broadcast.meeting_id] = move.number
        elif call.status == 200 and (asked_for_livestream or self._was_not_found(broadcast)):
            broadcast.looks.append((call.at, move.number))

    def _see_list(self, call: Call) -> None:
        found = _LIST.search(call.path)
        if found is None or call.status != 200 or self._kit.fault is not Fault.NONE:
            return
        began = call.at - call.ms / 1000 * self._kit.clock.speed - _LISTING_SECONDS
        for each in self._broadcasts.values():
            if each.now.state in _LISTED[found[1]] and each.now.began < began:
                each.listed.append((call.at, each.now.number))

    def _was_not_found(self, broadcast: Broadcast) -> bool:
        return self._not_found.pop(broadcast.meeting_id, None) == broadcast.now.number


def playback_in(message: Message) -> str | None:
    """The video that a card or a reply leads to, if any: the 32 digits that its playback URL and its player share."""
    found = _VIDEO.search(str(message.blocks))
    return found[1] if found else None


def video_of(playback_url: str) -> str | None:
    """The same of a playback URL."""
    found = _VIDEO.search(playback_url)
    return found[1] if found else None


def about_what(message: Message) -> tuple[int, int] | None:
    """The broadcast and the move that a message names."""
    found = _LABEL.search(message.text)
    return (int(found[1]), int(found[2])) if found else None

"""Observes both sides: what Cloudflare has reported to the bot, and what the bot has posted in Slack."""

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
_CHECK = re.compile(r"/meetings/([0-9a-f-]{36})(/active-livestream)?$")
_LIST = re.compile(r"/livestreams\?(?:.*&)?status=(LIVE|INVOKED|ERRORED)\b")
_LISTED = {"LIVE": (State.LIVE,), "INVOKED": (State.STARTING,), "ERRORED": (State.ERRORED, State.OFF)}
"""The states that a list reports. After the last of the three, a meeting in none is known to be off."""
_LISTING_SECONDS = 10.0
MIN_SURVIVAL_SECONDS = 20.0
"""How long the bot must survive after a response to be expected to have recorded it."""


@dataclass(frozen=True, slots=True)
class Reply:
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
    """The time in which a state that the bot has read may be lost: it was killed, or the database was unreachable."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Absence:
    """The time in which the bot was not in a channel."""

    channel: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Activity:
    """The bot has posted or edited something about a broadcast in a channel: it follows it there."""

    at: float
    channel: str
    broadcast: int


@dataclass(frozen=True, slots=True)
class Edit:
    """What a card showed from then on: the move that it names, and its video."""

    at: float
    channel: str
    card: str
    broadcast: int
    move: int
    playback: str | None


class Observer:
    """Records what it observes; decides nothing."""

    def __init__(self, slack: Slack, kit: RealtimeKit, broadcasts: Iterable[Broadcast]) -> None:
        self.replies: list[Reply] = []
        self.cards: list[Message] = []
        """Each as it was posted."""
        self.deleted: set[str] = set()
        self.troubles: list[Trouble] = []
        self.absences: list[Absence] = []
        self.activities: list[Activity] = []
        self.edits: list[Edit] = []
        """Includes each card as it was posted."""
        self.calms: list[float] = []
        """When everything had settled."""
        self._slack = slack
        self._kit = kit
        self._broadcasts = {each.meeting_id: each for each in broadcasts}
        self._not_found: dict[str, int] = {}
        slack.events.subscribe(self._on_event)
        kit.on_call.append(self._on_call)

    def trouble(self, began: float) -> None:
        """Record trouble from then until now."""
        self.troubles.append(Trouble(began, self._kit.clock.now()))

    def absence(self, channel: str, began: float) -> None:
        """Record an absence from then until now."""
        self.absences.append(Absence(channel, began, self._kit.clock.now()))

    def calm(self) -> None:
        """Record that everything has settled now."""
        self.calms.append(self._kit.clock.now())

    def follows_all(self, channel: str) -> None:
        """Record that the bot follows everything in this channel now, without further evidence."""
        now = self._kit.clock.now()
        self.activities += [Activity(now, channel, each.number) for each in self._broadcasts.values()]

    def _on_event(self, event: Event) -> None:
        message = event.subject
        if not isinstance(message, Message) or message.ephemeral_to is not None:
            return
        if event.kind is EventKind.MESSAGE_DELETED:
            self.deleted.add(message.ts)
            return
        about = subject_of(message)
        if about is None or message.channel not in self._slack.workspace.channels:
            return
        self.activities.append(Activity(self._kit.clock.now(), message.channel, about[0]))
        if message.thread_ts is None:
            video = playback_in(message)
            self.edits.append(Edit(self._kit.clock.now(), message.channel, message.ts, *about, video))
        if event.kind is EventKind.MESSAGE_POSTED:
            self._posted(message, about)

    def _posted(self, message: Message, about: tuple[int, int]) -> None:
        if message.thread_ts is None:
            self.cards.append(message)
            return
        reply = Reply(
            float(message.ts),
            message.channel,
            message.thread_ts,
            kind_of(message.text),
            *about,
            loud=message.is_broadcast,
            message_id=message.client_msg_id,
            text=message.text,
        )
        self.replies.append(reply)

    def _on_call(self, call: Call) -> None:
        """Record a check. Only a request and response within one move, without a fault, show what the bot knows."""
        self._on_list_call(call)
        found = _CHECK.search(call.path)
        broadcast = self._broadcasts.get(found[1]) if found else None
        if found is None or broadcast is None or self._kit.fault is not Fault.NONE:
            return
        move = broadcast.now
        if move.began > call.at - call.ms / 1000 * self._kit.clock.speed:
            return
        asked_for_livestream = found[2] is not None
        if asked_for_livestream and call.status == 404:
            # No livestream counts only when the meeting itself is found.
            self._not_found[broadcast.meeting_id] = move.number
        elif call.status == 200 and (asked_for_livestream or self._was_not_found(broadcast)):
            broadcast.checks.append((call.at, move.number))

    def _on_list_call(self, call: Call) -> None:
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
    """Return the video that a card or a reply leads to: the 32 digits that its playback URL and its player share."""
    found = _VIDEO.search(str(message.blocks))
    return found[1] if found else None


def video_of(playback_url: str) -> str | None:
    """Return the same digits of a playback URL."""
    found = _VIDEO.search(playback_url)
    return found[1] if found else None


def subject_of(message: Message) -> tuple[int, int] | None:
    """Return the broadcast and the move that a message names."""
    found = _LABEL.search(message.text)
    return (int(found[1]), int(found[2])) if found else None

"""The meetings of the sandbox, and the hands that start, drop, fail and end their livestreams."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from bot.sandbox.clock import Clock
from bot.sandbox.realtimekit import minting, seeds, state
from bot.sandbox.realtimekit.changes import Changes
from bot.sandbox.realtimekit.state import AfterEnd, Livestream, Meeting


class Studio:
    """Holds the meetings. A meeting is a value: every step replaces it in `meetings`, and returns the new one.

    A step that a meeting cannot make raises `ImpossibleError`; a meeting that is not there raises KeyError.
    `changes` tells each new one.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.changes = Changes()
        self._meetings: dict[str, Meeting] = {}
        self._owners: dict[str, str] = {}
        self._secrets: set[str] = set()

    @property
    def meetings(self) -> Mapping[str, Meeting]:
        """Every meeting by its id, as it is now."""
        return MappingProxyType(self._meetings)

    @property
    def secrets(self) -> frozenset[str]:
        """Every stream key and ingest server there ever was: what must never be seen outside."""
        return frozenset(self._secrets)

    def livestream(self, livestream_id: str) -> Livestream | None:
        """The livestream with this id, if any meeting has it."""
        owner = self._meetings.get(self._owners.get(livestream_id, ""))
        return owner.livestream if owner else None

    def seed(self) -> None:
        """Put the seeded meetings in, as new."""
        now = self.clock.now()
        for each in seeds.SEEDS:
            self._keep(seeds.meeting_of(each, now))

    def add_meeting(self, title: str, meeting_id: str | None = None) -> Meeting:
        """A new meeting that was never livestreamed. Replaces one of the same id, which must be a UUID."""
        known_as = minting.meeting_id() if meeting_id is None else str(UUID(meeting_id))
        return self._keep(Meeting(known_as, title, created_at=self.clock.now()))

    def remove_meeting(self, meeting_id: str) -> None:
        """Delete a meeting, with its livestream. Raises KeyError."""
        del self._meetings[meeting_id]

    def start(self, meeting_id: str, name: str | None = None) -> Meeting:
        """Invoke a new run of the meeting's livestream, provisioning the livestream if it is the first; INVOKED."""
        meeting = self._meetings[meeting_id]
        livestream = self._provisioned(meeting)
        livestream = dataclasses.replace(livestream, name=livestream.name if name is None else name)
        meeting = dataclasses.replace(meeting, livestream=livestream)
        return self._keep(state.start(meeting, minting.session_id(), self.clock.now()))

    def go_live(self, meeting_id: str) -> Meeting:
        """LIVE: the run under way, be it interrupted, or else a new one."""
        if not self._meetings[meeting_id].running:
            self.start(meeting_id)
        return self._keep(state.go_live(self._meetings[meeting_id], self.clock.now()))

    def drop(self, meeting_id: str) -> Meeting:
        """OFFLINE with the session open, as when the encoder loses its connection."""
        return self._keep(state.drop(self._meetings[meeting_id], self.clock.now()))

    def fail(self, meeting_id: str, reason: str) -> Meeting:
        """ERRORED, for a reason that the session tells."""
        return self._keep(state.fail(self._meetings[meeting_id], reason, self.clock.now()))

    def end(self, meeting_id: str, after_end: AfterEnd | None = None) -> Meeting:
        """The host stops the run. `after_end` stays the meeting's way of answering from then on, if given."""
        meeting = self._meetings[meeting_id]
        meeting = dataclasses.replace(meeting, after_end=after_end or meeting.after_end)
        return self._keep(state.end(meeting, self.clock.now()))

    def change(self, meeting_id: str, **fields: Any) -> Meeting:
        """Set fields of a meeting by name: `title`, `shape`, `after_end`, `joinable`."""
        return self._keep(dataclasses.replace(self._meetings[meeting_id], **fields))

    def change_livestream(self, meeting_id: str, **fields: Any) -> Meeting:
        """Set fields of a meeting's livestream by name: `name`, `status` (any word), `disabled`, `playback_url`, ...

        A meeting without a livestream gets one, which Cloudflare answers with only if `active=True` is given too.
        """
        livestream = self._provisioned(self._meetings[meeting_id])
        return self.change(meeting_id, livestream=dataclasses.replace(livestream, **fields))

    def _provisioned(self, meeting: Meeting) -> Livestream:
        return meeting.livestream or minting.livestream(meeting.id, self.clock.now())

    def _keep(self, meeting: Meeting) -> Meeting:
        self._meetings[meeting.id] = meeting
        if meeting.livestream is not None:
            self._owners[meeting.livestream.id] = meeting.id
            self._secrets |= {meeting.livestream.stream_key, meeting.livestream.ingest_server}
        self.changes.publish(meeting)
        return meeting

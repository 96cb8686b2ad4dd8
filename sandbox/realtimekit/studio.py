"""The sandbox's meetings, and the controls that start, drop, fail and end their livestreams."""

import dataclasses
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sandbox.clock import Clock
from sandbox.realtimekit import minting, seeds, state
from sandbox.realtimekit.changes import Changes
from sandbox.realtimekit.state import AfterEnd, Livestream, Meeting, Session, Status


class Studio:
    """The meetings. A meeting is an immutable value: every step replaces it in `meetings` and returns the new one.

    Raises ImpossibleError for a step that is impossible in the meeting's state, and KeyError for an unknown meeting.
    `changes` publishes each new value.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.changes = Changes()
        self._meetings: dict[str, Meeting] = {}
        self._frozen: tuple[Meeting, ...] | None = None
        self._owners: dict[str, str] = {}
        self._secrets: set[str] = set()

    @property
    def meetings(self) -> Mapping[str, Meeting]:
        """All current meetings by ID."""
        return MappingProxyType(self._meetings)

    @property
    def secrets(self) -> frozenset[str]:
        """All stream keys and ingest servers ever created, which must never leak."""
        return frozenset(self._secrets)

    def livestream(self, livestream_id: str) -> Livestream | None:
        """Return the livestream with this ID, if any meeting has it."""
        owner = self._meetings.get(self._owners.get(livestream_id, ""))
        return next((each for each in owner.livestreams if each.id == livestream_id), None) if owner else None

    @property
    def listed(self) -> Collection[Meeting]:
        """The meetings whose livestreams the list contains: the current ones, or those at `freeze_list`."""
        return self._meetings.values() if self._frozen is None else self._frozen

    def freeze_list(self) -> None:
        """Freeze the list of livestreams, so that it has stale entries and lacks new ones."""
        self._frozen = tuple(self._meetings.values())

    def thaw_list(self) -> None:
        """Unfreeze the list of livestreams, so that it is current again."""
        self._frozen = None

    def seed(self) -> None:
        """Add the seeded meetings, or reset them."""
        now = self.clock.now()
        for each in seeds.SEEDS:
            self._keep(seeds.meeting_of(each, now))

    def add_meeting(self, title: str, meeting_id: str | None = None) -> Meeting:
        """Add a meeting that was never livestreamed, replacing one with the same ID, which must be a UUID."""
        known_as = minting.meeting_id() if meeting_id is None else str(UUID(meeting_id))
        return self._keep(Meeting(known_as, title, created_at=self.clock.now()))

    def remove_meeting(self, meeting_id: str) -> None:
        """Delete a meeting, with its livestream. Raises KeyError."""
        del self._meetings[meeting_id]

    def start(self, meeting_id: str, name: str | None = None) -> Meeting:
        """Start a new session (INVOKED), provisioning the livestream if it is the meeting's first."""
        meeting = self._meetings[meeting_id]
        livestream = self._provisioned(meeting)
        livestream = dataclasses.replace(livestream, name=livestream.name if name is None else name)
        meeting = dataclasses.replace(meeting, livestream=livestream)
        return self._keep(state.start(meeting, minting.session_id(), self.clock.now()))

    def go_live(self, meeting_id: str) -> Meeting:
        """Go on air (LIVE) in the open session, which may be interrupted, or in a new one."""
        if not self._meetings[meeting_id].running:
            self.start(meeting_id)
        return self._keep(state.go_live(self._meetings[meeting_id], self.clock.now()))

    def drop(self, meeting_id: str) -> Meeting:
        """Go OFFLINE with the session still open, as when the encoder loses its connection."""
        return self._keep(state.drop(self._meetings[meeting_id], self.clock.now()))

    def fail(self, meeting_id: str, reason: str) -> Meeting:
        """Let the session fail (ERRORED) with a reason."""
        return self._keep(state.fail(self._meetings[meeting_id], reason, self.clock.now()))

    def end(self, meeting_id: str, after_end: AfterEnd | None = None) -> Meeting:
        """End the session, as the host does. `after_end`, if given, remains the meeting's setting."""
        meeting = self._meetings[meeting_id]
        meeting = dataclasses.replace(meeting, after_end=after_end or meeting.after_end)
        return self._keep(state.end(meeting, self.clock.now()))

    def restart(self, meeting_id: str) -> Meeting:
        """Replace the open session by a new one of the same livestream, with the same status, LIVE for example."""
        return self._keep(state.restart(self._meetings[meeting_id], minting.session_id(), self.clock.now()))

    def replace_livestream(self, meeting_id: str) -> Meeting:
        """Replace the livestream by one with the same status, LIVE for example, and a new ID, playback URL and session.

        The old livestream is gone.
        """
        meeting = self._meetings[meeting_id]
        old = state.livestream_of(meeting)
        new = dataclasses.replace(self._another(meeting_id, old.status), name=old.name)
        return self._keep(dataclasses.replace(meeting, livestream=new))

    def add_livestream(self, meeting_id: str, **fields: Any) -> Livestream:
        """Add another livestream to the meeting, LIVE unless `fields` say otherwise.

        Each answer then begins with another one of the meeting's livestreams.
        """
        meeting = self._meetings[meeting_id]
        livestream = dataclasses.replace(self._another(meeting_id, Status.LIVE), **fields)
        self._keep(dataclasses.replace(meeting, others=(*meeting.others, livestream)))
        return livestream

    def change_session(self, meeting_id: str, **fields: Any) -> Meeting:
        """Set fields of the latest session by name: `err_message`, `started_time` (ZERO_TIME, ...), ...

        The livestream's status and `updated_at` do not change.
        """
        livestream = state.livestream_of(self._meetings[meeting_id])
        latest = dataclasses.replace(livestream.sessions[-1], **fields)
        return self.change_livestream(meeting_id, sessions=(*livestream.sessions[:-1], latest))

    def _another(self, meeting_id: str, status: str) -> Livestream:
        now = self.clock.now()
        session = Session(minting.session_id(), invoked_time=now, started_time=now if status == Status.LIVE else None)
        return dataclasses.replace(
            minting.another_livestream(meeting_id, now), status=status, active=True, sessions=(session,)
        )

    def change(self, meeting_id: str, **fields: Any) -> Meeting:
        """Set fields of a meeting by name: `title`, `shape`, `after_end`, `joinable`."""
        return self._keep(dataclasses.replace(self._meetings[meeting_id], **fields))

    def change_livestream(self, meeting_id: str, **fields: Any) -> Meeting:
        """Set fields of a meeting's livestream by name: `name`, `status` (any string), `disabled`, `playback_url`, ...

        A meeting without a livestream gets one, which Cloudflare returns only if `active=True` is given too.
        """
        livestream = self._provisioned(self._meetings[meeting_id])
        return self.change(meeting_id, livestream=dataclasses.replace(livestream, **fields))

    def _provisioned(self, meeting: Meeting) -> Livestream:
        return meeting.livestream or minting.livestream(meeting.id, self.clock.now())

    def _keep(self, meeting: Meeting) -> Meeting:
        self._meetings[meeting.id] = meeting
        for livestream in meeting.livestreams:
            self._owners[livestream.id] = meeting.id
            self._secrets |= {livestream.stream_key, livestream.ingest_server}
        self.changes.publish(meeting)
        return meeting

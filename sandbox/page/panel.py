"""The RealtimeKit panel: a broadcaster's actions on a meeting."""

import asyncio

from sandbox.page.refused import Refused
from sandbox.realtimekit import ImpossibleError, Meeting, RealtimeKit, Shape, Status

DROP_SECONDS = 5.0
FAILURE = "Ingest stopped: the connection to the encoder was lost"

_SAYS_NOTHING = (Shape.NULL, Shape.EMPTY_OBJECT, Shape.EMPTY_LIST, Shape.UNSUCCESSFUL)


class Panel:
    """Starts, drops, fails and ends livestreams. A dropped one comes back by itself unless another step comes first.

    Raises Refused: 404 for an unknown meeting, 409 for an impossible step.
    """

    def __init__(self, kit: RealtimeKit) -> None:
        self.steps = {
            "start": self.start,
            "go_live": self.go_live,
            "drop": self.drop,
            "fail": self.fail,
            "end": self.end,
        }
        self._kit = kit
        self._returns: dict[str, asyncio.Task[None]] = {}

    @property
    def returning(self) -> frozenset[str]:
        """The meetings whose livestreams have dropped and will come back."""
        return frozenset(self._returns)

    def press(self, step: str, meeting_id: str) -> Meeting:
        """Carry out one of `steps`."""
        act = self.steps.get(step)
        if act is None or meeting_id not in self._kit.meetings:
            raise Refused(404, "There is no such meeting, or no such button for it.")
        try:
            meeting = act(meeting_id)
        except ImpossibleError as error:
            raise Refused(409, f"{error}.") from None
        if step != "drop":
            self._forget_return(meeting_id)
        return meeting

    def start(self, meeting_id: str) -> Meeting:
        """Start a new session, which is not on air yet (INVOKED)."""
        if self._kit.meetings[meeting_id].running:
            raise ImpossibleError("The meeting has started already")
        self._let_it_speak(meeting_id)
        return self._kit.start(meeting_id)

    def go_live(self, meeting_id: str) -> Meeting:
        """Go on air (LIVE), in a new session if none is open."""
        meeting = self._kit.meetings[meeting_id]
        if meeting.running and _status(meeting) == Status.LIVE:
            raise ImpossibleError("The meeting is live already")
        self._let_it_speak(meeting_id)
        return self._kit.go_live(meeting_id)

    def drop(self, meeting_id: str) -> Meeting:
        """Drop the livestream (OFFLINE); it is LIVE again after five seconds of sandbox time."""
        meeting = self._kit.meetings[meeting_id]
        if not meeting.running or _status(meeting) in (Status.INVOKED, Status.OFFLINE):
            raise ImpossibleError("Nothing is on air that could drop")
        meeting = self._kit.drop(meeting_id)
        self._forget_return(meeting_id)
        task = asyncio.create_task(self._come_back(meeting_id), name=f"return of {meeting_id}")
        self._returns[meeting_id] = task
        return meeting

    def fail(self, meeting_id: str) -> Meeting:
        """Let the session fail (ERRORED) with a reason."""
        return self._kit.fail(meeting_id, FAILURE)

    def end(self, meeting_id: str) -> Meeting:
        """End the session, or clear one that failed, as the host does."""
        return self._kit.end(meeting_id)

    async def close(self) -> None:
        """Cancel the pending returns of dropped livestreams."""
        tasks = tuple(self._returns.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._returns.clear()

    async def _come_back(self, meeting_id: str) -> None:
        await self._kit.clock.sleep(DROP_SECONDS)
        del self._returns[meeting_id]
        meeting = self._kit.meetings.get(meeting_id)
        if meeting is not None and meeting.running and _status(meeting) == Status.OFFLINE:
            self._kit.go_live(meeting_id)

    def _let_it_speak(self, meeting_id: str) -> None:
        """Switch a meeting seeded to answer with nothing to proper answers, so that the bot can see it go live."""
        if self._kit.meetings[meeting_id].shape in _SAYS_NOTHING:
            self._kit.change(meeting_id, shape=Shape.OBJECT)

    def _forget_return(self, meeting_id: str) -> None:
        task = self._returns.pop(meeting_id, None)
        if task is not None:
            task.cancel()


def _status(meeting: Meeting) -> str | None:
    return meeting.livestream.status if meeting.livestream else None

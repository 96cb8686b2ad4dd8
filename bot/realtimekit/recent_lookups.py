"""A short-lived cache of lookups, so that a crowd asking about one meeting costs no more than one person."""

import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from cachetools import TTLCache

from bot.errors import MeetingNotFound, RealtimeKitError
from bot.realtimekit.lookup import Lookup
from bot.realtimekit.single_flight import SingleFlight

ANSWER_SECONDS = 2.5
FAILURE_SECONDS = 1.0
"""Lifetime of a failure, which may be over soon. MeetingNotFound is cached like an answer."""
_MOST_KEPT = 1_000


class RecentLookups:
    """Cached lookups for people. Checks of followed meetings bypass the cache: they need the current state."""

    def __init__(
        self,
        look_up: Callable[[UUID], Awaitable[Lookup]],
        timer: Callable[[], float] = time.monotonic,
        answered: Callable[[Lookup], None] = lambda _: None,
    ) -> None:
        """Create the cache.

        `timer` returns seconds and must never go back; `answered` is called with each new answer.
        """
        self._look_up = look_up
        self._answered = answered
        self._in_flight = SingleFlight()
        self._answers: TTLCache[UUID, Lookup | None] = TTLCache(_MOST_KEPT, ANSWER_SECONDS, timer)
        self._failures: TTLCache[UUID, RealtimeKitError] = TTLCache(_MOST_KEPT, FAILURE_SECONDS, timer)

    async def look_up(self, meeting_id: UUID) -> Lookup:
        """Return an answer that is at most 2.5 seconds old. Raises a RealtimeKitError."""
        if meeting_id in self._failures:
            raise self._failures[meeting_id].with_traceback(None)
        if meeting_id in self._answers:
            answer = self._answers[meeting_id]
            if answer is None:
                raise MeetingNotFound
            return answer
        return await self._in_flight.run(meeting_id, lambda: self._ask(meeting_id))

    async def close(self) -> None:
        """Cancel the lookups in flight."""
        await self._in_flight.cancel()

    async def _ask(self, meeting_id: UUID) -> Lookup:
        try:
            answer = await self._look_up(meeting_id)
        except MeetingNotFound:
            self._answers[meeting_id] = None
            raise
        except RealtimeKitError as error:
            self._failures[meeting_id] = error
            raise
        self._answers[meeting_id] = answer
        self._answered(answer)
        return answer

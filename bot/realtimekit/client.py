"""The client for Cloudflare RealtimeKit. All its requests are reads, so failed ones are safe to retry."""

import asyncio
import copy
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import httpx
import structlog
from cachetools import LRUCache, TTLCache
from pydantic import BaseModel, ValidationError

from bot.errors import InvalidResponse, MeetingNotFound, RateLimited, RealtimeKitError, Unreachable
from bot.realtimekit.http import AiohttpTransport, HttpClient, app_path, exchange, segment
from bot.realtimekit.models import Livestream, Meeting, NotLive, Session, most_active
from bot.realtimekit.rate_limit import RateLimitState
from bot.realtimekit.responses import LivestreamPage, parse_data, parse_list, parse_page

CONNECT_SECONDS = 2.0
RESPONSE_SECONDS = 8.0
ATTEMPT_SECONDS = 3.5
"""Timeout of one attempt, short enough to leave time for another one if a request is lost."""
_RETRY_SECONDS = (0.1, 0.2)
"""The shortest waits before the second and the third attempt; twice as long at most."""
_SHORT_WAIT = 2.0
_MEETING_CACHE_SIZE = 10_000
_MEETING_SECONDS = 45.0
"""Cache lifetime of a meeting: less than a minute, within which a changed title should show."""

log = structlog.get_logger(__name__)

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
Unwrap = Callable[[int, Mapping[str, str], bytes], Any]
OnCall = Callable[[str, str, float], None]
"""Called after each request with the endpoint, the outcome (`ok`, an error's code, or `timeout` if the request was
abandoned) and the duration in seconds."""


def open_http(base_url: str, api_token: str, proxy: str | None = None, tls: ssl.SSLContext | None = None) -> HttpClient:
    """Open the HTTP connection pool to Cloudflare, with the API token in each request."""
    timeout = httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS)
    return HttpClient(
        AiohttpTransport(timeout, tls=tls, proxy=proxy, max_connections=200, keepalive_seconds=60),
        base_url,
        headers={"Authorization": f"Bearer {api_token}", "Accept": "application/json"},
    )


class RealtimeKitClient:
    """A client for one RealtimeKit app. If a method has no answer within 8 seconds, it raises a RealtimeKitError."""

    def __init__(
        self,
        http: HttpClient,
        *,
        account_id: str,
        app_id: str,
        on_call: OnCall = lambda *_: None,
        timer: Callable[[], float] = time.monotonic,
        answer_seconds: float = RESPONSE_SECONDS,
        rate_limit: RateLimitState | None = None,
        spend: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Create the client; `spend` is called before each request, and raises a RealtimeKitError to prevent it.

        `sleep` waits between attempts, in seconds.
        """
        self._http = http
        self._app = app_path(account_id, app_id)
        self._rate_limit = rate_limit or RateLimitState()
        self._spend = spend
        self._now = now
        self._on_call = on_call
        self._answer_seconds = answer_seconds
        self._sleep = sleep
        self._meetings: TTLCache[UUID, Meeting] = TTLCache(_MEETING_CACHE_SIZE, _MEETING_SECONDS, timer)
        self._titles: LRUCache[UUID, str | None] = LRUCache(_MEETING_CACHE_SIZE)

    async def active_livestream(self, meeting_id: UUID) -> Livestream | NotLive:
        """Fetch the meeting's active livestream, or the meeting itself if it has none. Raises MeetingNotFound.

        Cloudflare does not document its answer for a meeting without an active livestream. Most likely it is the same
        404 as for a meeting that does not exist, so this method then fetches the meeting to distinguish the two.
        """
        deadline = time.monotonic() + self._answer_seconds
        path = f"/meetings/{meeting_id}/active-livestream"
        found = await self._get("active_livestream", path, lambda data: _livestream(meeting_id, data, self._now()))
        return found or NotLive(meeting=await self._fetch_meeting(meeting_id, deadline - time.monotonic()))

    async def meeting(self, meeting_id: UUID, max_wait: float | None = None) -> Meeting:
        """Return the meeting, cached for less than a minute. Raises MeetingNotFound."""
        return self.recent_meeting(meeting_id) or await self._fetch_meeting(meeting_id, max_wait)

    def recent_meeting(self, meeting_id: UUID) -> Meeting | None:
        """Return the meeting if it was fetched less than a minute ago."""
        return self._meetings.get(meeting_id)

    def last_title(self, meeting_id: UUID) -> str | None:
        """Return the meeting's title when it was last fetched, however long ago; None if unknown."""
        return self._titles.get(meeting_id)

    async def active_session(self, livestream_id: str, max_wait: float | None = None) -> Session | None:
        """Fetch the livestream's current or last session, with its start and the reason if it failed."""
        if not livestream_id.strip("."):  # "." and ".." change the path even if quoted; no livestream has such an ID
            return None
        path = f"/livestreams/{segment(livestream_id)}/active-livestream-session"
        return await self._get("active_session", path, _session, max_wait=max_wait)

    async def livestreams(self, status: str, page_no: int, per_page: int = 100) -> LivestreamPage:
        """Fetch one page, counted from 1, of the app's livestreams with one of Cloudflare's statuses.

        Raises InvalidResponse if the list has an unknown form, is incomplete, or all its entries are invalid.
        """
        query = urlencode({"status": status, "page_no": page_no, "per_page": per_page})
        read = partial(_page, per_page)
        return await self._get("livestreams", f"/livestreams?{query}", read, parse_list)

    async def check_access(self) -> None:
        """Check that token, account and app are right, by fetching the shortest possible list."""
        await self._get("meetings", "/meetings?per_page=1", lambda _: None)

    def counting(self, spend: Callable[[], None]) -> "RealtimeKitClient":
        """Return this client with another `spend`: both share connections and caches."""
        other = copy.copy(self)
        other._spend = spend  # noqa: SLF001 - a copy of this client
        return other

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _fetch_meeting(self, meeting_id: UUID, max_wait: float | None) -> Meeting:
        path = f"/meetings/{meeting_id}"
        meeting = await self._get("meeting", path, partial(_meeting, meeting_id), max_wait=max_wait)
        if meeting is None:
            self._meetings.pop(meeting_id, None)
            raise MeetingNotFound
        self._meetings[meeting_id] = meeting
        self._titles[meeting_id] = meeting.title
        return meeting

    async def _get(
        self,
        endpoint: str,
        path: str,
        read: Callable[[Any], T],
        unwrap: Unwrap = parse_data,
        max_wait: float | None = None,
    ) -> T:
        """Send a GET, again after a failure that may pass, and return `read` applied to what `unwrap` extracts.

        With `parse_data`, that is None if the object does not exist. `max_wait` is in seconds, by default those for an
        answer. Raises a RealtimeKitError.
        """
        seconds = self._answer_seconds if max_wait is None else max_wait
        if seconds <= 0:
            raise Unreachable(detail="no time left for a request")
        try:
            async with asyncio.timeout(seconds):
                for wait in _RETRY_SECONDS:
                    try:
                        return await self._request(endpoint, path, read, unwrap)
                    except (Unreachable, RateLimited) as error:
                        await self._sleep(_seconds_until_retry(error, wait))
                return await self._request(endpoint, path, read, unwrap)
        except TimeoutError:
            raise Unreachable(detail=f"no answer within {seconds:g} s") from None

    async def _request(self, endpoint: str, path: str, read: Callable[[Any], T], unwrap: Unwrap) -> T:
        # Shorter waits are left to the retries.
        if (blocked_for := self._rate_limit.blocked_for()) > _SHORT_WAIT:
            raise RateLimited(blocked_for, detail="not sent, since Cloudflare has said how long to wait")
        self._spend()
        started, outcome = time.monotonic(), "timeout"
        try:
            response = await exchange(self._http, "GET", self._app + path)
            self._rate_limit.update(response.status, response.headers)
            result = read(unwrap(response.status, response.headers, response.body))
            outcome = "ok"
            return result
        except RealtimeKitError as error:
            outcome = error.code
            raise
        finally:
            self._on_call(endpoint, outcome, time.monotonic() - started)


def _seconds_until_retry(error: Unreachable | RateLimited, wait: float) -> float:
    """Return the seconds to wait before another attempt. Raises the error if Cloudflare demands a longer wait."""
    if isinstance(error, Unreachable):
        return wait * random.uniform(1, 2)  # noqa: S311 - so that a crowd does not return all at once
    if error.retry_after > _SHORT_WAIT:
        raise error
    return error.retry_after


def _read(model: type[Model], data: Any) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = {".".join(map(str, mistake["loc"])) for mistake in error.errors(include_input=False)}
        raise InvalidResponse(detail=f"{model.__name__}: {', '.join(sorted(fields)) or 'not an object'}") from None


def _livestream(meeting_id: UUID, data: Any, now: datetime) -> Livestream | None:
    if data is None:
        return None
    found = _livestreams_of(meeting_id, data)
    return most_active(found, now).beside(found)


def _meeting(meeting_id: UUID, data: Any) -> Meeting | None:
    if data is None:
        return None
    meeting = _read(Meeting, data)
    if meeting.id != meeting_id:
        raise InvalidResponse(detail="another meeting")
    return meeting


def _session(data: Any) -> Session | None:
    session = data.get("session") if isinstance(data, dict) else None
    return _read(Session, session) if session else None


def _page(per_page: int, answer: tuple[Any, Any]) -> LivestreamPage:
    page = parse_page(*answer, per_page)
    found = _readable_livestreams(page.items)
    return LivestreamPage(tuple(found), page.more, is_complete=len(found) == len(page.items))


def _readable_livestreams(items: list[Any]) -> list[Livestream]:
    """Read the livestreams, skipping and logging invalid ones. Raises InvalidResponse if all are invalid."""
    found, errors = [], []
    for item in items:
        try:
            found.append(_read(Livestream, item))
        except InvalidResponse as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    if errors:
        log.warning("livestreams_left_out", unreadable=len(errors), of=len(items), error=errors[0].detail)
    return found


def _livestreams_of(meeting_id: UUID, data: Any) -> list[Livestream]:
    """Read the meeting's livestreams, dropping those of other meetings; raise InvalidResponse if none is left.

    Cloudflare's description says that the payload is a list, its schema that it is an object.
    """
    found = _readable_livestreams(data if isinstance(data, list) else [data])
    own = [livestream for livestream in found if (livestream.meeting_id or str(meeting_id)).lower() == str(meeting_id)]
    if not own:
        raise InvalidResponse(detail="a livestream of another meeting")
    return own

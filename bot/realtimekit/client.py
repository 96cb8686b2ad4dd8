"""Ask Cloudflare RealtimeKit. The questions here are all reads, so each may be asked again when it went wrong."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import httpx
import stamina
from cachetools import LRUCache, TTLCache
from httpx_aiohttp import AiohttpTransport
from pydantic import BaseModel, ValidationError

from bot.errors import Malformed, NoSuchMeeting, RateLimited, RealtimeKitError, Unreachable
from bot.realtimekit.envelope import data_of, list_of
from bot.realtimekit.models import Livestream, Meeting, NotLive, Session, most_active
from bot.realtimekit.paging import LivestreamPage, raw_page
from bot.realtimekit.quota import Quota
from bot.realtimekit.single_flight import SingleFlight
from bot.realtimekit.transport import Http, app_path, exchange, segment

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 8.0
ATTEMPT_SECONDS = 3.5
"""Silence for this long ends one attempt, so that a request that got lost leaves time for another."""
_ATTEMPTS = 3
_SHORT_WAIT = 2.0
_MEETINGS_KEPT = 10_000
_MEETING_SECONDS = 45.0
"""Less than the minute within which a changed title should show."""

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
Unwrap = Callable[[int, Mapping[str, str], bytes], Any]
OnCall = Callable[[str, str, float], None]
"""Told of each request: the endpoint, its outcome (`ok`, an error's name, or `timeout` where it was given up), and the
seconds that it took."""


def open_http(base_url: str, api_token: str, proxy: str | None = None, tls: ssl.SSLContext | None = None) -> Http:
    """The one way to Cloudflare. The aiohttp transport is there for its connection pool, which stays cheap
    with a thousand requests in flight."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200, keepalive_expiry=60)
    return Http(
        AiohttpTransport(verify=tls or True, limits=limits, proxy=httpx.Proxy(proxy) if proxy else None),
        base_url,
        headers={"Authorization": f"Bearer {api_token}", "Accept": "application/json"},
        timeout=httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS),
    )


class RealtimeKit:
    """One RealtimeKit app. Every method raises a child of RealtimeKitError, within 8 seconds, when it has no answer."""

    def __init__(
        self,
        http: Http,
        *,
        account_id: str,
        app_id: str,
        on_call: OnCall = lambda endpoint, outcome, seconds: None,
        timer: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
        quota: Quota | None = None,
        spend: Callable[[], None] = lambda: None,
    ) -> None:
        """`spend` is called before each request, and raises a child of RealtimeKitError if it must not be made."""
        self._http = http
        self._app = app_path(account_id, app_id)
        self._quota = quota or Quota()
        self._spend = spend
        self._on_call = on_call
        self._answer_seconds = answer_seconds
        self._in_flight = SingleFlight()
        self._meetings: TTLCache[UUID, Meeting] = TTLCache(_MEETINGS_KEPT, _MEETING_SECONDS, timer)
        self._titles: LRUCache[UUID, str | None] = LRUCache(_MEETINGS_KEPT)

    async def active_livestream(self, meeting_id: UUID) -> Livestream | NotLive:
        """The meeting's active livestream.

        Cloudflare does not say what it answers when there is none: most likely the same 404 as for a meeting that does
        not exist, so the meeting itself is asked for then. Raises NoSuchMeeting.
        """
        deadline = time.monotonic() + self._answer_seconds
        path = f"/meetings/{meeting_id}/active-livestream"
        found = await self._ask("active_livestream", path, partial(_livestream, meeting_id))
        if found is not None:
            return found
        return NotLive(meeting=await _in_time(self._meeting_now(meeting_id), deadline - time.monotonic()))

    async def meeting(self, meeting_id: UUID) -> Meeting:
        """The meeting, remembered for less than a minute. Raises NoSuchMeeting."""
        return self._meetings.get(meeting_id) or await self._meeting_now(meeting_id)

    def last_title(self, meeting_id: UUID) -> str | None:
        """Return the title that the meeting had when it was last read, however long ago; None if it is not known."""
        return self._titles.get(meeting_id)

    async def active_session(self, livestream_id: str) -> Session | None:
        """The livestream's run that is on air, or was last: since when, and why it failed if it did."""
        if not livestream_id.strip("."):  # dots climb in a path, however they are quoted, and name no livestream
            return None
        path = f"/livestreams/{segment(livestream_id)}/active-livestream-session"
        return await self._ask("active_session", path, _session)

    async def livestreams(self, status: str, page_no: int, per_page: int = 100) -> LivestreamPage:
        """One page, counted from 1, of the app's livestreams in one of Cloudflare's statuses.

        Raises Malformed where the list is in no form that is known, or leaves some out.
        """
        query = urlencode({"status": status, "page_no": page_no, "per_page": per_page})
        read = partial(_page, per_page)
        return await self._ask("livestreams", f"/livestreams?{query}", read, list_of)

    async def check_access(self) -> None:
        """Ask for the shortest list there is, to learn whether token, account and app are right."""
        await self._ask("meetings", "/meetings?per_page=1", lambda data: None)

    async def close(self) -> None:
        """Stop what is under way and close the connections."""
        await self._in_flight.cancel()
        await self._http.close()

    async def _meeting_now(self, meeting_id: UUID) -> Meeting:
        meeting = await self._ask("meeting", f"/meetings/{meeting_id}", partial(_meeting, meeting_id))
        if meeting is None:
            self._meetings.pop(meeting_id, None)
            raise NoSuchMeeting
        self._meetings[meeting_id] = meeting
        self._titles[meeting_id] = meeting.title
        return meeting

    async def _ask(self, endpoint: str, path: str, read: Callable[[Any], T], unwrap: Unwrap = data_of) -> T:
        """What `read` makes of what `unwrap` finds in the answer, which for `data_of` is None where there is nothing.

        It is read before it goes anywhere, so that no task, whose repr shows its result, holds a stream key.
        """
        question = partial(self._ask_once, endpoint, path, lambda *answer: read(unwrap(*answer)))
        return await self._in_flight.ask(path, lambda: self._ask_until_deadline(question))

    async def _ask_until_deadline(self, question: Callable[[], Awaitable[T]]) -> T:
        return await _in_time(self._ask_patiently(question), self._answer_seconds)

    async def _ask_patiently(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            return await question()
        except RealtimeKitError as error:
            return await self._ask_again(question, error)

    async def _ask_again(self, question: Callable[[], Awaitable[T]], first: RealtimeKitError) -> T:
        """Stamina hears of the first failure as if it had asked itself: to build it costs as much CPU time as a
        question, and most questions need no second try."""
        failed = [first]

        async def ask() -> T:
            if failed:
                raise failed.pop()
            return await question()

        retrying = stamina.AsyncRetryingCaller(attempts=_ATTEMPTS, timeout=self._answer_seconds, wait_jitter=0.2)
        return await retrying(_worth_another_try, ask)

    async def _ask_once(self, endpoint: str, path: str, read: Callable[[int, httpx.Headers, bytes], T]) -> T:
        # A shorter wait is sat out, by asking again.
        if (refused_for := self._quota.refused_for()) > _SHORT_WAIT:
            raise RateLimited(refused_for, detail="not asked, since Cloudflare said when to come back")
        self._spend()
        started, outcome = time.monotonic(), "timeout"
        try:
            said = await exchange(self._http, "GET", self._app + path)
            self._quota.note(said.status, said.headers)
            answer = read(said.status, said.headers, said.body)
            outcome = "ok"
            return answer
        except RealtimeKitError as error:
            outcome = error.code
            raise
        finally:
            self._on_call(endpoint, outcome, time.monotonic() - started)


async def _in_time(answer: Awaitable[T], seconds: float) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise Unreachable(detail=f"no answer within {seconds:g} s") from None


def _worth_another_try(error: Exception) -> bool | float:
    if isinstance(error, RateLimited):
        return error.retry_after if error.retry_after <= _SHORT_WAIT else False
    return isinstance(error, Unreachable)


def _read(model: type[Model], data: Any) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = {".".join(map(str, mistake["loc"])) for mistake in error.errors(include_input=False)}
        raise Malformed(detail=f"{model.__name__}: {', '.join(sorted(fields)) or 'not an object'}") from None


def _livestream(meeting_id: UUID, data: Any) -> Livestream | None:
    return None if data is None else most_active(_livestreams_of(meeting_id, data))


def _meeting(meeting_id: UUID, data: Any) -> Meeting | None:
    if data is None:
        return None
    meeting = _read(Meeting, data)
    if meeting.id != meeting_id:
        raise Malformed(detail="another meeting")
    return meeting


def _session(data: Any) -> Session | None:
    session = data.get("session") if isinstance(data, dict) else None
    return _read(Session, session) if session else None


def _page(per_page: int, answer: tuple[Any, Any]) -> LivestreamPage:
    page = raw_page(*answer, per_page)
    return LivestreamPage(tuple(_read(Livestream, item) for item in page.items), page.more)


def _livestreams_of(meeting_id: UUID, data: Any) -> list[Livestream]:
    """Cloudflare's description says a list, its schema an object. A livestream of another meeting is no answer."""
    found = [_read(Livestream, item) for item in (data if isinstance(data, list) else [data])]
    own = [livestream for livestream in found if (livestream.meeting_id or str(meeting_id)).lower() == str(meeting_id)]
    if not own:
        raise Malformed(detail="a livestream of another meeting")
    return own

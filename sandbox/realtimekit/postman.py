"""Delivery of signed events to webhooks over HTTP, with RealtimeKit's retries."""

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from sandbox.clock import Clock

RETRY_WAITS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds of sandbox time before each retry. Dyte documented five retries; the intervals are invented."""
WAITING_MAX = 5_000
_AT_ONCE = 16
_KEPT = 500

AddressOf = Callable[[str], str | None]
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Parcel:
    """A request to a webhook. `headers` is called for each attempt. The repr shows no secret.

    Only `genuine` parcels can be repeated later as the last delivery.
    """

    webhook_id: str
    event: str
    meeting_id: str
    body: bytes = field(repr=False)
    headers: Callable[[], Headers] = field(repr=False)
    genuine: bool = True


@dataclass(frozen=True)
class Delivery:
    """The outcome of a delivery.

    `status` is the last HTTP status (None without an answer), `attempts` their number (0: never tried), and `at` the
    end in epoch seconds of sandbox time.
    """

    webhook_id: str
    event: str
    meeting_id: str
    status: int | None
    attempts: int
    at: float

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted it."""
        return self.status is not None and 200 <= self.status < 300


class Postman:
    """Delivers parcels inside `delivering()`, in no guaranteed order. Those posted outside wait for it.

    `seconds` is the deadline of an attempt, in real time, because it tests the receiver's speed.
    """

    def __init__(self, clock: Clock, address_of: AddressOf) -> None:
        self.seconds = 3.0
        self.deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self.on_delivery: list[Callable[[Delivery], None]] = []
        self.last: Parcel | None = None
        self._clock = clock
        self._address_of = address_of
        self._released = asyncio.Event()
        self._released.set()
        self._lanes = asyncio.Semaphore(_AT_ONCE)
        self._backlog: deque[Parcel] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def held(self) -> bool:
        """Whether all deliveries, including retries, are held back."""
        return not self._released.is_set()

    @held.setter
    def held(self, held: bool) -> None:
        if held:
            self._released.clear()
        else:
            self._released.set()

    @property
    def waiting(self) -> int:
        """The number of unfinished parcels: not tried yet, in flight, or waiting for a retry."""
        return len(self._backlog) + len(self._tasks)

    def post(self, parcel: Parcel) -> None:
        """Accept a parcel. If too many are waiting, it counts as finished at once, without an attempt."""
        if self.waiting >= WAITING_MAX:
            self._note(parcel, None, 0)
        elif self._session is None:
            self._backlog.append(parcel)
        else:
            self._send_off(parcel, self._session)

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver until the block ends; give up deliveries still in flight then."""
        async with aiohttp.ClientSession() as session:
            self._session = session
            try:
                while self._backlog:
                    self._send_off(self._backlog.popleft(), session)
                yield
            finally:
                self._session = None
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until no delivery is in flight or waiting for a retry."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _send_off(self, parcel: Parcel, session: aiohttp.ClientSession) -> None:
        task = asyncio.create_task(self._deliver(parcel, session), name="delivering to a webhook")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, parcel: Parcel, session: aiohttp.ClientSession) -> None:
        """Deliver a parcel, retrying after a 5xx or a network error, until the webhook is removed or disabled."""
        status, attempts = None, 0
        for wait in (0.0, *RETRY_WAITS):
            await self._clock.sleep(wait)
            async with self._lanes:
                await self._released.wait()
                if (url := self._address_of(parcel.webhook_id)) is None:
                    break
                status, attempts = await self._attempt(parcel, url, session), attempts + 1
            if status is not None and status < 500:
                break
        # Before notifying the listeners, which may read `waiting`.
        self._tasks.discard(asyncio.current_task())
        self._note(parcel, status, attempts)

    async def _attempt(self, parcel: Parcel, url: str, session: aiohttp.ClientSession) -> int | None:
        headers = parcel.headers()
        if parcel.genuine:
            self.last = dataclasses.replace(parcel, headers=lambda: headers)
        try:
            async with (
                asyncio.timeout(self.seconds),
                session.post(url, data=parcel.body, headers=headers, allow_redirects=False) as answer,
            ):
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _note(self, parcel: Parcel, status: int | None, attempts: int) -> None:
        delivery = Delivery(parcel.webhook_id, parcel.event, parcel.meeting_id, status, attempts, at=self._clock.now())
        self.deliveries.append(delivery)
        for listener in self.on_delivery:
            listener(delivery)

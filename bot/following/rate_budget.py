"""Shares of Cloudflare's rate limit: who may send how many requests.

Cloudflare accepts 1,200 requests in five minutes from one token (or more, if it has raised the limit: then all shares
below grow with it), and then none for five minutes. All replicas share the token, and how many requests each sends
depends on which replica people happen to reach, so the count is kept in the database. A fixed share for each would have
to allow for the largest number of replicas, and would usually leave most of the limit unused.

A replica counts its own requests at once, and shares the count within a second, or as soon as it has sent an eighth of
what is left of any share, but at least twenty. So far from the limits there is one write a second, however many
requests there are. What eight replicas have not shared yet is never more than what is left, so together they exceed a
share only by the last twenty of each, and by what they send while a write is under way. If three replicas begin all
their checks at once, that is far less than the two hundred requests that are kept for people.

People and the bot's own work each have a floor, so that neither starves the other: the bot always leaves 200 requests
to people, and people leave 400 to the bot, of which checks leave half to reading the list. A quarter of what checks may
use is for news: meetings that are about to change, according to a list, a webhook or a lookup. Checks that people
request count as people's, so that a crowd that refreshes cards cannot use up the checks that find changes.
"""

import asyncio

from bot.clock import Clock, wait
from bot.errors import LookupsLimited
from bot.realtimekit.rate_limit import RateLimitState
from bot.store.request_windows import RequestWindow, Used
from bot.worker import supervise

CLOUDFLARE_LIMIT = 1_200
BOT_LIMIT = 1_000
SWEEP_SHARE = 200
"""Requests that checks leave to the list, which covers all meetings at once."""
PEOPLE_LIMIT = 700
"""For people's lookups in one window."""
REFRESH_LIMIT = 500
"""Above this number of people's requests in the window, checks that people requested wait; the rest is for lookups."""
BOT_FLOOR = 400
"""Requests that the bot's own work has in each window, however many people use."""
_RESERVE = 20
"""Kept back from the limit for requests that other replicas have not shared yet."""
_PEOPLE_RETRY_SECONDS = 30.0
"""The length of one slot of the window, after which more requests are allowed."""
ROUTINE_LIMIT = 450
"""Above this number of requests in the window, meetings that a list confirms are not checked."""
_ROUTINE_DIVISOR = 6
_NEWS_SHARE = 0.25
"""The fraction of the requests for checks that only news may use."""
MIN_BATCH_SIZE = 20
"""Requests that a replica may send before it shares their number, however few are left."""
_BATCH_DIVISOR = 8
_FLUSH_SECONDS = 1.0
_REFRESH_SECONDS = 5.0


class RateBudget:
    """This replica's view of the shared rate limit. `run` keeps it up to date."""

    def __init__(
        self,
        window: RequestWindow,
        rate_limit: RateLimitState,
        clock: Clock,
        limit: int = BOT_LIMIT,
        accepted: int = CLOUDFLARE_LIMIT,
    ) -> None:
        """Create the view. `rate_limit` is what Cloudflare itself reports to this replica.

        `accepted` is how many requests Cloudflare accepts in a window: all shares, and the bot's `limit`, grow with it.
        """
        scale = accepted / CLOUDFLARE_LIMIT
        self._window = window
        self._rate_limit = rate_limit
        self._clock = clock
        self._accepted = accepted
        self._limit = limit * scale
        self._sweep_share = SWEEP_SHARE * scale
        self._check_limit = self._limit - self._sweep_share
        self._bot_floor = min(BOT_FLOOR, limit) * scale
        self._people_limit = PEOPLE_LIMIT * scale
        self._refresh_limit = REFRESH_LIMIT * scale
        self._routine_limit = ROUTINE_LIMIT * scale
        self._shared = Used()
        self._unflushed = 0
        self._unflushed_people = 0
        self._has_requests = asyncio.Event()
        self._is_batch_full = asyncio.Event()

    def spend_for_people(self) -> None:
        """Count a request that is about to be sent for a person. Raises LookupsLimited if their share is used up."""
        if not self._is_left_for_people(self._people_limit):
            raise LookupsLimited(_PEOPLE_RETRY_SECONDS, detail="people have used up their share of the rate limit")
        self.record_for_people()

    def record_for_people(self) -> None:
        """Count a request that is about to be sent for a check that a person requested."""
        self._unflushed_people += 1
        self.record_request()

    def record_request(self) -> None:
        """Count a request that is about to be sent."""
        self._unflushed += 1
        self._has_requests.set()
        if self._is_sharing_due:
            self._is_batch_full.set()

    def retry_after(self) -> float:
        """Return the seconds until Cloudflare accepts requests again; 0 if it accepts them now."""
        return self._rate_limit.retry_after()

    def can_check(self, *, news: bool = False) -> bool:
        """Return whether a meeting may be checked; not while a batch of requests waits to be shared."""
        return not self._is_sharing_due and self._left_for_checks(0.0 if news else _NEWS_SHARE) > 0

    def can_refresh(self) -> bool:
        """Return whether a meeting may be checked because a person requested that."""
        return not self._is_sharing_due and self._is_left_for_people(self._refresh_limit)

    def spare(self) -> float:
        """Return how many requests routine checks may use after each reading of the list.

        It is a sixth of what is left below ROUTINE_LIMIT. So routine checks are spread over the window, and stop when
        there are many changes to check.
        """
        return max(0.0, self._routine_limit - self._used) / _ROUTINE_DIVISOR

    def can_list(self) -> bool:
        """Return whether the list may be requested."""
        return self._used < self._limit or self._used_by_bot < self._bot_floor

    def delay(self, *, news: bool = False) -> float:
        """Return the seconds to leave between two checks: 0 until half the share is used, then half a second and more.

        For news it is 0 until only the share for news is left. So requests remain for new changes, and a poller with
        many overdue meetings does not use up the limit at once and then stop for five minutes.
        """
        enough, left = self._check_limit * (_NEWS_SHARE if news else 0.5), self._left_for_checks()
        return 0.0 if left > enough else enough / max(left, 1) / 2

    @property
    def remaining(self) -> int:
        """Requests that Cloudflare still accepts in this window."""
        return max(0, self._accepted - self._used)

    async def run(self) -> None:
        """Share this replica's count and read the others', until cancelled."""
        await supervise("rate_budget", self._flush, self._clock, self._has_requests)

    async def _flush(self) -> float:
        if self._unflushed:
            await wait(self._is_batch_full, _FLUSH_SECONDS, self._clock)
        count, people = self._unflushed, self._unflushed_people
        # If this fails, the requests stay counted here.
        self._shared = await (self._window.add(count, people) if count else self._window.count())
        self._unflushed -= count
        self._unflushed_people -= people
        return _REFRESH_SECONDS

    @property
    def _is_sharing_due(self) -> bool:
        left = min(self.remaining, self._people_limit - self._people, self._left_for_checks())
        return self._unflushed >= max(MIN_BATCH_SIZE, left / _BATCH_DIVISOR)

    @property
    def _used(self) -> int:
        return self._shared.all + self._unflushed

    @property
    def _people(self) -> int:
        return self._shared.people + self._unflushed_people

    @property
    def _used_by_bot(self) -> int:
        return self._used - self._people

    def _is_left_for_people(self, limit: float) -> bool:
        return self._people < limit and self._used < self._accepted - _RESERVE

    def _left_for_checks(self, reserved: float = 0.0) -> float:
        """Return the requests left for checks; `reserved` is the fraction of the share to keep back."""
        whole, floor = self._check_limit * (1 - reserved), (self._bot_floor - self._sweep_share) * (1 - reserved)
        return max(whole - self._used, floor - self._used_by_bot)

"""How much of Cloudflare's rate limit is left, and for whom.

Cloudflare takes 1,200 requests in five minutes from one token, and then none at all for five minutes. The token is
shared by all replicas, and what each of them asks depends on which replica people happen to reach, so the count is kept
in the database: a fixed share each would have to be cut for the day on which there are most replicas, and would leave
most of the budget unused on all others.

A request is counted where it is made and told to the others within a second, or after twenty of them. So a replica that
looks at the count knows all but the last twenty of each other one: with three replicas that begin all their looks at
once the tracker exceeds its share by less than the two hundred that are kept for people.

People and the bot's own work each have a floor, so that neither starves the other: the bot leaves 200 to people
whatever it has to do, and a crowd leaves 400 to the bot, of which checks leave half to reading the list. Of what there
is for checks, a quarter is for news: meetings that are about to change, as far as a list, a webhook or a person says.
"""

import asyncio

import structlog

from bot.clock import Clock, wait
from bot.errors import LookupsLimited, StoreUnreachable
from bot.store.budget import Budget, Used

CLOUDFLARE_LIMIT = 1_200
TRACKER_LIMIT = 1_000
SWEEP_SHARE = 200
"""What looks leave to the list, which tells of all meetings at once."""
PEOPLE_LIMIT = 700
"""For people's lookups in one window."""
BOT_FLOOR = 400
"""Requests that the bot's own work has in each window, whatever people spend."""
_RESERVE = 20
"""Left of the whole for what other replicas have not counted yet."""
_PEOPLE_WAIT_SECONDS = 30.0
"""How soon a part of the window is over."""
ROUTINE_LIMIT = 450
"""Requests in the window from which on what a list confirms is not checked."""
_ROUTINE_PARTS = 6
_NEWS_SHARE = 0.25
"""Of what there is for checks: only for news."""
FLUSH_AT = 20
_FLUSH_SECONDS = 1.0
_REFRESH_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Allowance:
    """What this replica knows of the budget. `run` keeps it true."""

    def __init__(self, budget: Budget, clock: Clock, limit: int = TRACKER_LIMIT) -> None:
        self._budget = budget
        self._clock = clock
        self._limit = limit
        self._looks = limit - SWEEP_SHARE
        self._floor = min(BOT_FLOOR, limit)
        self._shared = Used()
        self._unflushed = 0
        self._unflushed_people = 0
        self._begun = asyncio.Event()
        self._full = asyncio.Event()

    def spend_for_people(self) -> None:
        """Count a request that is about to be made for a person. Raises LookupsLimited, and then counts nothing."""
        if self._people >= PEOPLE_LIMIT or self._used >= CLOUDFLARE_LIMIT - _RESERVE:
            raise LookupsLimited(_PEOPLE_WAIT_SECONDS, detail="people have used up their share of the rate limit")
        self._unflushed_people += 1
        self.spent()

    def spent(self) -> None:
        """Count a request that is about to be made."""
        self._unflushed += 1
        self._begun.set()
        if self._unflushed >= FLUSH_AT:
            self._full.set()

    def room(self, *, news: bool = False) -> bool:
        """Return whether a meeting may be checked, as far as what was spent here is known to the others."""
        return self._unflushed < FLUSH_AT and self._left_for_checks(0.0 if news else _NEWS_SHARE) > 0

    def spare(self) -> float:
        """Return how many requests may go into checks that nothing has asked for, each time a list was read.

        A part of what is left of half the window and a little more: so they are spread over it, and stop when there are
        many changes to check.
        """
        return max(0.0, ROUTINE_LIMIT - self._used) / _ROUTINE_PARTS

    def room_to_sweep(self) -> bool:
        """Whether the list may be asked for."""
        return self._used < self._limit or self._used_by_bot < self._floor

    def pause(self, *, news: bool = False) -> float:
        """Return how many seconds to leave between two checks: none, until half is spent; then half a second and more.

        For news it is none until only the share of news is left. So there is always something left for what has just
        changed, and who is late with many meetings does not ask everything at once and then nothing for five minutes.
        """
        enough, left = self._looks * (_NEWS_SHARE if news else 0.5), self._left_for_checks()
        return 0.0 if left > enough else enough / max(left, 1) / 2

    @property
    def left(self) -> int:
        """Requests that Cloudflare still takes."""
        return max(0, CLOUDFLARE_LIMIT - self._used)

    async def run(self) -> None:
        """Tell the others what was spent here, and learn what they have spent, until cancelled."""
        while True:
            await self._flush()
            await wait(self._begun, _REFRESH_SECONDS, self._clock)
            if self._unflushed:
                await wait(self._full, _FLUSH_SECONDS, self._clock)

    async def _flush(self) -> None:
        count, people = self._unflushed, self._unflushed_people
        try:
            self._shared = await (self._budget.spend(count, people) if count else self._budget.used())
        except StoreUnreachable as error:
            # What could not be told stays counted here.
            log.warning("budget_not_shared", why=error.detail)
            return
        except Exception:
            # Without this nobody would look at anything any more.
            log.exception("budget_broke")
            return
        self._unflushed -= count
        self._unflushed_people -= people

    @property
    def _used(self) -> int:
        return self._shared.all + self._unflushed

    @property
    def _people(self) -> int:
        return self._shared.people + self._unflushed_people

    @property
    def _used_by_bot(self) -> int:
        return self._used - self._people

    def _left_for_checks(self, kept: float = 0.0) -> float:
        """Return what is left if that part of it all is kept."""
        whole, floor = self._looks * (1 - kept), (self._floor - SWEEP_SHARE) * (1 - kept)
        return max(whole - self._used, floor - self._used_by_bot)

"""Where the bot learns about livestreams: clients for one RealtimeKit app, which count checks and lookups apart."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from bot.clock import Clock, WallClock, utc
from bot.following.livestream_list import LivestreamLister
from bot.following.rate_budget import RateBudget
from bot.metrics import Metrics
from bot.realtimekit.client import OnCall, RealtimeKitClient, open_http
from bot.realtimekit.lookup import ConcurrencyLimit, Lookup, RecentLookups, look_up
from bot.realtimekit.rate_limit import RateLimitState
from bot.settings import CloudflareSettings
from bot.store.request_windows import RequestWindow

LookUp = Callable[[UUID], Awaitable[Lookup]]


@dataclass(frozen=True, slots=True)
class LivestreamSources:
    """The ways to request the state of livestreams. Each raises RealtimeKitError."""

    check: LookUp
    """For a check of a followed meeting, which counts as the bot's own."""
    check_for_person: LookUp
    """For a check that a person requested: it counts as people's, and is never refused."""
    look_up_for_people: LookUp
    """For lookups: counted as people's, limited and cached."""
    lister: LivestreamLister


def open_realtimekit(
    settings: CloudflareSettings,
    on_call: OnCall = lambda *_: None,
    rate_limit: RateLimitState | None = None,
    clock: Clock | None = None,
    spend: Callable[[], None] = lambda: None,
) -> RealtimeKitClient:
    """Open a client for the RealtimeKit app in the settings. The caller closes it."""
    token = settings.cloudflare_api_token.get_secret_value()
    http = open_http(settings.cloudflare_base_url, token, settings.proxy, settings.tls)
    wall = clock or WallClock()
    return RealtimeKitClient(
        http,
        account_id=settings.cloudflare_account_id,
        app_id=settings.realtimekit_app_id,
        on_call=on_call,
        rate_limit=rate_limit,
        timer=clock.now if clock else time.monotonic,
        spend=spend,
        now=lambda: utc(wall),
    )


async def look_up_once(settings: CloudflareSettings, meeting_id: UUID) -> Lookup:
    """Look up a meeting once, with a client of its own. Raises the same errors as `look_up`."""
    kit = open_realtimekit(settings)
    try:
        return await look_up(kit, meeting_id, lambda: utc(WallClock()))
    finally:
        await kit.close()


@contextlib.asynccontextmanager
async def open_sources(
    settings: CloudflareSettings,
    metrics: Metrics,
    window: RequestWindow,
    clock: Clock | None,
    on_answer: Callable[[UUID, Lookup | None], None],
) -> AsyncIterator[tuple[LivestreamSources, RateBudget]]:
    """Open the sources until the block ends, with the rate limit that they share.

    `clock` replaces this machine's. `on_answer` is called with each new answer to a person's lookup.
    """
    wall, timer = clock or WallClock(), clock.now if clock else time.monotonic
    rate_limit = RateLimitState(timer)
    rate_budget = RateBudget(window, rate_limit, wall, accepted=settings.cloudflare_rate_limit)
    # Clients of their own, so that no check waits for a connection, or shares a request, with a crowd of people.
    kit, people = (
        open_realtimekit(settings, metrics.cloudflare_call, rate_limit, clock, spend)
        for spend in (rate_budget.record_request, rate_budget.spend_for_people)
    )
    limit = ConcurrencyLimit()

    def using(client: RealtimeKitClient) -> LookUp:
        return lambda meeting_id: look_up(client, meeting_id, lambda: utc(wall))

    async def look_up_limited(meeting_id: UUID) -> Lookup:
        async with limit:
            return await using(people)(meeting_id)

    recent = RecentLookups(look_up_limited, timer, on_answer)
    requested = kit.counting(rate_budget.record_for_people)
    try:
        yield LivestreamSources(using(kit), using(requested), recent.look_up, kit), rate_budget
    finally:
        await recent.close()
        await people.close()
        await kit.close()

"""Many followed meetings, watched by the list of all livestreams.

Which meetings a list makes due is tested in test_livestream_list.py; here a sweeper and a poller run together.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from pytest_mock import MockerFixture

from bot.clock import utc
from bot.domain.episode import Episode
from bot.errors import DatabaseUnavailable, InvalidResponse, MeetingNotFound, RealtimeKitError
from bot.following.livestream_list import PAGE_SIZE
from bot.following.rate_budget import BOT_LIMIT, REFRESH_LIMIT, SWEEP_SHARE
from bot.following.schedule import ListFreshness
from bot.following.sweeper import IDLE_CHECK_SECONDS, IDLE_CHECKS, Sweeper
from bot.realtimekit.models import Livestream
from bot.realtimekit.responses import LivestreamPage
from bot.store.schema import meetings
from tests.following.poller_harness import PLAYBACK, Cloudflare, PollerHarness, running_poller

MANY = 5
IDS = [UUID(int=number) for number in range(1, 21)]
ONE = IDS[0]
OTHER_URL = "https://customer-s4ndb0x.cloudflarestream.com/fedcba9876543210fedcba9876543210/manifest/video.m3u8"


@dataclass
class Lists:
    """Lists of the livestreams that the scripted Cloudflare has."""

    cloudflare: Cloudflare
    error: RealtimeKitError | None = None
    has_meetings: bool = True
    is_always_newer: bool = False
    """Whether each list differs from every lookup, and from the previous list."""
    pages: int = 0
    listings: int = 0
    only_listed: dict[UUID, str] = field(default_factory=dict)
    """Statuses that lookups do not show."""

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
        self.pages += 1
        self.listings += status == "LIVE" and page_no == 1
        if self.error is not None:
            raise self.error
        statuses = {
            meeting_id: answer[0] for meeting_id, answer in self.cloudflare.says.items() if isinstance(answer, tuple)
        }
        listed = [meeting_id for meeting_id, word in (statuses | self.only_listed).items() if word == status]
        page = listed[(page_no - 1) * per_page : page_no * per_page]
        return LivestreamPage(tuple(self._livestream(each, status) for each in page), page_no * per_page < len(listed))

    def _livestream(self, meeting_id: UUID, status: str) -> Livestream:
        fields = {"meeting_id": str(meeting_id)} if self.has_meetings else {}
        if self.is_always_newer:
            fields |= {"playback_url": "", "updated_at": utc(self.cloudflare.clock).isoformat()}
        return self.cloudflare.livestream(meeting_id, status, **fields)


@dataclass
class SweeperHarness:
    """A poller and a sweeper that run, and the number of their requests."""

    harness: PollerHarness
    lists: Lists

    def new_sweeper(self, worker_id: str = "sweeper", list_freshness: ListFreshness | None = None) -> Sweeper:
        harness = self.harness
        return Sweeper(
            harness.store.meeting_sweeps,
            harness.store.singleton_jobs,
            self.lists,
            harness.rate_budget,
            list_freshness or harness.list_freshness,
            replace(harness.context("poller"), worker_id=worker_id),
        )

    async def follow(self, number: int = MANY) -> None:
        for meeting_id in IDS[:number]:
            await self.harness.follow(meeting_id)
        await self.harness.settle()

    async def run_for(self, seconds: float, step: float = 15) -> None:
        await self.harness.run_for(seconds, step)

    async def let_an_hour_pass_since_the_checks(self) -> None:
        """Make the last check of each meeting an hour older, and let nothing else pass."""
        async with self.harness.store._db.transaction() as connection:
            await connection.execute(sa.update(meetings).values(checked_at=meetings.c.checked_at - IDLE_CHECK_SECONDS))

    def count_checks(self) -> int:
        """Return the number of checks since the last call."""
        number = sum(self.harness.cloudflare.asked.values())
        self.harness.cloudflare.asked.clear()
        return number

    def set_status(self, status: str | None, *meeting_ids: UUID, began: float | None = None) -> None:
        for meeting_id in meeting_ids or [ONE]:
            self.harness.set_status(status, began, meeting_id)

    async def announced(self) -> list[tuple[int, str]]:
        return await self.harness.announced()

    async def desired(self, meeting_id: UUID = ONE) -> Episode:
        """Return the state that the meeting's card should show."""
        known = await self.harness.store.meeting_sweeps.known([meeting_id])
        return Episode.from_dict(known[meeting_id].episode)


@pytest.fixture
async def swept(tmp_path: Path) -> AsyncIterator[SweeperHarness]:
    async with running_poller(tmp_path) as harness:
        swept = SweeperHarness(harness, Lists(harness.cloudflare))
        running = asyncio.create_task(swept.new_sweeper().run())
        harness.loops += 1
        try:
            await harness.settle()
            yield swept
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_no_list_is_read_while_nothing_is_followed(swept: SweeperHarness) -> None:
    await swept.run_for(120)

    assert swept.lists.pages == 0


async def test_start_after_hours_of_waiting_is_seen_as_soon_as_any(swept: SweeperHarness) -> None:
    await swept.follow(1)
    await swept.run_for(4 * 3600, step=600)
    swept.set_status("LIVE", began=4 * 3600)
    await swept.run_for(15)

    assert await swept.announced() == [(1, "live")]


async def test_waiting_meetings_cost_three_pages_per_list_and_an_hourly_check(swept: SweeperHarness) -> None:
    await swept.follow()
    await swept.run_for(60)
    swept.count_checks()
    swept.lists.pages = 0
    await swept.run_for(300)

    assert swept.count_checks() == 0
    assert 3 * 18 <= swept.lists.pages <= 3 * 20
    assert swept.harness.count("meeting_checks_total", outcome="listed") > 0


async def test_new_title_or_deletion_of_a_waiting_meeting_is_shown_within_the_hour(swept: SweeperHarness) -> None:
    """Nothing reports them. After each list, the few meetings that were not checked for longest are checked."""
    followed = 2 * IDLE_CHECKS + 2
    await swept.follow(followed)
    await swept.run_for(60)
    cloudflare = swept.harness.cloudflare
    cloudflare.titles[ONE] = "New title"
    cloudflare.says[IDS[1]] = MeetingNotFound()
    await swept.run_for(30)
    swept.count_checks()
    await swept.let_an_hour_pass_since_the_checks()

    for checked in (IDLE_CHECKS, 2 * IDLE_CHECKS, followed, followed):
        await swept.run_for(15)
        assert sum(cloudflare.asked.values()) == checked
    assert set(cloudflare.asked.values()) == {1}
    assert (await swept.desired()).name == "New title"
    assert (await swept.desired(IDS[1])).is_missing


async def test_waiting_meetings_are_checked_only_while_half_of_the_requests_are_left(swept: SweeperHarness) -> None:
    await swept.follow(1)
    await swept.run_for(30)
    swept.count_checks()
    await swept.let_an_hour_pass_since_the_checks()
    for _ in range((BOT_LIMIT - SWEEP_SHARE) // 2):
        swept.harness.rate_budget.record_request()
    await swept.run_for(60)
    assert swept.count_checks() == 0

    await swept.run_for(300, step=60)

    assert swept.count_checks() == 1


async def test_changes_that_the_list_shows_are_announced_from_start_to_end(swept: SweeperHarness) -> None:
    await swept.follow()
    await swept.run_for(60)
    swept.count_checks()
    swept.set_status("INVOKED")
    await swept.run_for(30)
    assert await swept.announced() == [(1, "starting")]
    swept.set_status("LIVE", began=90)
    await swept.run_for(30)
    assert await swept.announced() == [(1, "starting"), (1, "live")]
    await swept.run_for(300)
    swept.set_status("ERRORED")
    await swept.run_for(45, step=5)
    swept.set_status("LIVE", began=90)
    await swept.run_for(90, step=5)
    swept.set_status(None)
    await swept.run_for(120, step=5)

    assert await swept.announced() == [(1, kind) for kind in ("starting", "live", "errored", "back", "ended")]
    assert swept.count_checks() < 20


async def test_session_costs_a_check_per_change_and_one_to_confirm_the_end(swept: SweeperHarness) -> None:
    await swept.follow()
    await swept.run_for(60)
    swept.count_checks()
    swept.set_status("INVOKED")
    await swept.run_for(60, step=5)
    swept.set_status("LIVE", began=120)
    await swept.run_for(60, step=5)
    assert swept.count_checks() == 2
    swept.set_status(None)
    await swept.run_for(30, step=5)
    swept.set_status("LIVE", began=120)
    await swept.run_for(60, step=5)
    assert swept.count_checks() == 2
    swept.set_status(None)
    await swept.run_for(90, step=5)

    assert swept.count_checks() == 2
    assert await swept.announced() == [(1, "starting"), (1, "live"), (1, "ended")]


async def test_confirmed_live_meetings_are_checked_once_a_minute(swept: SweeperHarness) -> None:
    """A check finds the title, which lists lack."""
    await swept.follow()
    swept.set_status("LIVE", *IDS[:MANY], began=0)
    await swept.run_for(60)
    swept.count_checks()
    await swept.run_for(300)

    assert 4 * MANY <= swept.count_checks() <= 7 * MANY
    assert await swept.announced() == [(1, "live")] * MANY


async def confirm_for_minutes(swept: SweeperHarness, status: str = "LIVE", followed: int = 2) -> None:
    await swept.follow(followed)
    swept.set_status(status, began=0)
    await swept.run_for(180)


@pytest.mark.parametrize(
    ("field", "value"),
    [("playback_url", OTHER_URL), ("name", "second-part"), ("updated_at", "2027-01-15T08:30:00Z")],
)
async def test_change_without_another_status_is_checked_within_half_a_minute(
    swept: SweeperHarness, field: str, value: str
) -> None:
    await confirm_for_minutes(swept)
    swept.count_checks()
    swept.harness.cloudflare.details[ONE] = {field: value}
    await swept.run_for(30)

    assert swept.harness.cloudflare.asked[ONE] >= 1
    assert (await swept.desired()).playback_url == (OTHER_URL if field == "playback_url" else PLAYBACK)


async def test_changed_title_is_shown_within_a_minute(swept: SweeperHarness) -> None:
    await confirm_for_minutes(swept)
    swept.harness.cloudflare.titles[ONE] = "All hands, part two"
    await swept.run_for(60)

    assert (await swept.desired()).name == "All hands, part two"


async def test_late_reason_of_an_error_is_shown_within_a_minute(swept: SweeperHarness) -> None:
    await confirm_for_minutes(swept, "ERRORED")
    swept.harness.cloudflare.reasons[ONE] = "The encoder sends no video"
    await swept.run_for(60)

    assert (await swept.desired()).error_reason == "The encoder sends no video"


async def test_list_that_always_differs_has_each_meeting_checked_every_half_minute(swept: SweeperHarness) -> None:
    await swept.follow()
    swept.set_status("LIVE", *IDS[:MANY], began=0)
    swept.lists.is_always_newer = True
    await swept.run_for(120)
    swept.count_checks()
    await swept.run_for(300)

    assert swept.count_checks() <= 10 * MANY
    assert await swept.announced() == [(1, "live")] * MANY


@pytest.mark.parametrize(("left", "checks"), [(0, 0), (1, 1), (36, 2)])
async def test_routine_checks_use_only_spare_requests_but_changes_do_not_wait(
    swept: SweeperHarness, mocker: MockerFixture, left: int, checks: int
) -> None:
    await confirm_for_minutes(swept, followed=MANY)
    mocker.patch.object(swept.harness.rate_budget, "spare", return_value=left / 6)
    make_due = mocker.patch.object(swept.harness.store.meeting_sweeps, "make_due", return_value=0)
    swept.set_status("LIVE", *IDS[:MANY], began=0)
    await swept.run_for(60)
    swept.harness.cloudflare.details[ONE] = {"name": "second-part"}
    await swept.run_for(45)

    assert max(len(call.args[0]) for call in make_due.call_args_list) == checks
    assert (await swept.desired()).livestream == swept.harness.cloudflare.livestream(ONE, "LIVE").fingerprint


async def live_until_a_gap(swept: SweeperHarness, *meeting_ids: UUID) -> None:
    """Go live in a known session; then no list is read for a minute and a half."""
    await swept.follow()
    swept.set_status("LIVE", *meeting_ids, began=0)
    await swept.run_for(60)
    swept.harness.rate_limit.seconds = 90
    confirmed = await swept.harness.store.meeting_sweeps.confirm(meeting_ids, "live", failures=3, next_check_in=900)
    assert confirmed == len(meeting_ids)
    await swept.harness.idle_for(90, step=15)


async def test_start_does_not_wait_for_meetings_that_a_gap_leaves_unsure(swept: SweeperHarness) -> None:
    """The little that is left of the rate limit is for news."""
    await live_until_a_gap(swept, *IDS[1:MANY])
    await swept.harness.store.request_windows.add(601)
    await swept.harness.idle_for(5)
    swept.count_checks()
    swept.set_status("LIVE", began=150)
    swept.harness.rate_limit.seconds = 0
    await swept.harness.idle_for(30)

    assert swept.harness.cloudflare.asked == {ONE: 1}
    assert (await swept.desired()).phase == "live"


async def test_cards_that_people_keep_refreshing_hide_no_change(swept: SweeperHarness) -> None:
    """Three such cards use people's share of the rate limit; what a list contradicts is checked as soon as ever."""
    await swept.follow()
    await swept.run_for(60)
    harness = swept.harness
    harness.requests_per_check = 3
    refreshed, other = IDS[:3], IDS[3]
    swept.set_status("LIVE", *refreshed, began=60)
    await harness.idle_for(30)
    for seconds in range(0, 150, 2):
        harness.clock.advance(2)
        await harness.refresh(*refreshed)
        await harness.until_asleep()
        if seconds == 130:
            swept.set_status("LIVE", other, began=220)

    assert (await swept.desired(other)).phase == "live"
    used = await harness.store.request_windows.count()
    assert REFRESH_LIMIT <= used.people <= REFRESH_LIMIT + 20
    assert used.all - used.people < 150
    assert harness.rate_budget.can_check()


async def test_live_meeting_is_checked_after_a_gap_between_lists(swept: SweeperHarness) -> None:
    """It may be in another session."""
    await live_until_a_gap(swept, ONE)
    swept.set_status("LIVE", began=140)
    swept.harness.rate_limit.seconds = 0
    await swept.run_for(30)

    assert await swept.announced() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_list_does_not_confirm_an_unknown_session_after_a_gap(swept: SweeperHarness) -> None:
    await live_until_a_gap(swept, ONE)
    swept.set_status("LIVE")
    swept.harness.rate_limit.seconds = 0
    await swept.run_for(60)
    assert await swept.announced() == [(1, "live")]
    swept.set_status("LIVE", began=140)
    await swept.run_for(60)

    assert await swept.announced() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_live_meeting_is_checked_every_quarter_minute_without_lists(swept: SweeperHarness) -> None:
    await swept.follow()
    await swept.run_for(60)
    swept.set_status("LIVE", began=60)
    await swept.run_for(60)
    swept.lists.error = InvalidResponse()
    await swept.run_for(60)
    swept.count_checks()
    await swept.run_for(60)

    assert swept.harness.cloudflare.asked[ONE] == 4


async def test_replica_that_reads_no_list_knows_whether_lists_are_fresh(swept: SweeperHarness) -> None:
    list_freshness = ListFreshness()
    other = swept.new_sweeper("other", list_freshness)
    await swept.follow()
    await swept.run_for(60)
    read = swept.lists.listings
    await other._run_once()
    assert list_freshness.is_fresh(swept.harness.clock.now())
    swept.lists.error = InvalidResponse()
    await swept.run_for(120)
    await other._run_once()

    assert not list_freshness.is_fresh(swept.harness.clock.now())
    assert swept.lists.listings > read


@pytest.mark.parametrize("error", [InvalidResponse(), None], ids=["malformed", "without meetings"])
async def test_useless_list_leaves_meetings_to_checks_of_their_own(
    swept: SweeperHarness, error: RealtimeKitError | None
) -> None:
    await swept.follow()
    swept.lists.error, swept.lists.has_meetings = error, False
    swept.set_status("LIVE", IDS[1])
    await swept.run_for(120)
    swept.count_checks()
    await swept.run_for(120)
    assert swept.count_checks() >= 2 * (MANY - 1)
    swept.set_status("LIVE", ONE)
    await swept.run_for(75, step=5)

    assert await swept.announced() == [(1, "live")] * 2


async def test_list_that_fails_is_requested_once_a_minute(swept: SweeperHarness) -> None:
    """So that a start after the failure is seen soon; then lists are read as often as before."""
    await swept.follow(2)
    swept.lists.error = InvalidResponse()
    await swept.run_for(900)
    assert 14 <= swept.lists.pages <= 17
    swept.lists.error = None
    swept.set_status("LIVE", began=900)
    await swept.run_for(60)
    assert await swept.announced() == [(1, "live")]
    before = swept.lists.listings
    await swept.run_for(150)

    assert 8 <= swept.lists.listings - before <= 10


async def test_livestream_listed_as_errored_after_its_end_is_checked_ever_more_rarely(swept: SweeperHarness) -> None:
    await swept.follow()
    await swept.run_for(60)
    swept.lists.only_listed[ONE] = "ERRORED"
    swept.count_checks()
    await swept.run_for(900)

    assert swept.count_checks() <= 8
    assert await swept.announced() == []


async def test_no_list_is_requested_while_the_rate_limit_is_used_up(swept: SweeperHarness) -> None:
    await swept.follow()
    await swept.run_for(30)
    swept.harness.rate_limit.seconds = 30
    before = swept.lists.pages
    await swept.harness.idle_for(60)
    assert swept.lists.pages == before
    swept.harness.rate_limit.seconds = 0
    await swept.run_for(15)

    assert swept.lists.pages > before


async def test_one_replica_reads_lists_until_it_stops(swept: SweeperHarness) -> None:
    other = asyncio.create_task(swept.new_sweeper("other").run())
    swept.harness.loops += 1
    await swept.follow()
    await swept.run_for(15)
    swept.lists.listings = 0
    await swept.run_for(150)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    swept.harness.loops -= 1
    assert 7 <= swept.lists.listings <= 10
    before = swept.lists.listings
    await swept.run_for(60, step=5)

    assert swept.lists.listings >= before + 3


@pytest.mark.parametrize(
    ("error", "event"), [(DatabaseUnavailable, "database_unavailable"), (ZeroDivisionError, "worker_failed")]
)
async def test_sweeper_goes_on_after_an_error(
    swept: SweeperHarness, mocker: MockerFixture, log: io.StringIO, error: type[Exception], event: str
) -> None:
    await swept.follow()
    mocker.patch.object(swept.harness.store.meeting_sweeps, "on_air", side_effect=error)
    await swept.run_for(60)
    mocker.stopall()
    assert event in {json.loads(line)["event"] for line in log.getvalue().splitlines()}
    swept.set_status("LIVE")
    await swept.run_for(120)

    assert await swept.announced() == [(1, "live")]

"""Many followed meetings, watched by the list of all livestreams."""

import asyncio
import contextlib
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

MANY = 12
IDS = [UUID(int=number) for number in range(1, MANY + 1)]
ONE = IDS[0]


@dataclass
class Lists:
    """What Cloudflare says of each meeting, as a list."""

    cloudflare: Cloudflare
    error: RealtimeKitError | None = None
    nameless: bool = False
    differs: bool = False
    """Says something other than a lookup, and each time something new."""
    pages: int = 0
    listings: int = 0
    besides: dict[UUID, str] = field(default_factory=dict)
    """What only the list says."""

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
        self.pages += 1
        self.listings += status == "LIVE" and page_no == 1
        if self.error is not None:
            raise self.error
        said = {
            meeting_id: answer[0] for meeting_id, answer in self.cloudflare.says.items() if isinstance(answer, tuple)
        }
        there = [meeting_id for meeting_id, word in (said | self.besides).items() if word == status]
        page = there[(page_no - 1) * per_page : page_no * per_page]
        return LivestreamPage(tuple(self._livestream(each, status) for each in page), page_no * per_page < len(there))

    def _livestream(self, meeting_id: UUID, status: str) -> Livestream:
        named = {} if self.nameless else {"meeting_id": str(meeting_id)}
        other = {"playback_url": "", "updated_at": utc(self.cloudflare.clock).isoformat()} if self.differs else {}
        return self.cloudflare.livestream(meeting_id, status, **named, **other)


@dataclass
class Swept:
    """A poller and a sweeper, and what they cost."""

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

    async def passes(self, seconds: float, step: float = 5) -> None:
        await self.harness.settle()
        for _ in range(round(seconds / step)):
            self.harness.clock.advance(step)
            await self.harness.settle()

    async def let_an_hour_pass_since_the_checks(self) -> None:
        """Make the last check of each meeting an hour older, and let nothing else pass."""
        async with self.harness.store._db.transaction() as connection:
            await connection.execute(sa.update(meetings).values(checked_at=meetings.c.checked_at - IDLE_CHECK_SECONDS))

    def looks(self) -> int:
        """Since the last time."""
        number = sum(self.harness.cloudflare.asked.values())
        self.harness.cloudflare.asked.clear()
        return number

    def say(self, status: str | None, *meeting_ids: UUID, began: float | None = None) -> None:
        for meeting_id in meeting_ids or [ONE]:
            self.harness.set_status(status, began, meeting_id)

    def change(self, **fields: str) -> None:
        """Change fields of one livestream, and nothing else."""
        self.harness.cloudflare.details[ONE] = {**fields}

    async def shown(self, meeting_id: UUID = ONE) -> Episode:
        """Return what the meeting's card should show."""
        listed = await self.harness.store.meeting_sweeps.known([meeting_id])
        return Episode.from_dict(listed[meeting_id].episode)


@contextlib.asynccontextmanager
async def sweeping(path: Path) -> AsyncIterator[Swept]:
    async with running_poller(path) as harness:
        swept = Swept(harness, Lists(harness.cloudflare))
        running = asyncio.create_task(swept.new_sweeper().run())
        harness.loops += 1
        try:
            await harness.settle()
            yield swept
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def swept(tmp_path: Path) -> AsyncIterator[Swept]:
    async with sweeping(tmp_path) as swept:
        yield swept


async def test_nothing_is_followed(swept: Swept) -> None:
    """Then no list is read."""
    await swept.passes(120)

    assert swept.lists.pages == 0


async def test_one_that_has_waited_for_hours(swept: Swept) -> None:
    """Its beginning is seen as soon as any."""
    await swept.follow(1)
    await swept.passes(4 * 3600, step=600)
    swept.say("LIVE", began=4 * 3600)
    await swept.passes(15)

    assert await swept.harness.announced() == [(1, "live")]


async def test_those_that_wait_cost_three_pages_each_quarter_of_a_minute(swept: Swept) -> None:
    """However many they are. Each is checked once an hour, and not twenty in a minute."""
    await swept.follow()
    await swept.passes(60)
    swept.looks()
    swept.lists.pages = 0
    await swept.passes(600, step=15)

    assert swept.looks() == 0
    assert 3 * 38 <= swept.lists.pages <= 3 * 40
    assert swept.harness.count("meeting_checks_total", outcome="listed") > 0


async def test_new_title_or_deletion_of_a_waiting_meeting_is_shown_within_the_hour(swept: Swept) -> None:
    """Nothing reports them. After each list the five that were not checked for longest are checked."""
    await swept.follow()
    await swept.passes(60)
    cloudflare = swept.harness.cloudflare
    cloudflare.titles[ONE] = "New title"
    cloudflare.says[IDS[1]] = MeetingNotFound()
    await swept.passes(30, step=15)
    swept.looks()
    await swept.let_an_hour_pass_since_the_checks()

    for checked in (IDLE_CHECKS, 2 * IDLE_CHECKS, MANY, MANY):
        await swept.passes(15, step=15)
        assert sum(cloudflare.asked.values()) == checked
    assert set(cloudflare.asked.values()) == {1}
    assert (await swept.shown()).name == "New title"
    assert (await swept.shown(IDS[1])).is_missing


async def test_waiting_meetings_are_checked_only_while_half_of_the_requests_are_left(swept: Swept) -> None:
    await swept.follow(1)
    await swept.passes(30, step=15)
    swept.looks()
    await swept.let_an_hour_pass_since_the_checks()
    for _ in range((BOT_LIMIT - SWEEP_SHARE) // 2):
        swept.harness.rate_budget.record_request()
    await swept.passes(60, step=15)
    assert swept.looks() == 0

    await swept.passes(300, step=60)

    assert swept.looks() == 1


async def test_from_beginning_to_end(swept: Swept) -> None:
    """A change in the list is checked at once, and announced."""
    await swept.follow()
    await swept.passes(60)
    swept.looks()
    swept.say("INVOKED")
    await swept.passes(30)
    assert await swept.harness.announced() == [(1, "starting")]
    swept.say("LIVE", began=90)
    await swept.passes(30)
    assert await swept.harness.announced() == [(1, "starting"), (1, "live")]
    await swept.passes(600, step=15)
    swept.say("ERRORED")
    await swept.passes(45)
    swept.say("LIVE", began=90)
    await swept.passes(90)
    swept.say(None)
    await swept.passes(120)

    told = [(1, kind) for kind in ("starting", "live", "errored", "back", "ended")]
    assert await swept.harness.announced() == told
    assert swept.looks() < 25


async def test_live_ones_are_checked_once_a_minute(swept: Swept) -> None:
    """While the list confirms them: for the title, which no list has."""
    await swept.follow()
    swept.say("LIVE", *IDS, began=0)
    await swept.passes(60)
    swept.looks()
    await swept.passes(600, step=15)

    assert 9 * MANY <= swept.looks() <= 14 * MANY
    assert await swept.harness.announced() == [(1, "live")] * MANY


OTHER_URL = "https://customer-s4ndb0x.cloudflarestream.com/fedcba9876543210fedcba9876543210/manifest/video.m3u8"


async def on_air_for_long(swept: Swept, status: str = "LIVE", followed: int = 2) -> None:
    """Let the list confirm a livestream for ten minutes."""
    await swept.follow(followed)
    swept.say(status, began=0)
    await swept.passes(600, step=15)


@pytest.mark.parametrize("status", ["INVOKED", "LIVE", "ERRORED"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("playback_url", OTHER_URL), ("id", "l2"), ("name", "second-part"), ("updated_at", "2027-01-15T08:30:00Z")],
)
async def test_what_changes_without_its_status_is_checked_within_a_minute(
    swept: Swept, field: str, value: str, status: str
) -> None:
    await on_air_for_long(swept, status)
    swept.looks()
    swept.change(**{field: value})
    await swept.passes(30)

    assert swept.harness.cloudflare.asked[ONE] >= 1
    assert (await swept.shown()).playback_url in (OTHER_URL if field == "playback_url" else PLAYBACK, None)


async def test_a_title_that_changes_on_air_is_shown_within_a_minute(swept: Swept) -> None:
    await on_air_for_long(swept)
    swept.harness.cloudflare.titles[ONE] = "All hands, part two"
    await swept.passes(60)

    assert (await swept.shown()).name == "All hands, part two"


async def test_a_reason_that_comes_late_is_shown_within_a_minute(swept: Swept) -> None:
    await on_air_for_long(swept, "ERRORED")
    swept.harness.cloudflare.reasons[ONE] = "The encoder sends no video"
    await swept.passes(60)

    assert (await swept.shown()).error_reason == "The encoder sends no video"


async def test_a_list_that_differs_from_the_lookup_for_good_costs_little(swept: Swept) -> None:
    """A list without playback URLs, or one that is always newer, has each meeting checked every half minute at most."""
    await swept.follow()
    swept.say("LIVE", *IDS, began=0)
    swept.lists.differs = True
    await swept.passes(300, step=15)
    swept.looks()
    await swept.passes(300, step=15)

    assert swept.looks() <= 10 * MANY
    assert await swept.harness.announced() == [(1, "live")] * MANY


@pytest.mark.parametrize(("left", "checks"), [(0, 0), (1, 1), (36, 2)])
async def test_checks_that_nothing_asked_for_take_what_is_spare(
    swept: Swept, mocker: MockerFixture, left: int, checks: int
) -> None:
    """The longest unchecked go first; where nothing is spare they wait, and what has changed does not."""
    await on_air_for_long(swept, followed=MANY)
    mocker.patch.object(swept.harness.rate_budget, "spare", return_value=left / 6)
    make_due = mocker.patch.object(swept.harness.store.meeting_sweeps, "make_due", return_value=0)
    swept.say("LIVE", *IDS, began=0)
    await swept.passes(60, step=15)
    swept.change(name="second-part")
    await swept.passes(45, step=15)

    assert max(len(call.args[0]) for call in make_due.call_args_list) == checks
    assert (await swept.shown()).livestream == swept.harness.cloudflare.livestream(ONE, "LIVE").fingerprint


async def test_what_begins_does_not_wait_for_what_a_gap_leaves_unsure(swept: Swept) -> None:
    """Not where little of the rate limit is left, either: that is kept for news."""
    await swept.follow()
    swept.say("LIVE", *IDS[1:], began=0)
    await swept.passes(60)
    swept.harness.rate_limit.seconds = 90
    await swept.harness.store.meeting_sweeps.confirm(IDS[1:], "live", failures=3, next_check_in=900)
    await swept.harness.idle_for(90)
    await swept.harness.store.request_windows.add(601)
    await swept.harness.idle_for(5)
    swept.looks()
    swept.say("LIVE", began=150)
    swept.harness.rate_limit.seconds = 0
    await swept.harness.idle_for(30)

    assert swept.harness.cloudflare.asked == {ONE: 1}
    assert (await swept.shown()).phase == "live"


async def test_cards_that_people_keep_refreshing_hide_no_change(swept: Swept) -> None:
    """Three such cards use people's share of the rate limit; what a list contradicts is checked as soon as ever."""
    await swept.follow()
    await swept.passes(60)
    harness = swept.harness
    harness.requests_per_check = 3
    refreshed, other = IDS[:3], IDS[3]
    swept.say("LIVE", *refreshed, began=60)
    await harness.idle_for(30)
    for seconds in range(0, 150, 2):
        harness.clock.advance(2)
        await harness.refresh(*refreshed)
        await harness.until_asleep()
        if seconds == 130:
            swept.say("LIVE", other, began=220)

    assert (await swept.shown(other)).phase == "live"
    used = await harness.store.request_windows.count()
    assert REFRESH_LIMIT <= used.people <= REFRESH_LIMIT + 20
    assert used.all - used.people < 150
    assert harness.rate_budget.can_check()


async def test_after_a_gap(swept: Swept) -> None:
    """Where no list was read for longer than the grace period, what is live is checked: it may be another session."""
    await live_until_a_gap(swept)
    swept.say("LIVE", began=140)
    swept.harness.rate_limit.seconds = 0
    await swept.passes(30)

    assert await swept.harness.announced() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_what_a_run_costs(swept: Swept) -> None:
    """A check for each change, and one more that finds the end; a drop costs two."""
    await swept.follow()
    await swept.passes(60)
    swept.looks()
    swept.say("INVOKED")
    await swept.passes(60)
    swept.say("LIVE", began=120)
    await swept.passes(60)
    assert swept.looks() == 2
    swept.say(None)
    await swept.passes(30)
    swept.say("LIVE", began=120)
    await swept.passes(60)
    assert swept.looks() == 2
    swept.say(None)
    await swept.passes(90)

    assert swept.looks() == 2
    assert await swept.harness.announced() == [(1, "starting"), (1, "live"), (1, "ended")]


async def test_no_list_any_more(swept: Swept) -> None:
    """Then meetings on air are checked as often as without lists."""
    await swept.follow()
    await swept.passes(60)
    swept.say("LIVE", began=60)
    await swept.passes(60)
    swept.lists.error = InvalidResponse()
    await swept.passes(60)
    swept.looks()
    await swept.passes(60)

    assert swept.harness.cloudflare.asked[ONE] == 4


async def test_after_a_gap_in_an_unknown_run(swept: Swept) -> None:
    """What a list says meanwhile does not make it the known one."""
    await live_until_a_gap(swept)
    swept.say("LIVE")
    swept.harness.rate_limit.seconds = 0
    await swept.passes(60)
    assert await swept.harness.announced() == [(1, "live")]
    swept.say("LIVE", began=140)
    await swept.passes(60)

    assert await swept.harness.announced() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_what_the_other_replica_reads(swept: Swept) -> None:
    """A replica that does not read the list itself knows whether another one does."""
    list_freshness = ListFreshness()
    other = swept.new_sweeper("other", list_freshness)
    await swept.follow()
    await swept.passes(60)
    read = swept.lists.listings
    await other._run_once()
    assert list_freshness.is_fresh(swept.harness.clock.now())
    swept.lists.error = InvalidResponse()
    await swept.passes(120)
    await other._run_once()

    assert not list_freshness.is_fresh(swept.harness.clock.now())
    assert swept.lists.listings > read


@pytest.mark.parametrize("broken", ["malformed", "nameless"])
async def test_a_list_that_says_nothing(swept: Swept, broken: str) -> None:
    """Everything is checked one by one, which finds the changes."""
    await swept.follow()
    swept.lists.error = InvalidResponse() if broken == "malformed" else None
    swept.lists.nameless = True
    swept.say("LIVE", IDS[1])
    await swept.passes(120)
    swept.looks()
    await swept.passes(120)
    assert swept.looks() >= 2 * (MANY - 1)
    swept.say("LIVE", ONE)
    await swept.passes(75)

    assert await swept.harness.announced() == [(1, "live")] * 2


async def test_a_list_that_cannot_be_had(swept: Swept) -> None:
    """It is requested less often, yet once a minute at least: what begins after the failure must not wait for long."""
    await swept.follow(2)
    swept.lists.error = InvalidResponse()
    await swept.passes(900, step=15)
    assert 14 <= swept.lists.pages <= 17
    swept.lists.error = None
    swept.say("LIVE", began=900)
    await swept.passes(60, step=15)
    assert await swept.harness.announced() == [(1, "live")]
    await swept.passes(240, step=15)
    before = swept.lists.listings
    await swept.passes(300, step=15)

    assert 18 <= swept.lists.listings - before <= 20


async def test_a_list_that_contradicts(swept: Swept) -> None:
    """What stays listed as failed after its end is not checked at every sweep."""
    await swept.follow()
    await swept.passes(60)
    swept.lists.besides[ONE] = "ERRORED"
    swept.looks()
    await swept.passes(900, step=15)

    assert swept.looks() <= 8
    assert await swept.harness.announced() == []


async def test_no_list_is_requested_while_the_rate_limit_is_used_up(swept: Swept) -> None:
    await swept.follow()
    await swept.passes(30)
    swept.harness.rate_limit.seconds = 30
    before = swept.lists.pages
    await swept.harness.idle_for(60)
    assert swept.lists.pages == before
    swept.harness.rate_limit.seconds = 0
    await swept.passes(15)

    assert swept.lists.pages > before


async def live_until_a_gap(swept: Swept) -> None:
    """Let it be live in a known session, and then read no list for a minute and a half."""
    await swept.follow()
    swept.say("LIVE", began=0)
    await swept.passes(60)
    swept.harness.rate_limit.seconds = 90
    assert await swept.harness.store.meeting_sweeps.confirm([ONE], "live", failures=3, next_check_in=900) == 1
    await swept.harness.idle_for(90)


async def test_one_replica_reads_lists_until_it_is_gone(swept: Swept) -> None:
    other = asyncio.create_task(swept.new_sweeper("other").run())
    swept.harness.loops += 1
    await swept.follow()
    await swept.passes(15)
    swept.lists.listings = 0
    await swept.passes(300, step=15)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    swept.harness.loops -= 1
    assert 15 <= swept.lists.listings <= 20
    await swept.passes(60)

    assert swept.lists.listings >= 18


@pytest.mark.parametrize("error", [DatabaseUnavailable, ZeroDivisionError])
async def test_it_goes_on(swept: Swept, mocker: MockerFixture, log: io.StringIO, error: type[Exception]) -> None:
    """Whatever went wrong is logged, and the next sweep is made."""
    await swept.follow()
    mocker.patch.object(swept.harness.store.meeting_sweeps, "on_air", side_effect=error)
    await swept.passes(60)
    mocker.stopall()
    events = {json.loads(line)["event"] for line in log.getvalue().splitlines()}
    assert ("database_unavailable" if error is DatabaseUnavailable else "worker_failed") in events
    swept.say("LIVE")
    await swept.passes(120)

    assert await swept.harness.announced() == [(1, "live")]

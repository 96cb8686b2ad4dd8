"""The RealtimeKit panel: starting, going live, dropping, failing, ending."""

import asyncio

import pytest

from sandbox.page import Page
from sandbox.page.panel import DROP_SECONDS
from sandbox.realtimekit import Shape, seeds
from tests.conftest import World
from tests.sandbox.page.conftest import Browser

ABOUT = "Live for 25 minutes; its livestream also has a name; the meeting's title takes precedence"


async def press(browser: Browser, step: str, meeting_id: str = seeds.LIVE) -> tuple[int, str | None]:
    """Return the status of the response and of the meeting; or the rejection's sentence."""
    status, answer = await browser.ask("POST", f"/api/meetings/{meeting_id}/{step}", {})
    return status, answer.get("error", answer.get("status"))


def status_of(world: World, meeting_id: str = seeds.LIVE) -> str:
    livestream = world.kit.meetings[meeting_id].livestream
    assert livestream is not None
    return livestream.status


async def returned() -> None:
    """Wait for every livestream that comes back from a drop."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("return of")))


async def test_each_step_of_a_broadcast_is_reported_to_every_page(browser: Browser, world: World) -> None:
    steps = [("start", "INVOKED"), ("go_live", "LIVE"), ("fail", "ERRORED"), ("end", "OFFLINE"), ("go_live", "LIVE")]
    async with browser.stream() as changes:
        for step, status in steps:
            assert await press(browser, step, seeds.NEVER_LIVE) == (200, status)
            while (subject := await changes.next("meeting_changed"))["status"] != status:
                assert subject["status"] == "INVOKED"
            assert subject["id"] == seeds.NEVER_LIVE
        assert await press(browser, "end", seeds.NEVER_LIVE) == (200, "OFFLINE")
        assert (await changes.next("meeting_changed"))["running"] is False
    failed, _ = world.kit.meetings[seeds.NEVER_LIVE].sessions
    assert failed.err_message == "Ingest stopped: the connection to the encoder was lost"


async def test_description_is_valid_until_the_meeting_changes(browser: Browser, world: World) -> None:
    """A drop that is over has changed nothing."""
    world.slack.clock.speed = 0
    for step, as_seeded in [("drop", False), ("go_live", True), ("end", False), ("go_live", False)]:
        _, answer = await browser.ask("POST", f"/api/meetings/{seeds.LIVE}/{step}", {})
        assert answer["as_seeded"] is as_seeded
        assert answer["about"] == ABOUT


async def test_impossible_step_is_rejected(browser: Browser) -> None:
    for step, meeting_id, sentence in (
        ("start", seeds.LIVE, "The meeting has started already."),
        ("start", seeds.STARTING, "The meeting has started already."),
        ("go_live", seeds.LIVE, "The meeting is live already."),
        ("drop", seeds.STARTING, "Nothing is on air that could drop."),
        ("drop", seeds.IDLE, "Nothing is on air that could drop."),
        ("drop", seeds.NEVER_LIVE, "Nothing is on air that could drop."),
        ("fail", seeds.ERRORED, "The meeting is not being livestreamed."),
        ("fail", seeds.NEVER_LIVE, "The meeting was never livestreamed."),
        ("end", seeds.NEVER_LIVE, "The meeting was never livestreamed."),
    ):
        assert await press(browser, step, meeting_id) == (409, sentence)


async def test_unknown_meeting_or_step_or_field_is_rejected(browser: Browser) -> None:
    """A step needs no body."""
    for step, meeting_id in (("explode", seeds.LIVE), ("end", "none"), ("press", seeds.LIVE), ("close", seeds.LIVE)):
        assert (await press(browser, step, meeting_id))[0] == 404
    path = f"/api/meetings/{seeds.LIVE}/end"

    assert (await browser.ask("POST", path, {"gently": True}))[0] == 400
    assert (await browser.ask("POST", path, headers={"Content-Type": "application/json"}))[0] == 200


async def test_drop_is_offline_in_the_same_session_for_five_seconds(browser: Browser, world: World) -> None:
    world.slack.clock.speed = 0
    async with browser.stream() as changes:
        assert await press(browser, "drop") == (200, "OFFLINE")
        dropped = await changes.next("meeting_changed")
        assert (dropped["status"], dropped["running"]) == ("OFFLINE", True)
        assert await press(browser, "drop") == (409, "Nothing is on air that could drop.")

        world.slack.clock.advance(DROP_SECONDS - 0.1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert status_of(world) == "OFFLINE"
        world.slack.clock.advance(0.1)

        assert (await changes.next("meeting_changed"))["status"] == "LIVE"
    assert len(world.kit.meetings[seeds.LIVE].sessions) == 1


@pytest.mark.parametrize(("step", "status"), [("end", "OFFLINE"), ("fail", "ERRORED"), ("go_live", "LIVE")])
async def test_step_after_a_drop_is_not_undone(browser: Browser, world: World, step: str, status: str) -> None:
    world.slack.clock.speed = 0
    await press(browser, "drop")
    world.slack.clock.advance(3)
    assert await press(browser, step) == (200, status)
    if status != "LIVE":
        await press(browser, "go_live")
    world.kit.drop(seeds.LIVE)
    world.slack.clock.advance(DROP_SECONDS)
    await returned()

    assert status_of(world) == "OFFLINE"


async def test_livestream_that_changed_elsewhere_does_not_return_from_a_drop(browser: Browser, world: World) -> None:
    world.slack.clock.speed = 0
    ended, started, removed = seeds.LIVE, seeds.UNNAMED, seeds.OLD_PLAYBACK
    for meeting_id in (ended, started, removed):
        await press(browser, "drop", meeting_id)
    for meeting_id in (ended, started):
        world.kit.end(meeting_id)
    world.kit.start(started)
    world.kit.remove_meeting(removed)

    world.slack.clock.advance(DROP_SECONDS)
    await returned()

    assert not world.kit.meetings[ended].running
    assert status_of(world, started) == "INVOKED"
    assert removed not in world.kit.meetings


async def test_meetings_can_drop_repeatedly_and_simultaneously(browser: Browser, page: Page, world: World) -> None:
    world.slack.clock.speed = 0
    for _ in range(2):
        async with browser.stream() as changes:
            await press(browser, "drop", seeds.LIVE)
            await press(browser, "drop", seeds.UNNAMED)
            world.slack.clock.advance(DROP_SECONDS)
            statuses = [(await changes.next("meeting_changed"))["status"] for _ in range(4)]
        assert statuses == ["OFFLINE", "OFFLINE", "LIVE", "LIVE"]
        assert page.panel.returning == frozenset()


async def test_pending_return_from_a_drop_is_cancelled_on_stop(browser: Browser, page: Page, world: World) -> None:
    world.slack.clock.speed = 0
    await press(browser, "drop")
    assert page.panel.returning == {seeds.LIVE}
    await page.close()
    world.slack.clock.advance(DROP_SECONDS)
    await returned()

    assert status_of(world) == "OFFLINE"


async def test_going_live_replaces_only_an_empty_response_shape(browser: Browser, world: World) -> None:
    async with world.bot():
        for shape in (Shape.NULL, Shape.EMPTY_OBJECT, Shape.EMPTY_LIST, Shape.UNSUCCESSFUL):
            meeting_id = world.kit.add_meeting("Town hall").id
            world.kit.change(meeting_id, shape=shape)
            await press(browser, "go_live", meeting_id)
            assert "is live" in (await world.ask(meeting_id)).text
    await press(browser, "end", seeds.AS_LIST)
    await press(browser, "go_live", seeds.AS_LIST)

    assert world.kit.meetings[seeds.AS_LIST].shape is Shape.LIST

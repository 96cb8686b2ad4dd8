"""The list of livestreams."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.domain.observation import Status
from bot.errors import AuthenticationFailed, InvalidResponse
from bot.realtimekit.client import RealtimeKitClient
from bot.realtimekit.responses import LivestreamPage
from sandbox.realtimekit import Fault, ListShape
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.realtimekit.conftest import kit_answering


def live_meetings(cloudflare: Cloudflare) -> set[str]:
    livestreams = [meeting.livestream for meeting in cloudflare.meetings.values()]
    return {livestream.meeting_id for livestream in livestreams if livestream and livestream.status == "LIVE"}


async def test_one_page_lists_every_livestream_of_the_status_without_its_secrets(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    page = await kit.livestreams("LIVE", 1)

    assert {livestream.meeting_id for livestream in page.livestreams} == live_meetings(cloudflare)
    assert {livestream.status for livestream in page.livestreams} == {Status.LIVE}
    assert (page.more, page.is_complete) == (False, True)
    assert cloudflare.calls[-1].path.endswith("/livestreams?status=LIVE&page_no=1&per_page=100")
    shown = f"{page!r} {[livestream.model_dump_json() for livestream in page.livestreams]}"
    assert [secret for secret in cloudflare.secrets if secret in shown] == []


@pytest.mark.parametrize("shape", [ListShape.ARRAY, ListShape.OBJECT])
async def test_pages_list_every_livestream_once(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape
) -> None:
    cloudflare.list_shape = shape
    pages = [await kit.livestreams("LIVE", 1, 1)]
    while pages[-1].more:
        pages.append(await kit.livestreams("LIVE", len(pages) + 1, 1))

    found = [livestream.meeting_id for page in pages for livestream in page.livestreams]
    assert len(found) == len(pages) > 1
    assert set(found) == live_meetings(cloudflare)


@pytest.mark.parametrize("shape", [ListShape.ARRAY, ListShape.OBJECT])
async def test_status_without_livestreams_gives_an_empty_complete_page(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape
) -> None:
    cloudflare.list_shape = shape

    assert await kit.livestreams("NO_SUCH_STATUS", 1) == LivestreamPage((), more=False, is_complete=True)


@pytest.mark.parametrize("shape", [ListShape.OBJECT, ListShape.UNKNOWN])
async def test_list_with_omissions_or_an_unknown_shape_is_an_invalid_response(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape
) -> None:
    cloudflare.list_shape = shape

    with pytest.raises(InvalidResponse):
        await kit.livestreams("LIVE", 1)


async def test_404_is_not_an_empty_list() -> None:
    """An empty list would mean that no meeting is live."""
    kit = kit_answering(status=404, json={"success": False, "error": {"code": 404, "message": "not found"}})

    with pytest.raises(InvalidResponse, match="404 for a list"):
        await kit.livestreams("LIVE", 1)


@pytest.mark.parametrize("junk", [None, "2", [], 7])
async def test_unreadable_items_are_skipped_and_make_the_page_incomplete(junk: Any) -> None:
    with capture_logs() as logs:
        page = await kit_answering([junk, {"id": "1"}, junk, {"id": "3"}]).livestreams("LIVE", 1)

    assert [each.id for each in page.livestreams] == ["1", "3"]
    assert not page.is_complete
    assert [(each["event"], each["unreadable"]) for each in logs] == [("livestreams_left_out", 2)]


async def test_page_without_any_readable_item_is_an_invalid_response() -> None:
    with pytest.raises(InvalidResponse, match="not an object"):
        await kit_answering([None, "2"]).livestreams("LIVE", 1)


async def test_authentication_failure_of_the_list_is_raised(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.fault = Fault.UNAUTHORIZED

    with pytest.raises(AuthenticationFailed):
        await kit.livestreams("LIVE", 1)

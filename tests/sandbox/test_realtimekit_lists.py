"""The sandbox's RealtimeKit: its lists of livestreams and meetings, over a real socket."""

import httpx
import pytest

from sandbox.realtimekit import ListShape, RealtimeKit, seeds

NOWHERE = "00000000-0000-4000-8000-000000000000"


async def test_livestreams_are_filtered_ordered_and_paged(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    for title in ("one", "two", "three"):
        kit.go_live(kit.add_meeting(title).id)
        kit.clock.advance(1)
    kit.start(kit.add_meeting("four").id)

    query = {"status": "LIVE", "per_page": "2", "page_no": "2", "sort_order": "ASC"}
    page = (await client.get("livestreams", params=query)).json()

    last = next(each for each in kit.meetings.values() if each.title == "three")
    assert [each["meeting_id"] for each in page["data"]] == [last.id]
    assert page["paging"] == {"total_count": 3, "start_offset": 3, "end_offset": 3}


async def test_livestreams_are_newest_first_and_pages_beyond_the_last_are_empty(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    old = kit.go_live(kit.add_meeting("old").id)
    kit.clock.advance(1)
    new = kit.go_live(kit.add_meeting("new").id)

    page = (await client.get("livestreams")).json()
    beyond = (await client.get("livestreams", params={"page_no": "9"})).json()

    assert [each["meeting_id"] for each in page["data"]] == [new.id, old.id]
    assert beyond["data"] == []
    assert beyond["paging"] == {"total_count": 2, "start_offset": 0, "end_offset": 0}


async def test_list_can_have_the_schemas_or_an_unknown_shape(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)

    kit.list_shape = ListShape.OBJECT
    by_schema = (await client.get("livestreams")).json()
    kit.list_shape = ListShape.UNKNOWN
    surprising = (await client.get("livestreams")).json()

    assert by_schema["data"]["meeting_id"] == meeting.id
    assert by_schema["data"]["paging"]["total_count"] == 1
    assert "paging" not in surprising
    assert "id" not in surprising["data"]


async def test_livestreams_are_filtered_by_creation_time(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    old = kit.go_live(kit.add_meeting("old").id)
    kit.clock.advance(3600)
    new = kit.go_live(kit.add_meeting("new").id)

    async def found(**query: str) -> list[str]:
        return [each["meeting_id"] for each in (await client.get("livestreams", params=query)).json()["data"]]

    assert await found(start_time="2026-06-03T12:30:00Z") == [new.id]
    assert await found(end_time="2026-06-03T12:30:00") == [old.id]
    assert await found(exclude_meetings="true") == []


@pytest.mark.parametrize("query", [{"page_no": "0"}, {"per_page": "101"}, {"sort_order": "DESC"}, {"start_time": "x"}])
async def test_invalid_query_is_rejected(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    response = await client.get("livestreams", params=query)

    assert response.status_code == 400
    assert next(iter(query)) in response.json()["error"]["message"]


async def test_meetings_are_found_by_title_or_id(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.seed()

    by_title = (await client.get("meetings", params={"search": "BOARD"})).json()
    by_id = (await client.get("meetings", params={"search": seeds.LIVE[:8]})).json()

    assert [each["id"] for each in by_title["data"]] == [seeds.ERRORED]
    assert [each["id"] for each in by_id["data"]] == [seeds.LIVE]
    assert by_id["data"][0]["status"] == "ACTIVE"


async def test_meetings_are_filtered_by_whether_they_can_be_joined(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.add_meeting("open")
    closed = kit.go_live(kit.add_meeting("closed").id)
    kit.change(closed.id, joinable=False)

    inactive = (await client.get("meetings", params={"status": "INACTIVE"})).json()["data"]

    assert [each["id"] for each in inactive] == [closed.id]


async def test_meeting_without_a_livestream_is_found_and_a_missing_one_is_404(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.seed()

    found = await client.get(f"meetings/{seeds.NEVER_LIVE.upper()}")
    missing = await client.get(f"meetings/{NOWHERE}")

    assert found.json()["data"]["title"] == "Hiring committee"
    assert missing.status_code == 404

"""The sandbox's RealtimeKit: its lists of livestreams and meetings, over a real socket."""

import httpx

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


async def test_invalid_query_is_rejected(client: httpx.AsyncClient) -> None:
    for name, value in (("page_no", "0"), ("per_page", "101"), ("sort_order", "DESC"), ("start_time", "x")):
        response = await client.get("livestreams", params={name: value})
        assert response.status_code == 400
        assert name in response.json()["error"]["message"]


async def test_meetings_are_found_by_title_id_or_whether_they_can_be_joined(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.seed()
    kit.change(seeds.IDLE, joinable=False)

    async def found(**query: str) -> list[tuple[str, str]]:
        return [(each["id"], each["status"]) for each in (await client.get("meetings", params=query)).json()["data"]]

    assert await found(search="BOARD") == [(seeds.ERRORED, "ACTIVE")]
    assert await found(search=seeds.LIVE[:8]) == [(seeds.LIVE, "ACTIVE")]
    assert await found(status="INACTIVE") == [(seeds.IDLE, "INACTIVE")]


async def test_meeting_without_a_livestream_is_found_and_a_missing_one_is_404(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.seed()

    found = await client.get(f"meetings/{seeds.NEVER_LIVE.upper()}")
    missing = await client.get(f"meetings/{NOWHERE}")

    assert found.json()["data"]["title"] == "Hiring committee"
    assert missing.status_code == 404

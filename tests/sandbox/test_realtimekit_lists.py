"""The sandbox's RealtimeKit: its lists of livestreams and meetings, asked over a real socket."""

import httpx
import pytest

from sandbox.realtimekit import ListShape, RealtimeKit, seeds

NOWHERE = "00000000-0000-4000-8000-000000000000"


async def test_livestreams_are_filtered_ordered_and_paged(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The list answers with the page asked for, and with how many there are."""
    for title in ("one", "two", "three"):
        kit.go_live(kit.add_meeting(title).id)
        kit.clock.advance(1)
    kit.start(kit.add_meeting("four").id)

    query = {"status": "LIVE", "per_page": "2", "page_no": "2", "sort_order": "ASC"}
    page = (await client.get("livestreams", params=query)).json()

    last = next(each for each in kit.meetings.values() if each.title == "three")
    assert [each["meeting_id"] for each in page["data"]] == [last.id]
    assert page["paging"] == {"total_count": 3, "start_offset": 3, "end_offset": 3}


async def test_livestreams_come_newest_first_and_an_empty_page_is_empty(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    """Without an order the newest livestream is first; behind the last page there is nothing."""
    old = kit.go_live(kit.add_meeting("old").id)
    kit.clock.advance(1)
    new = kit.go_live(kit.add_meeting("new").id)

    page = (await client.get("livestreams")).json()
    beyond = (await client.get("livestreams", params={"page_no": "9"})).json()

    assert [each["meeting_id"] for each in page["data"]] == [new.id, old.id]
    assert beyond["data"] == []
    assert beyond["paging"] == {"total_count": 2, "start_offset": 0, "end_offset": 0}


async def test_the_list_comes_in_the_schemas_shape_too(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """As the schema has it, `data` is one livestream with the paging inside; as nobody has it, it is neither."""
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)

    kit.list_shape = ListShape.OBJECT
    by_schema = (await client.get("livestreams")).json()
    kit.list_shape = ListShape.UNKNOWN
    surprising = (await client.get("livestreams")).json()

    assert by_schema["data"]["meeting_id"] == meeting.id
    assert by_schema["data"]["paging"]["total_count"] == 1
    assert "paging" not in surprising
    assert "id" not in surprising["data"]


async def test_livestreams_are_found_by_the_time_of_their_making(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """`start_time` and `end_time` cut the list, with or without a zone; excluding meetings leaves nothing."""
    old = kit.go_live(kit.add_meeting("old").id)
    kit.clock.advance(3600)
    new = kit.go_live(kit.add_meeting("new").id)

    async def found(**query: str) -> list[str]:
        return [each["meeting_id"] for each in (await client.get("livestreams", params=query)).json()["data"]]

    assert await found(start_time="2026-06-03T12:30:00Z") == [new.id]
    assert await found(end_time="2026-06-03T12:30:00") == [old.id]
    assert await found(exclude_meetings="true") == []


@pytest.mark.parametrize("query", [{"page_no": "0"}, {"per_page": "101"}, {"sort_order": "DESC"}, {"start_time": "x"}])
async def test_a_query_that_makes_no_sense_is_refused(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    """Out-of-range pages and unknown words are 400 of the application."""
    response = await client.get("livestreams", params=query)

    assert response.status_code == 400
    assert next(iter(query)) in response.json()["error"]["message"]


async def test_meetings_are_found_by_title_or_id(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """`search` looks inside titles and ids; the answer says nothing of livestreams."""
    kit.seed()

    by_title = (await client.get("meetings", params={"search": "BOARD"})).json()
    by_id = (await client.get("meetings", params={"search": seeds.LIVE[:8]})).json()

    assert [each["id"] for each in by_title["data"]] == [seeds.ERRORED]
    assert [each["id"] for each in by_id["data"]] == [seeds.LIVE]
    assert by_id["data"][0]["status"] == "ACTIVE"


async def test_meetings_are_found_by_whether_they_can_be_joined(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """ACTIVE and INACTIVE are about joining, whatever the livestream does."""
    kit.add_meeting("open")
    closed = kit.go_live(kit.add_meeting("closed").id)
    kit.change(closed.id, joinable=False)

    inactive = (await client.get("meetings", params={"status": "INACTIVE"})).json()["data"]

    assert [each["id"] for each in inactive] == [closed.id]


async def test_one_meeting_tells_not_live_from_no_such_meeting(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A meeting that was never livestreamed is found by its id, in any case; another is 404."""
    kit.seed()

    found = await client.get(f"meetings/{seeds.NEVER_LIVE.upper()}")
    missing = await client.get(f"meetings/{NOWHERE}")

    assert found.json()["data"]["title"] == "Hiring committee"
    assert missing.status_code == 404

"""Changes without a change of status, and flaws in Cloudflare's responses."""

import httpx
import pytest

from sandbox.realtimekit import ZERO_TIME, Meeting, RealtimeKit, Shape


@pytest.fixture
def live(kit: RealtimeKit) -> Meeting:
    """Return a meeting that has been live for a minute."""
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)
    kit.clock.advance(60)
    return meeting


async def livestream(client: httpx.AsyncClient, meeting: Meeting) -> dict[str, object]:
    answer = (await client.get(f"meetings/{meeting.id}/active-livestream")).json()["data"]
    assert isinstance(answer, dict)
    return answer


async def listed(client: httpx.AsyncClient) -> list[dict[str, object]]:
    return list((await client.get("livestreams", params={"status": "LIVE"})).json()["data"])


async def session(client: httpx.AsyncClient, livestream_id: object) -> dict[str, object]:
    answer = (await client.get(f"livestreams/{livestream_id}/active-livestream-session")).json()
    return dict(answer["data"]["session"])


async def test_restart_begins_another_session_while_live(
    kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting
) -> None:
    before = await livestream(client, live)
    earlier = await session(client, before["id"])

    kit.restart(live.id)

    after = await livestream(client, live)
    assert (after["id"], after["status"]) == (before["id"], "LIVE")
    assert str((await session(client, after["id"]))["started_time"]) > str(earlier["started_time"])


async def test_replacement_livestream_takes_over_while_live(
    kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting
) -> None:
    before = await livestream(client, live)

    kit.replace_livestream(live.id)

    after = await livestream(client, live)
    assert after["status"] == "LIVE"
    assert after["id"] != before["id"]
    assert after["playback_url"] != before["playback_url"]
    assert [each["id"] for each in await listed(client)] == [after["id"]]
    assert (await client.get(f"livestreams/{before['id']}/active-livestream-session")).status_code == 404
    assert {str(before["stream_key"]), str(after["stream_key"])} <= kit.secrets


async def test_several_livestreams_alternate_in_responses_and_lists(
    kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting
) -> None:
    other = kit.add_livestream(live.id, name="Second camera")
    first = live.livestream.id if live.livestream else ""

    singles = [(await livestream(client, live))["id"] for _ in range(2)]
    lists = [[each["id"] for each in await listed(client)] for _ in range(2)]
    kit.change(live.id, shape=Shape.LIST)
    whole = [(await client.get(f"meetings/{live.id}/active-livestream")).json()["data"] for _ in range(2)]

    assert set(singles) == {first, other.id}
    assert sorted(lists) == sorted([[first, other.id], [other.id, first]])
    assert {tuple(each["id"] for each in answer) for answer in whole} == {(first, other.id), (other.id, first)}
    assert (await session(client, other.id))["livestream_id"] == other.id


async def test_order_of_other_meetings_is_stable(kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting) -> None:
    """So pages do not overlap."""
    newer = kit.go_live(kit.add_meeting("Newer").id)

    orders = [[each["meeting_id"] for each in await listed(client)] for _ in range(3)]

    assert orders == [[newer.id, live.id]] * 3


async def test_zero_times_control_characters_and_a_late_reason_are_sent_unchanged(
    kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting
) -> None:
    """The zero time is written as in Go."""
    kit.fail(live.id, "")
    kit.change_session(live.id, started_time=ZERO_TIME, err_message="e\0f")
    kit.change_livestream(live.id, created_at=ZERO_TIME, name="a\0b\x1b[31m\u202e")
    kit.change(live.id, title="c\0d")

    sent, zero = await livestream(client, live), "0001-01-01T00:00:00Z"

    assert (sent["status"], sent["created_at"], sent["name"]) == ("ERRORED", zero, "a\0b\x1b[31m\u202e")
    assert (await client.get(f"meetings/{live.id}")).json()["data"]["title"] == "c\0d"
    open_session = await session(client, sent["id"])
    assert (open_session["started_time"], open_session["err_message"]) == (zero, "e\0f")


async def test_frozen_list_stays_outdated_until_it_is_thawed(
    kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting
) -> None:
    kit.freeze_list()
    kit.end(live.id)
    newer = kit.go_live(kit.add_meeting("Newer").id)

    assert [each["meeting_id"] for each in await listed(client)] == [live.id]
    assert (await client.get(f"meetings/{live.id}/active-livestream")).status_code == 404

    kit.thaw_list()
    assert [each["meeting_id"] for each in await listed(client)] == [newer.id]


async def test_idle_connections_are_reset_when_used_again(
    kit: RealtimeKit, client: httpx.AsyncClient, live: Meeting
) -> None:
    await livestream(client, live)
    assert kit.reset_idle_connections() == 1

    with pytest.raises(httpx.TransportError):
        await livestream(client, live)
    assert (await livestream(client, live))["status"] == "LIVE"

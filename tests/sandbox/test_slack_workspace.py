"""The state of the sandbox's Slack: who sees which messages, and the events for observers."""

import json

import pytest

from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, EVENTS, GENERAL, Event, EventKind, Message, Workspace
from sandbox.slack.events import Events
from sandbox.slack.seed import seeded


@pytest.fixture
def workspace() -> Workspace:
    return seeded(Events())


def post(workspace: Workspace, text: str, channel: str = GENERAL, **fields: str) -> Message:
    return workspace.post(Message(channel, workspace.next_ts(1_000), BOT, text, **fields))  # type: ignore[arg-type]


def test_timestamps_are_unique_and_increasing(workspace: Workspace) -> None:
    """Also when time stands still or goes back."""
    stamps = [workspace.next_ts(now) for now in (1_000.0, 1_000.0, 999.0, 1_000.5)]

    assert stamps == ["1000.000000", "1000.000001", "1000.000002", "1000.500000"]


def test_ephemeral_message_is_visible_to_one_person(workspace: Workspace) -> None:
    post(workspace, "for all")
    post(workspace, "for Ann", ephemeral_to=ANN)

    assert [message.text for message in workspace.messages(GENERAL, ANN)] == ["for all", "for Ann"]
    assert [message.text for message in workspace.messages(GENERAL, BEN)] == ["for all"]


def test_private_channel_is_hidden_from_non_members(workspace: Workspace) -> None:
    post(workspace, "psst", BACKSTAGE)

    assert workspace.messages(BACKSTAGE, ANN)
    assert not workspace.messages(BACKSTAGE, CHRIS)


def test_reply_is_in_its_thread_and_a_broadcast_also_in_the_channel(workspace: Workspace) -> None:
    root = post(workspace, "card")
    post(workspace, "live", thread_ts=root.ts)
    workspace.post(Message(GENERAL, workspace.next_ts(1_001), BOT, "ended", thread_ts=root.ts, is_broadcast=True))

    assert [message.text for message in workspace.messages(GENERAL, ANN)] == ["card", "ended"]
    assert [message.text for message in workspace.replies(GENERAL, root.ts, ANN)] == ["live", "ended"]


def test_deleted_message_keeps_no_text_but_its_thread(workspace: Workspace) -> None:
    root = post(workspace, "secret")
    post(workspace, "live", thread_ts=root.ts)

    gone = workspace.delete(root)

    assert "secret" not in str(gone.to_dict())
    assert not workspace.messages(GENERAL, ANN)
    assert workspace.replies(GENERAL, root.ts, ANN)


def test_channel_drops_its_own_oldest_messages() -> None:
    seed = seeded(Events())
    small = Workspace(
        seed.team, tuple(seed.users.values()), tuple(seed.channels.values()), Events(), messages_per_channel=2
    )
    for text in ("1", "2", "3"):
        post(small, text)
    post(small, "other", EVENTS)

    assert [message.text for message in small.every_message()] == ["2", "3", "other"]


def test_client_msg_id_is_forgotten_with_its_message_but_not_on_deletion() -> None:
    seed = seeded(Events())
    small = Workspace(
        seed.team, tuple(seed.users.values()), tuple(seed.channels.values()), Events(), messages_per_channel=2
    )
    for number in ("1", "2", "3"):
        post(small, number, client_msg_id=f"id-{number}")
    small.delete(next(small.every_message()))

    assert small.find_client_msg_id("id-1") is None
    found = small.find_client_msg_id("id-2")
    assert found is not None
    assert found.deleted


def test_subscriber_gets_each_change_as_json(workspace: Workspace) -> None:
    events: list[Event] = []
    unsubscribe = workspace.events.subscribe(events.append)

    message = post(workspace, "a")
    workspace.edit(message, "b", ({"type": "divider"},), "1001.000000")
    workspace.delete(message)
    unsubscribe()
    post(workspace, "c")

    kinds = [EventKind.MESSAGE_POSTED, EventKind.MESSAGE_CHANGED, EventKind.MESSAGE_DELETED]
    assert [event.kind for event in events] == kinds
    assert json.loads(json.dumps(events[1].to_dict()))["subject"]["blocks"] == [{"type": "divider"}]

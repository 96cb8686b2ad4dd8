"""The state of the sandbox's Slack: its messages, and the events for observers."""

import json

import pytest

from sandbox.slack import ANN, BOT, EVENTS, GENERAL, Event, EventKind, Message, Workspace
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


def test_deleted_message_keeps_no_text_but_its_thread(workspace: Workspace) -> None:
    root = post(workspace, "secret")
    post(workspace, "live", thread_ts=root.ts)

    gone = workspace.delete(root)

    assert "secret" not in str(gone.to_dict())
    assert not workspace.messages(GENERAL, ANN)
    assert workspace.replies(GENERAL, root.ts, ANN)


@pytest.fixture
def small(workspace: Workspace) -> Workspace:
    """Return a workspace whose channels keep two messages."""
    users, channels = tuple(workspace.users.values()), tuple(workspace.channels.values())
    return Workspace(workspace.team, users, channels, Events(), messages_per_channel=2)


def test_channel_drops_its_own_oldest_messages(small: Workspace) -> None:
    for text in ("1", "2", "3"):
        post(small, text)
    post(small, "other", EVENTS)

    assert [message.text for message in small.every_message()] == ["2", "3", "other"]


def test_client_msg_id_is_forgotten_with_its_message_but_not_on_deletion(small: Workspace) -> None:
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

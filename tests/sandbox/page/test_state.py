"""The state that a person sees when they open the page."""

from dataclasses import replace

from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, SLACKBOT, Message
from tests.conftest import World
from tests.sandbox.page.conftest import Browser


async def test_state_has_workspace_people_command_and_bot(browser: Browser) -> None:
    state = await browser.state()

    assert state["me"] == ANN
    assert state["team"] == {"id": "T0SANDBOX01", "name": "Sandbox", "domain": "sandbox"}
    assert state["users"][0] == {"id": ANN, "name": "ann", "real_name": "Ann", "is_bot": False}
    assert state["bot_user"] == BOT
    assert state["command"].keys() == {"name", "usage_hint", "description"}
    assert state["command"]["name"] == "/livestream"
    assert state["command"]["usage_hint"].startswith("<meeting-id>")
    assert state["command"]["description"].startswith("Check whether a meeting is live")
    assert state["bot"] == {"mode": "http", "url": "http://127.0.0.1:1", "running": True}
    assert state["conditions"]["speed"] == 1


async def test_missing_or_invalid_user_means_the_first_person(browser: Browser) -> None:
    for query in ("", "?user=U0NOBODY", f"?user={BOT}", f"?user={SLACKBOT}"):
        assert (await browser.ask("GET", f"/api/state{query}"))[1]["me"] == ANN


async def test_private_channel_is_visible_only_to_members(browser: Browser, world: World) -> None:
    world.slack.workspace.post(Message(BACKSTAGE, "1.000000", BEN, "psst"))
    for_ben, for_chris = await browser.state(BEN), await browser.state(CHRIS)

    assert [message["text"] for message in for_ben["messages"][BACKSTAGE]] == ["psst"]
    assert BACKSTAGE not in for_chris["messages"]
    assert [channel["name"] for channel in for_chris["channels"]] == ["general", "events", "random"]


async def test_messages_are_oldest_first_without_hidden_ones(browser: Browser, world: World) -> None:
    post = world.slack.workspace.post
    first = post(Message(GENERAL, "1.000000", ANN, "first"))
    post(Message(GENERAL, "2.000000", BOT, "for Ben", ephemeral_to=BEN))
    post(Message(GENERAL, "3.000000", BOT, "for Ann", ephemeral_to=ANN))
    post(Message(GENERAL, "4.000000", BEN, "a reply", thread_ts=first.ts))
    world.slack.delete_message(post(Message(GENERAL, "5.000000", BEN, "a mistake")))

    messages = (await browser.state())["messages"][GENERAL]

    assert [message["text"] for message in messages] == ["first", "for Ann", "a reply"]
    assert messages[2] == replace(first, ts="4.000000", author=BEN, text="a reply", thread_ts=first.ts).to_dict()


async def test_meetings_have_the_panels_fields_without_secrets(browser: Browser, world: World) -> None:
    added = world.kit.add_meeting("A new one")
    state = await browser.state()

    about = "Live for 25 minutes; its livestream also has a name; the meeting's title takes precedence"
    live = {"status": "LIVE", "name": "launch-week-main-stage", "running": True}
    never_live = {"status": None, "name": None, "running": False}
    assert state["meetings"][0] == live | {
        "id": seeds.LIVE,
        "title": "Launch keynote",
        "about": about,
        "as_seeded": True,
    }
    assert state["meetings"][-1] == never_live | {"id": added.id, "title": "A new one", "about": "", "as_seeded": True}
    assert not any(secret in str(state) for secret in world.kit.secrets)


async def test_deleted_channel_is_not_listed_and_the_state_not_cached(browser: Browser, world: World) -> None:
    world.slack.delete_channel(GENERAL)

    async with browser.session.get(f"{browser.url}/api/state") as response:
        assert GENERAL not in (await response.json())["messages"]
    assert response.headers["Cache-Control"] == "no-store"

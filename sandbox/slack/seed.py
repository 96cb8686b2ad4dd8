"""The sandbox's initial workspace: three people, four channels and one app."""

from dataclasses import dataclass

from sandbox.slack.events import Events
from sandbox.slack.workspace import SLACKBOT, Channel, Team, User, Workspace

ANN = "U0ANN000001"
BEN = "U0BEN000001"
CHRIS = "U0CHRIS0001"
BOT = "U0LIVEBOT01"

GENERAL = "C0GENERAL01"
EVENTS = "C0EVENTS001"
RANDOM = "C0RANDOM001"
BACKSTAGE = "C0BACKSTAGE"

# The events that the app's manifest subscribes to, and those of an uninstallation.
BOT_EVENTS = frozenset(
    {
        "member_joined_channel",
        "channel_unarchive",
        "group_unarchive",
        "channel_id_changed",
        "app_uninstalled",
        "tokens_revoked",
    }
)

PEOPLE = frozenset({ANN, BEN, CHRIS})


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """The IDs of the app and its bot user, and the deprecated verification token in payloads."""

    app_id: str = "A0LIVESTREAM"
    bot_id: str = "B0LIVEBOT01"
    user_id: str = BOT
    verification_token: str = "sandbox-verification-token"


def seeded(events: Events) -> Workspace:
    """Create a workspace: `#general` and `#events` with the bot, `#random` and private `#backstage` without it."""
    users = (
        User(ANN, "ann", "Ann"),
        User(BEN, "ben", "Ben"),
        User(CHRIS, "chris", "Chris"),
        User(BOT, "livestream", "Livestream", is_bot=True),
        User(SLACKBOT, "slackbot", "Slackbot", is_bot=True),
    )
    channels = (
        Channel(GENERAL, "general", PEOPLE, has_bot=True),
        Channel(EVENTS, "events", PEOPLE, has_bot=True),
        Channel(RANDOM, "random", PEOPLE),
        Channel(BACKSTAGE, "backstage", frozenset({ANN, BEN}), is_private=True),
    )
    return Workspace(Team("T0SANDBOX01", "Sandbox", "sandbox"), users, channels, events)

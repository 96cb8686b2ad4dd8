"""The meetings, channels and people of a soak."""

import random
from dataclasses import dataclass

from bot.slack.messages import lookup_card
from sandbox.realtimekit import RealtimeKit, seeds
from sandbox.slack import BOT, Channel, Message, Slack, User

CHANNELS = 8
PEOPLE = 12
USERS_PER_PERSON = 20
BROADCAST = [f"50a40000-0000-4000-8000-{number:012d}" for number in range(6)]
"""The meetings that are followed, whose livestreams start and end."""
LOOKED_UP = [seeds.LIVE, seeds.IDLE, seeds.NEVER_LIVE, seeds.ERRORED, seeds.AS_LIST, seeds.UNDER_RESULT]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace with channels that the bot is in, and several users per person."""

    slack: Slack
    channels: list[str]
    names: list[list[str]]

    def random_card(self, rng: random.Random) -> tuple[Message, str] | None:
        """Return a card with a menu, and an option to choose; None if there is no card yet."""
        messages = self.slack.messages(rng.choice(self.channels))[-40:]
        menus = [(message, menu) for message in messages if (menu := _menu(message))]
        if not menus:
            return None
        card, options = rng.choice(menus)
        return card, rng.choice(options)


def build(slack: Slack, kit: RealtimeKit) -> Workspace:
    """Create the meetings, channels and people."""
    kit.seed()
    for number, meeting_id in enumerate(BROADCAST):
        kit.add_meeting(f"Town hall {number}", meeting_id)
    names = [[f"U0SOAK{person:02d}{name:03d}" for name in range(USERS_PER_PERSON)] for person in range(PEOPLE)]
    all_users = [name for own in names for name in own]
    slack.workspace.users |= {name: User(name, name.lower(), name) for name in all_users}
    channels = [f"C0SOAK{number:05d}" for number in range(CHANNELS)]
    for channel in channels:
        slack.workspace.put_channel(Channel(channel, channel.lower(), frozenset(all_users), has_bot=True))
    return Workspace(slack, channels, names)


def _menu(message: Message) -> list[str]:
    """Return the values of the options of a card's menu."""
    if message.author != BOT or message.ephemeral_to is not None:
        return []
    accessories = [block["accessory"] for block in message.blocks if "accessory" in block]
    return [
        option["value"]
        for accessory in accessories
        if accessory.get("action_id") == lookup_card.FOLLOW_MENU
        for option in accessory["options"]
    ]

"""The meetings, channels and people of a soak."""

import random
from dataclasses import dataclass

from bot.slack.messages import lookup_card
from sandbox.realtimekit import RealtimeKit, seeds
from sandbox.slack import BOT, Channel, Message, Slack, User

CHANNELS = 8
PEOPLE = 12
NAMES_EACH = 20
BROADCAST = [f"50a40000-0000-4000-8000-{number:012d}" for number in range(6)]
"""The meetings that are followed, whose livestreams start and end."""
LOOKED_UP = [seeds.LIVE, seeds.IDLE, seeds.NEVER_LIVE, seeds.ERRORED, seeds.AS_LIST, seeds.UNDER_RESULT]


@dataclass(frozen=True, slots=True)
class Scenery:
    """A workspace with channels that the bot is in, and several users per person."""

    slack: Slack
    channels: list[str]
    names: list[list[str]]

    def a_card(self, dice: random.Random) -> tuple[Message, str] | None:
        """Return a card with a menu, and an option to choose; None if there is no card yet."""
        messages = self.slack.messages(dice.choice(self.channels))[-40:]
        menus = [(message, menu) for message in messages if (menu := _menu(message))]
        if not menus:
            return None
        card, options = dice.choice(menus)
        return card, dice.choice(options)


def build(slack: Slack, kit: RealtimeKit) -> Scenery:
    """Create the meetings, channels and people."""
    kit.seed()
    for number, meeting_id in enumerate(BROADCAST):
        kit.add_meeting(f"Town hall {number}", meeting_id)
    names = [[f"U0SOAK{person:02d}{name:03d}" for name in range(NAMES_EACH)] for person in range(PEOPLE)]
    everybody = [name for own in names for name in own]
    slack.workspace.users |= {name: User(name, name.lower(), name) for name in everybody}
    channels = [f"C0SOAK{number:05d}" for number in range(CHANNELS)]
    for channel in channels:
        slack.workspace.put_channel(Channel(channel, channel.lower(), frozenset(everybody), has_bot=True))
    return Scenery(slack, channels, names)


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

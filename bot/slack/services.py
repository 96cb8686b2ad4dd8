"""What a listener needs, built once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from bot.following.following import Following
from bot.realtimekit.lookup import Lookup
from bot.slack.home import Home
from bot.slack.personal_limit import PersonalLimit
from bot.slack.replies import Replies
from bot.slack.work import Work
from bot.wording import Wording


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that serves people in Slack."""

    look_up: Callable[[UUID], Awaitable[Lookup]]
    replies: Replies
    work: Work
    following: Following
    home: Callable[[], Home | None]
    """Where the bot is installed, as far as Slack has told of it."""
    permalink: Callable[[str, str], str | None]
    """Where the message with this ts in this channel opens, if that is known."""
    limit: PersonalLimit = field(default_factory=PersonalLimit)
    wording: Callable[[], Wording] = Wording
    """What the command and the bot are called in this workspace."""
    access_problem: Callable[[], str | None] = lambda: None
    """Slack's code while it refuses the bot token, or a permission that the bot needs."""

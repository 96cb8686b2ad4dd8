"""Builders for notices to people that the bot cannot post about meetings they follow: values in, messages out."""

from collections.abc import Sequence

from bot.domain.follow import FOLLOW_SECONDS, Follow
from bot.slack.messages.lookup_card import MAX_NAME_LENGTH, MAX_WORD_LENGTH, meeting
from bot.slack.messages.message import Message, context, section
from bot.slack.messages.mrkdwn import bold, escape
from bot.wording import DEFAULT, Wording

MAX_NAMES_IN_NOTICE = 3
_REFUSALS = {
    "not_in_channel": ("because I'm not in it", "invite me back (`/invite @{bot}`)"),
    "channel_not_found": ("because I can't see it", "invite me back (`/invite @{bot}`)"),
    "is_archived": ("because it's archived", "unarchive the channel and invite me back (`/invite @{bot}`)"),
}
"""By Slack's code, why the bot can't post in a channel, and what to do."""
_ALIASES = {"is_inactive": "is_archived"}


def paused_notice(follow: Follow, reason: str, names: Sequence[str | None] = (), wording: Wording = DEFAULT) -> Message:
    """Build the notice to the person who followed meetings in a channel where the bot cannot post.

    It says why, and how to fix it. `names` are those of all meetings that the person follows there.
    """
    cause, fix = _refusal(reason, wording)
    fix = (
        f"{fix[0].upper()}{fix[1:]} and I'll pick up where I left off" if fix else "An admin of this workspace can help"
    )
    text = f"I can't post updates about {_list_names(names)} in <#{follow.channel_id}> {cause}. {fix}."
    return _notice(follow, text, names)


def expired_notice(
    follow: Follow, reason: str, names: Sequence[str | None] = (), wording: Wording = DEFAULT
) -> Message:
    """Build the notice to the person whose follows expired in a channel where the bot cannot post that.

    `names` are those of all these meetings.
    """
    cause, fix = _refusal(reason, wording)
    days = round(FOLLOW_SECONDS / 86_400)
    if len(names) > 1:
        because, it = f"they haven't been live for {days} days", "them"
        command = f"`{wording.command} follow` and each meeting's ID"
    else:
        because, it = f"it hasn't been live for {days} days", "it"
        command = f"`{wording.command} follow {follow.meeting_id}`"
    how = f"{fix}, then type {command} there" if fix else f"type {command} there"
    text = f"I've stopped following {_list_names(names)} in <#{follow.channel_id}>: {because}. "
    return _notice(follow, f"{text}I couldn't post this there {cause}. To follow {it} again, {how}.", names)


def _refusal(reason: str, wording: Wording) -> tuple[str, str]:
    """Return why Slack refuses posts in a channel, and how to fix that (empty if unknown)."""
    cause, fix = _REFUSALS.get(_ALIASES.get(reason, reason), ("", ""))
    return cause or f"because Slack doesn't allow it ({escape(reason, MAX_WORD_LENGTH)})", wording.fill(fix)


def _notice(follow: Follow, text: str, names: Sequence[str | None]) -> Message:
    if len(names) > 1:
        return Message(text, (section(f":warning: {text}"),))
    return Message(
        f"{text} Meeting ID: {follow.meeting_id}.",
        (section(f":warning: {text}"), context([meeting(follow.meeting_id)])),
    )


def _list_names(names: Sequence[str | None]) -> str:
    """Return the first few names, and how many more meetings there are."""
    shown = [bold(escape(name, MAX_NAME_LENGTH)) for name in names if name][:MAX_NAMES_IN_NOTICE]
    more = max(1, len(names)) - len(shown)
    if not shown:
        return "a meeting" if more == 1 else f"{more} meetings"
    rest = [f"{more} more" if more > 1 else "another one"] if more else []
    listed = [*shown, *rest]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"

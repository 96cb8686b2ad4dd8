"""Builders for help and for replies about follows: values in, messages out."""

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from bot.domain.episode import Phase
from bot.domain.failed_calls import Failure
from bot.domain.follow import Follow, FollowState, Level
from bot.following.service import FollowEffect, FollowResult
from bot.slack.messages import lookup_card
from bot.slack.messages.message import Message, section
from bot.slack.messages.mrkdwn import bold, escape, format_date, format_plain_date, link
from bot.store.follow_list import FollowStatus
from bot.wording import DEFAULT, Wording

Permalink = Callable[[str, str], str | None]

LIST_BATCH_SIZE = 25
"""The number of meetings per message: a response_url accepts five messages; a channel follows up to 100 meetings."""
MAX_LISTED_NAME_LENGTH = 80
MAX_REASON_LENGTH = 40

HELP = (
    "*Check a meeting*\n"
    "`{command} &lt;meeting-id&gt;` – is it live, and where to watch. Links that contain the ID work too.",
    "*Follow in this channel*\n"
    "`{command} follow &lt;meeting-id&gt;` – status card here, updates in its thread\n"
    "`{command} follow &lt;meeting-id&gt; quiet` – card only\n"
    "`{command} follow &lt;meeting-id&gt; loud` – also post “live”, errors and “ended” in the channel\n"
    "`{command} follow &lt;meeting-id&gt; normal` – back to updates in the thread\n"
    "`{command} unfollow &lt;meeting-id&gt;` · `{command} following`",
    "*Where is the ID?* RealtimeKit dashboard → Meetings.",
)
"""The help's paragraphs, one section each."""
HELP_TEXT = (
    "{command} &lt;meeting-id&gt; checks if a meeting is live, and where to watch. "
    "{command} follow &lt;meeting-id&gt; posts a status card here, with updates in its thread. "
    "Add quiet (card only), loud (also post “live”, errors and “ended” in the channel) or normal after the ID. "
    "{command} unfollow &lt;meeting-id&gt; stops that. {command} following lists what this channel follows. "
    "Where is the ID? RealtimeKit dashboard → Meetings."
)
_HELP_IN_DIRECT_MESSAGE = (
    HELP[0],
    "*Follow a meeting*\nType `{command} follow &lt;meeting-id&gt;` in a channel, not here.",
    HELP[2],
)
_HELP_TEXT_IN_DIRECT_MESSAGE = (
    "{command} &lt;meeting-id&gt; checks if a meeting is live, and where to watch. "
    "To follow a meeting, type {command} follow &lt;meeting-id&gt; in a channel, not here. "
    "Where is the ID? RealtimeKit dashboard → Meetings."
)
REFRESHING = "Checking again. The card updates if something changed."
_NOTHING_FOLLOWED = "This channel isn't following any meetings. Start with `{command} follow &lt;meeting-id&gt;`."
NOTHING_FOLLOWED = DEFAULT.fill(_NOTHING_FOLLOWED)

_LEVEL_EFFECTS = {
    Level.QUIET: "only the card updates.",
    Level.NORMAL: "updates go to the card's thread.",
    Level.LOUD: "updates go to the card's thread, and “live”, errors and “ended” also to the channel.",
}
_LEVEL_LABELS = {
    Level.QUIET: "card only",
    Level.NORMAL: "updates in thread",
    Level.LOUD: "thread and channel",
}
_PHASES = {
    Phase.WAITING: (":white_circle:", "not live yet"),
    Phase.STARTING: (":large_yellow_circle:", "starting"),
    Phase.LIVE: (":red_circle:", "live"),
    Phase.INTERRUPTED: (":large_yellow_circle:", "reconnecting"),
    Phase.ERRORED: (":warning:", "error"),
    Phase.ENDED: (":white_check_mark:", "ended"),
}
_MISSING = (":grey_question:", "meeting not found")
_INVITE = "Type `/invite @{bot}` to continue. If I'm already here, repeat the follow command."
_FIXES = {
    "not_in_channel": f"I'm not in this channel. {_INVITE}",
    "channel_not_found": f"I'm not in this channel. {_INVITE}",
    "is_archived": "This channel is archived. Unarchive it and invite me back to continue.",
}
_NO_FIX = "Whoever runs this bot can see why with `livestream-bot doctor`. Then repeat the follow command."


def usage(wording: Wording = DEFAULT, *, is_direct: bool = False) -> Message:
    """Build the help, with the forms of the command that work here: only lookups in a direct message (`is_direct`)."""
    text, paragraphs = (_HELP_TEXT_IN_DIRECT_MESSAGE, _HELP_IN_DIRECT_MESSAGE) if is_direct else (HELP_TEXT, HELP)
    return Message(wording.fill(text), tuple(section(wording.fill(paragraph)) for paragraph in paragraphs))


def followed(
    result: FollowResult, permalink: Permalink, wording: Wording = DEFAULT, access_problem: str | None = None
) -> Message:
    """Build the reply to a request to follow; `access_problem` is Slack's code while it refuses the bot's access."""
    access_problem = access_problem or result.denied
    if result.effect is FollowEffect.QUEUED and access_problem:
        name = _display_name(result.name, result.follow.meeting_id)
        return lookup_card.notice(
            f"Following {name} here, but its card can't be posted yet.\n{_no_access(access_problem)}"
        )
    return _with_card(_followed_text(result, wording), result.follow, result.ts, permalink)


def _followed_text(result: FollowResult, wording: Wording) -> str:
    name = _display_name(result.name, result.follow.meeting_id)
    level = result.follow.level
    effect = _LEVEL_EFFECTS[level].capitalize()
    match result.effect:
        case FollowEffect.POSTED:
            return f"Now following {name} here. {effect}"
        case FollowEffect.QUEUED:
            delayed = "Slack hasn't accepted the card yet, so it will appear a bit later."
            return f"Now following {name} here. {effect} {delayed}"
        case FollowEffect.RESUMED:
            invite = f"If I'm not in this channel yet, type `/invite @{wording.bot}`."
            return f"Following {name} here again. {effect} {invite}"
        case FollowEffect.ALREADY_FOLLOWED:
            changed = f" *Set to {level}.* {effect}" if result.level_changed else ""
            return f"This channel already follows {name}.{changed}"


def unfollowed(listed: FollowStatus) -> Message:
    """Build the reply to the person who unfollowed a meeting."""
    return lookup_card.notice(f"Stopped following {_name(listed)} in this channel.")


def refreshing(follow: Follow, wording: Wording = DEFAULT) -> Message:
    """Build the reply to a request to check again; the card of a paused follow is not updated."""
    if follow.state is FollowState.PAUSED:
        return lookup_card.notice(f"This card is paused: {_pause_reason(follow.pause_reason, wording)}")
    return lookup_card.notice(REFRESHING)


def level_changed(follow: Follow, wording: Wording = DEFAULT) -> Message:
    """Build the reply that confirms a follow's new level, and says so if the follow is paused."""
    if follow.state is FollowState.PAUSED:
        return lookup_card.notice(f"Set to {follow.level}, but paused: {_pause_reason(follow.pause_reason, wording)}")
    return lookup_card.notice(f"Set to {follow.level}: {_LEVEL_EFFECTS[follow.level]}")


def listing(
    listed: list[FollowStatus],
    permalink: Permalink,
    wording: Wording = DEFAULT,
    access_problem: str | None = None,
    failing: Failure | None = None,
) -> list[Message]:
    """Build the list of meetings that a channel follows, in one or more messages.

    `access_problem` is Slack's code while it refuses the bot's access; `failing` is a failure that has lasted some
    minutes in this channel.
    """
    if not listed:
        return [lookup_card.notice(wording.fill(_NOTHING_FOLLOWED))]
    parts = [listed[start : start + LIST_BATCH_SIZE] for start in range(0, len(listed), LIST_BATCH_SIZE)]
    heading = f"This channel follows {len(listed)} meeting{'s' if len(listed) > 1 else ''}."
    if access_problem:
        heading = f"{heading}\n{_no_access(access_problem)}"
    elif failing:
        code = escape(failing.code, MAX_REASON_LENGTH)
        heading = (
            f"{heading}\n:warning: Slack hasn't accepted my updates here "
            f"{format_date(failing.since, 'since')} ({code}). I'll keep trying."
        )
    return [_part(heading if part is parts[0] else "", part, permalink, wording) for part in parts]


def _part(heading: str, listed: Iterable[FollowStatus], permalink: Permalink, wording: Wording) -> Message:
    text = [heading] if heading else []
    blocks = [section(heading)] if heading else []
    for each in listed:
        url = _url(each.follow, each.ts, permalink)
        phase = Phase(each.phase)
        emoji, state = _MISSING if each.is_missing and phase is Phase.WAITING else _PHASES[phase]
        meeting_id = f"meeting `{each.follow.meeting_id}`"
        facts = [state, _LEVEL_LABELS[each.follow.level], f"added by <@{each.follow.created_by}>"]
        blocks.append(
            section(
                "\n".join(
                    [
                        f"{emoji} {_title(each, url)} {' · '.join(facts)}",
                        *_status_notes(each, format_date, wording),
                        meeting_id,
                    ]
                )
            )
        )
        card = [f"card: {url}"] if url else []
        text.append(
            "; ".join(
                [
                    f"{_name(each)}: {state}",
                    *facts[1:],
                    *_status_notes(each, format_plain_date, wording),
                    meeting_id,
                    *card,
                ]
            )
        )
    return Message("\n".join(text), tuple(blocks))


def _title(listed: FollowStatus, url: str | None) -> str:
    """Return the meeting's name, linked to its card if there is one."""
    shown = escape(listed.name or "", MAX_LISTED_NAME_LENGTH)
    if url is None or not shown:
        return _name(listed) if url is None else f"*{link(url, 'This meeting')}*"
    return bold(link(url, shown))


def _status_notes(listed: FollowStatus, when: Callable[[datetime, str], str], wording: Wording) -> list[str]:
    """Return what is wrong with a follow: why it is paused, or that checks fail."""
    notes = []
    if listed.follow.state is FollowState.PAUSED:
        notes.append(f":warning: Paused: {_pause_reason(listed.follow.pause_reason, wording)}")
        if listed.follow.notice_error:
            notes.append(_not_notified(listed.follow.created_by, listed.follow.notice_error))
    if listed.failures:
        checked = f". {when(listed.last_checked_at, 'Last checked')}" if listed.last_checked_at else ""
        notes.append(f":warning: Can't get updates from Cloudflare{checked}")
    return notes


def _no_access(code: str) -> str:
    return (
        f":warning: Slack refuses this bot's access ({escape(code, MAX_REASON_LENGTH)}), so cards and threads aren't "
        "updated. Whoever runs this bot can find out why with `livestream-bot doctor`."
    )


def _not_notified(user: str, code: str) -> str:
    sentence = f"I couldn't send <@{user}> a direct message about it"
    if code == "messages_tab_disabled":
        return f"{sentence}: messages to this app are turned off. An admin can turn on its Messages tab (App Home)."
    return f"{sentence} ({escape(code, MAX_REASON_LENGTH)})."


def _pause_reason(reason: str | None, wording: Wording) -> str:
    code = f" ({escape(reason, MAX_REASON_LENGTH)})" if reason else ""
    return wording.fill(_FIXES.get(reason or "", "")) or f"Slack doesn't allow my messages here{code}. {_NO_FIX}"


def _with_card(sentence: str, follow: Follow, ts: str | None, permalink: Permalink) -> Message:
    url = _url(follow, ts, permalink)
    if url is None:
        return lookup_card.notice(sentence)
    return Message(f"{sentence} Its card: {url}", (section(f"{sentence} {link(url, 'See its card')}"),))


def _url(follow: Follow, ts: str | None, permalink: Permalink) -> str | None:
    return None if ts is None else permalink(follow.channel_id, ts)


def _name(listed: FollowStatus) -> str:
    return _display_name(listed.name, listed.follow.meeting_id)


def _display_name(name: str | None, meeting_id: UUID) -> str:
    shown = escape(name or "", MAX_LISTED_NAME_LENGTH)
    return bold(shown) if shown else f"meeting `{meeting_id}`"

"""What people are told about follows: values in, messages out."""

from collections.abc import Callable, Iterable
from uuid import UUID

from bot.following.following import Beginning, Begun
from bot.following.state import Phase
from bot.slack import cards
from bot.slack.blocks import bold, section
from bot.slack.messages import Message
from bot.slack.mrkdwn import clock, escaped, link, moment
from bot.store.follows import Listed
from bot.store.tables import FollowState, Volume
from bot.store.values import Follow

Permalink = Callable[[str, str], str | None]

LISTED_AT_ONCE = 25
"""A response_url takes five messages, and a channel follows a hundred meetings at most."""
LISTED_NAME_LIMIT = 80
REASON_LIMIT = 40

USAGE = (
    "`/livestream follow &lt;meeting-id&gt;` keeps a card of it in this channel, with each change in its thread; "
    "with `quiet` after the ID there is the card alone, with `loud` the channel hears “live” and “ended” too.\n"
    "`/livestream unfollow &lt;meeting-id&gt;` ends that, and `/livestream following` lists what this channel follows."
)
USAGE_TEXT = (
    "Type /livestream follow and the meeting ID to keep a card of it in this channel, with each change in the card's "
    "thread; quiet after the ID is the card alone, loud tells the channel too. Type /livestream unfollow and the "
    "meeting ID to end that, and /livestream following for what this channel follows."
)
REFRESHING = "Cloudflare is being asked again. The card changes if anything has."
NOTHING_FOLLOWED = (
    "This channel follows no meeting. Type `/livestream follow` and a meeting ID to have one followed here."
)

_BEGUN = {
    Begun.NOW: "from now on.",
    Begun.SOON: "from now on. Slack has not taken its card yet, so that comes later.",
    Begun.AGAIN: "again; it was paused. If I am not in this channel, type `/invite @Livestream` here.",
    Begun.BEFORE: "already.",
}
_HEARD = {
    Volume.QUIET: "There is the card alone, and no word of changes.",
    Volume.NORMAL: "Each change is told in the card's thread.",
    Volume.LOUD: "Each change is told in the card's thread, and “live” and “ended” in the channel too.",
}
_VOLUMES = {
    Volume.QUIET: "quiet (the card alone)",
    Volume.NORMAL: "normal (changes in the thread)",
    Volume.LOUD: "loud (“live” and “ended” in the channel too)",
}
_PHASES = {
    Phase.WAITING: "not broadcasting",
    Phase.STARTING: "starting",
    Phase.LIVE: "live",
    Phase.INTERRUPTED: "reconnecting",
    Phase.ERRORED: "error",
    Phase.ENDED: "ended",
}
_INVITE = "Type `/invite @Livestream` to go on; if I am here already, type the follow command again."
_REMEDIES = {
    "not_in_channel": f"I am not in this channel. {_INVITE}",
    "channel_not_found": f"I am not in this channel. {_INVITE}",
    "is_archived": "The channel is archived. It goes on when it is unarchived and I am in it.",
}
_NO_REMEDY = "Whoever runs the bot can see why with `livestream-bot doctor`; then type the follow command again."


def usage() -> Message:
    """How to use the command, in all its forms."""
    return Message(f"{cards.USAGE_TEXT} {USAGE_TEXT}", (section(f"{cards.USAGE}\n{USAGE}"),))


def begun(beginning: Beginning, permalink: Permalink) -> Message:
    """What came of a wish to follow."""
    name = _named(beginning.name, beginning.follow.meeting_id)
    said = f"This channel follows {name} {_BEGUN[beginning.begun]} {_HEARD[beginning.follow.volume]}"
    return _with_card(said, beginning.follow, beginning.ts, permalink)


def unfollowed(listed: Listed) -> Message:
    """This channel follows the meeting no longer, for who has ended it."""
    return cards.note(f"This channel does not follow {_name(listed)} any more.")


def as_loud(follow: Follow) -> Message:
    """How loud a follow is from now on."""
    return cards.note(f"From now on: {_VOLUMES[follow.volume]}.")


def listing(listed: list[Listed], permalink: Permalink) -> list[Message]:
    """What a channel follows, in as many messages as that takes; at least one."""
    if not listed:
        return [cards.note(NOTHING_FOLLOWED)]
    parts = [listed[start : start + LISTED_AT_ONCE] for start in range(0, len(listed), LISTED_AT_ONCE)]
    heading = f"This channel follows {len(listed)} meeting{'s' if len(listed) > 1 else ''}."
    return [_part(heading if part is parts[0] else "", part, permalink) for part in parts]


def _part(heading: str, listed: Iterable[Listed], permalink: Permalink) -> Message:
    text = [heading] if heading else []
    blocks = [section(heading)] if heading else []
    for each in listed:
        url = _url(each.follow, each.ts, permalink)
        title = f"{_name(each)}: {_PHASES[Phase(each.phase)]}"
        facts = [_VOLUMES[each.follow.volume], f"followed by <@{each.follow.created_by}>"]
        card = [link(url, "See its card")] if url else []
        blocks.append(section("\n".join([title, " · ".join([*facts, *_health(each), *card]), _id(each)])))
        text.append("; ".join([title, *facts, *_health(each, clock), _id(each), *([f"card: {url}"] if url else [])]))
    return Message("\n".join(text), tuple(blocks))


def _health(listed: Listed, when: Callable[..., str] = moment) -> list[str]:
    """Whether it works: why it is paused, whether Cloudflare answers, and when it did."""
    health = []
    if listed.follow.state is FollowState.PAUSED:
        health.append(f":warning: Paused: {_why_paused(listed.follow.reason)}")
    if listed.failures:
        times = "time" if listed.failures == 1 else f"{listed.failures} times"
        health.append(f":warning: Cloudflare has not answered the last {times}")
    checked = when(listed.looked_at) if listed.looked_at else "not yet"
    return [*health, f"checked {checked}"]


def _why_paused(reason: str | None) -> str:
    word = f" ({escaped(reason, REASON_LIMIT)})" if reason else ""
    return _REMEDIES.get(reason or "") or f"Slack refuses its messages{word}. {_NO_REMEDY}"


def _with_card(sentence: str, follow: Follow, ts: str | None, permalink: Permalink) -> Message:
    url = _url(follow, ts, permalink)
    if url is None:
        return cards.note(sentence)
    return Message(f"{sentence} Its card: {url}", (section(f"{sentence} {link(url, 'See its card')}"),))


def _url(follow: Follow, ts: str | None, permalink: Permalink) -> str | None:
    return None if ts is None else permalink(follow.channel_id, ts)


def _id(listed: Listed) -> str:
    return f"meeting `{listed.follow.meeting_id}`"


def _name(listed: Listed) -> str:
    return _named(listed.name, listed.follow.meeting_id)


def _named(name: str | None, meeting_id: UUID) -> str:
    shown = escaped(name or "", LISTED_NAME_LIMIT)
    return bold(shown) if shown else f"meeting `{meeting_id}`"

"""Builders for lookup cards and error messages: values in, messages out. No clock, no network."""

from dataclasses import dataclass
from uuid import UUID

from bot.domain.observation import Status
from bot.errors import BotError
from bot.realtimekit.lookup import Lookup, player_url
from bot.slack.messages.message import ActionValue, Block, Message, actions, button, context, section
from bot.slack.messages.mrkdwn import bold, escape, escape_entities, format_date, format_utc, link
from bot.wording import DEFAULT, Wording

WATCH, REFRESH, POST_HERE = "watch", "refresh", "post_here"
FOLLOW_HERE, FOLLOW_AGAIN, FOLLOW_MENU = "follow_here", "follow_again", "follow_menu"
ACTIONS = (REFRESH, POST_HERE, FOLLOW_HERE, FOLLOW_AGAIN, FOLLOW_MENU)
"""The actions that the bot handles. *Watch* is not among them: Slack opens its link by itself."""

# Slack accepts 3,000 characters in a section and 4,000 in the text of an edit, where an escaped "&" counts as five.
MAX_NAME_LENGTH = 150
MAX_REASON_LENGTH = 400
MAX_WORD_LENGTH = 40
MAX_LINK_LENGTH = 2_000
MAX_IDS = 5
UNNAMED = "This meeting"
NO_REASON = "Cloudflare gave no reason."
_STATUS_PAGE = "cloudflarestatus.com"


Again = tuple[str, ActionValue]
"""A button's action ID and state."""


@dataclass(frozen=True, slots=True)
class _StatusText:
    """The wording for one status, on a card and in a sentence."""

    emoji: str
    title: str
    more: str
    sentence: str


def lookup_card(
    lookup: Lookup, *, posted_by: str | None = None, posted_as: str = "", is_direct: bool = False
) -> Message:
    """Build the private answer to a lookup or, with the ID of the user who posted it, the card a channel sees.

    Slack notifies the people mentioned in a new message, so a new card shows the user's name (`posted_as`) instead of a
    mention; its first edit mentions the user.
    In a direct message (`is_direct`) the card leaves out the buttons that work only in channels.
    """
    state = ActionValue(m=str(lookup.meeting_id), by=posted_by)
    words = _status_text(lookup)
    name = escape(lookup.name or "", MAX_NAME_LENGTH) or UNNAMED
    headline = f"{bold(name)}\n{words.emoji} *{words.title}*{words.more}"
    playback = shown_link(lookup.playback_url)
    blocks = [
        section(headline),
        *([playback_link(playback)] if playback else []),
        _buttons(lookup, state, is_direct=is_direct),
        context(_footer(lookup, posted_by, posted_as)),
    ]
    text = f"{name} {words.sentence}".rstrip(".")
    watch = f" Watch: {escape_entities(playback)}" if playback else ""
    return Message(f"{text}.{watch}", tuple(blocks))


def error_message(
    error: BotError, meeting_id: UUID | None = None, wording: Wording = DEFAULT, again: Again | None = None
) -> Message:
    """Build an error message: what went wrong, what to do, and a *Try again* button if the error may pass.

    `again` is what the button does; by default it looks the meeting up.
    """
    sentence = wording.fill(error.template)
    blocks = [section(f":warning: {sentence.replace(_STATUS_PAGE, link(f'https://www.{_STATUS_PAGE}', _STATUS_PAGE))}")]
    if meeting_id is not None:
        if error.can_pass:
            action, state = again or (REFRESH, ActionValue(m=str(meeting_id)))
            blocks.append(actions(button("Try again", action, state)))
        blocks.append(context([meeting(meeting_id)]))
    return Message(sentence, tuple(blocks))


def ambiguous(meeting_ids: tuple[UUID, ...]) -> Message:
    """Build the message that asks for a single meeting ID if a person sent several."""
    shown = ", ".join(f"`{meeting_id}`" for meeting_id in meeting_ids[:MAX_IDS])
    more = f" and {len(meeting_ids) - MAX_IDS} more" if len(meeting_ids) > MAX_IDS else ""
    sentence = f"I found {len(meeting_ids)} meeting IDs: {shown}{more}. Please send one at a time."
    return Message(sentence.replace("`", ""), (section(sentence),))


def internal_error(reference: str) -> Message:
    """Build the message for an unexpected error; the log has the same reference."""
    sentence = (
        f"Something went wrong on my side. Try again; if it keeps happening, give whoever runs this bot the reference "
        f"{reference}."
    )
    return Message(sentence, (section(f":warning: {sentence}"),))


def notice(sentence: str) -> Message:
    """Build a message of one sentence, which is not escaped."""
    return Message(sentence, (section(sentence),))


def _status_text(lookup: Lookup) -> _StatusText:
    match lookup.status:
        case Status.LIVE:
            since = lookup.live_since
            if since is None:
                return _StatusText(":red_circle:", "Live", "", "is live")
            return _StatusText(
                ":red_circle:", "Live", f" · {format_date(since, 'started')}", f"is live. Started {format_utc(since)}"
            )
        case Status.STARTING:
            return _StatusText(":large_yellow_circle:", "Starting", "\nNo video yet.", "is starting. No video yet")
        case Status.NOT_BROADCASTING:
            return _StatusText(":white_circle:", "Not live", "", "is not live")
        case Status.ERRORED:
            reason = escape(lookup.error_reason or "", MAX_REASON_LENGTH) or NO_REASON
            return _StatusText(":warning:", "Error", f"\n{reason}", f"has an error: {reason}")
        case Status.UNKNOWN:
            word = escape(lookup.livestream.raw_status or "", MAX_WORD_LENGTH) if lookup.livestream else ""
            text = unknown_status(word)
            return _StatusText(":grey_question:", "Unknown status", f"\n{text}", f"has an unknown status. {text}")


def _buttons(lookup: Lookup, state: ActionValue, *, is_direct: bool) -> Block:
    playback = lookup.playback_url
    watch = []
    if playback and lookup.status is Status.LIVE:
        watch = [watch_button(playback, state)]
    private = (
        [("Post here", POST_HERE), ("Follow here", FOLLOW_HERE)] if state.posted_by is None and not is_direct else []
    )
    return actions(*watch, button("Refresh", REFRESH, state), *(button(*each, state) for each in private))


def _footer(lookup: Lookup, posted_by: str | None, posted_as: str) -> list[str]:
    disabled = lookup.livestream is not None and lookup.livestream.disabled
    return [
        format_date(lookup.checked_at, "Checked"),
        *([f"Posted by {escape(posted_as, MAX_NAME_LENGTH) or f'<@{posted_by}>'}"] if posted_by else []),
        *(["Disabled in RealtimeKit"] if disabled else []),
        meeting(lookup.meeting_id),
    ]


def unknown_status(word: str) -> str:
    """Describe a status that the bot does not know; `word` is what Cloudflare reports, already escaped."""
    return (
        f"Cloudflare reports “{word}”, a status this bot doesn't recognize."
        if word
        else "Cloudflare reports no status."
    )


def shown_link(playback_url: str | None) -> str | None:
    """Return the playback URL, or None if escaping makes it too long for a message; the button takes it anyway."""
    fits = playback_url and len(escape_entities(playback_url)) <= MAX_LINK_LENGTH
    return playback_url if fits else None


def playback_link(playback_url: str) -> Block:
    """Build a paragraph with a short label that links to the playback URL."""
    return section(link(playback_url, "Playback link"))


def watch_button(playback_url: str, state: ActionValue) -> Block:
    """Build the button that opens the player."""
    return {**button("Watch", WATCH, state), "url": player_url(playback_url), "style": "primary"}


def meeting(meeting_id: UUID) -> str:
    """Return the meeting's ID as small print."""
    return f"Meeting `{meeting_id}`"

"""The errors that the bot foresees and explains.

    BotError
    ├── RealtimeKitError          a request to Cloudflare failed:
    │   ├── MeetingNotFound       the app has no meeting with this ID
    │   ├── AuthenticationFailed  Cloudflare refuses the token, the account or the app
    │   └── CloudflareUnavailable the answer says nothing about the meeting:
    │       ├── RateLimited       Cloudflare limits the rate of requests
    │       │   └── LookupsLimited  people have used up their share of the rate limit
    │       ├── Unreachable       Cloudflare, or the network to it, is down or too slow
    │       │   └── ServerError   Cloudflare answered with a server error
    │       └── InvalidResponse   the answer has an unexpected form
    ├── SlackError                a request to Slack failed:
    │   ├── NotInChannel          the bot is not in the channel
    │   ├── DirectMessageNotSupported  the bot cannot join a direct message between other people
    │   ├── ChannelArchived       the channel is archived
    │   ├── SlackBusy             Slack limits the rate of requests
    │   ├── SlackUnconfirmed      Slack did not confirm the request
    │   ├── SlackUnreachable      no connection to Slack could be opened
    │   ├── SlackAccessDenied     Slack refuses the token, or the token lacks a permission
    │   └── SlackRejected         Slack refuses for another reason
    ├── DatabaseUnavailable       the database failed
    ├── FollowError               an action on a follow failed and changed nothing:
    │   ├── NotFollowing          the channel does not follow this meeting
    │   ├── OtherWorkspace        the person belongs to another workspace
    │   ├── ChannelRequired       only channels can follow meetings
    │   └── FollowLimitReached    the channel follows the maximum number of meetings
    ├── StillConnecting           Slack has not yet reported where the bot is installed
    ├── TooFast                   one person sends too many requests
    ├── InvalidInteraction        a click or command lacks its data
    └── ConfigurationError        the settings are wrong

`user_message` is the sentence that people read. `detail` is only for the log.
"""

from bot.wording import DEFAULT


class BotError(Exception):
    """An error that the bot foresees and can explain.

    `code` names it in metrics, logs and JSON, and stays the same when the class is renamed.
    """

    code = "error"
    user_message = "Something went wrong."
    can_pass = False
    """Whether trying again may help, after following the message's advice."""

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail

    @property
    def template(self) -> str:
        """What happened and what to do next, as mrkdwn for `Wording.fill`; it contains only the bot's own text."""
        return self.user_message

    @property
    def sentence(self) -> str:
        """The template with the default names of the bot and its command."""
        return DEFAULT.fill(self.template)


class RealtimeKitError(BotError):
    """A request to Cloudflare RealtimeKit failed."""

    code = "cloudflare_error"
    user_message = "Cloudflare didn't answer."


class MeetingNotFound(RealtimeKitError):
    """Cloudflare has no meeting with this ID in the app."""

    code = "meeting_not_found"
    user_message = "No meeting has this ID. Check that you copied the meeting's ID, not its livestream's."


class AuthenticationFailed(RealtimeKitError):
    """Cloudflare refuses the token, the account or the app."""

    code = "authentication_failed"
    user_message = (
        "I can't access Cloudflare right now, so I can't look up meetings. Whoever runs this bot can find out why with "
        "`livestream-bot doctor`."
    )


class CloudflareUnavailable(RealtimeKitError):
    """Cloudflare's answer, or the lack of one, says nothing about the meeting."""

    code = "cloudflare_unavailable"
    can_pass = True
    user_message = "Cloudflare didn't answer, so I can't tell if this meeting is live. Try again in a minute."


class RateLimited(CloudflareUnavailable):
    """Cloudflare limits the rate of this bot's requests."""

    code = "rate_limited"
    user_message = "Cloudflare is rate-limiting this bot."

    def __init__(self, retry_after: float, *, detail: str = "") -> None:
        super().__init__(detail=detail)
        self.retry_after = retry_after
        """Seconds until Cloudflare accepts requests again."""

    @property
    def template(self) -> str:
        return f"{self.user_message} Try again in {_spoken(self.retry_after)}."


class LookupsLimited(RateLimited):
    """People have used up their share of the requests that Cloudflare accepts."""

    code = "lookups_limited"
    user_message = "Too many lookups at the moment, so I can't tell if this meeting is live."


class Unreachable(CloudflareUnavailable):
    """Cloudflare, or the network to it, is down or too slow."""

    code = "unreachable"
    user_message = (
        "Cloudflare isn't responding, so I can't tell if this meeting is live. Try again in a minute, or see "
        "cloudflarestatus.com."
    )


class ServerError(Unreachable):
    """Cloudflare answered with a server error."""

    code = "server_error"
    user_message = (
        "Cloudflare is having problems (HTTP {status}), so I can't tell if this meeting is live. Try again in a "
        "minute, or see cloudflarestatus.com."
    )

    def __init__(self, status: int, *, detail: str = "") -> None:
        super().__init__(detail=detail)
        self.status = status

    @property
    def template(self) -> str:
        return self.user_message.replace("{status}", str(self.status))


class InvalidResponse(CloudflareUnavailable):
    """Cloudflare's answer has an unexpected form."""

    code = "invalid_response"
    user_message = (
        "Cloudflare sent an unexpected answer, so I can't tell if this meeting is live. Try again in a minute; if it "
        "keeps happening, tell whoever runs this bot."
    )


class SlackError(BotError):
    """A request to Slack failed."""

    code = "slack_error"
    user_message = "Slack didn't do that."


class NotInChannel(SlackError):
    """The bot is not in the channel."""

    code = "not_in_channel"
    can_pass = True
    user_message = "I'm not in this channel yet. Type `/invite @{bot}`, then try again."


class DirectMessageNotSupported(SlackError):
    """The bot cannot join a direct message between other people."""

    code = "direct_message_not_supported"
    user_message = "I can't post in this direct message. Try it in a channel."


class ChannelArchived(SlackError):
    """The channel is archived."""

    code = "channel_archived"
    user_message = "This channel is archived, so I can't post here. Unarchive it, or try another channel."


class SlackBusy(SlackError):
    """Slack limits the rate of posts."""

    code = "slack_rate_limited"
    can_pass = True
    user_message = "Slack is rate-limiting this bot, so nothing was posted. Try again in a minute."


class SlackUnconfirmed(SlackError):
    """Slack did not confirm whether a request succeeded."""

    code = "slack_unconfirmed"
    user_message = "Slack didn't confirm that this worked. Check the channel before you try again."


class SlackUnreachable(SlackError):
    """No connection to Slack could be opened."""

    code = "slack_unreachable"
    can_pass = True
    user_message = "I can't reach Slack to post here, so nothing was posted. Try again in a minute."


class SlackAccessDenied(SlackError):
    """Slack refuses the bot token, or the token lacks a permission."""

    code = "slack_token_rejected"
    user_message = (
        "Slack refuses this bot's access, so I can't post or update anything. Whoever runs this bot can find out why "
        "with `livestream-bot doctor`."
    )


class SlackRejected(SlackError):
    """Slack refuses for a reason that has no class of its own."""

    code = "slack_rejected"
    user_message = "Slack didn't allow that here. Whoever runs this bot can see why in its log."


class DatabaseUnavailable(BotError):
    """The database cannot be reached, or failed."""

    code = "database_unavailable"
    can_pass = True
    user_message = (
        "I can't reach my database right now, so I can't show or change what this channel follows. Try again in a "
        "minute."
    )


class FollowError(BotError):
    """An action on a follow failed and changed nothing."""

    code = "follow_failed"
    user_message = "Nothing changed in what this channel follows."


class NotFollowing(FollowError):
    """The channel does not follow the meeting."""

    code = "not_following"
    user_message = "This channel isn't following that meeting. `{command} following` lists the ones it follows."


class OtherWorkspace(FollowError):
    """The person belongs to another workspace that shares the channel, and may not change follows."""

    code = "other_workspace"
    user_message = (
        "Only people in the workspace that installed me can do that, so nothing changed. Ask one of them to do it here."
    )


class ChannelRequired(FollowError):
    """Only channels can follow meetings."""

    code = "channel_required"
    user_message = "I can only follow meetings in channels. Run this in a channel."


class FollowLimitReached(FollowError):
    """The channel already follows the maximum number of meetings."""

    code = "follow_limit_reached"
    user_message = "This channel already follows 100 meetings, the limit. Unfollow one first."


class StillConnecting(BotError):
    """Slack has not yet reported where the bot is installed, so the bot cannot recognize its members."""

    code = "still_connecting"
    can_pass = True
    user_message = "I'm still connecting to Slack. Try again in a minute."


class TooFast(BotError):
    """One person sends requests faster than anyone needs to."""

    code = "too_fast"
    user_message = "That was a lot at once, so I skipped this one."

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after
        """Seconds until the next command or click is accepted."""

    @property
    def template(self) -> str:
        return f"{self.user_message} Try again in {_spoken(self.retry_after)}."


class InvalidInteraction(BotError):
    """A click or command lacks the data it needs."""

    code = "invalid_interaction"
    user_message = "This message is too old to use. Type `{command}` and the meeting ID for a new one."


class ConfigurationError(BotError):
    """The settings are wrong."""

    code = "invalid_settings"
    user_message = "The settings are wrong."

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(detail=" ".join(mistakes))
        self.mistakes = mistakes
        """One sentence for each mistake."""


def _spoken(seconds: float) -> str:
    if seconds <= 90:
        whole = max(1, round(seconds))
        return f"{whole} second{'s' if whole != 1 else ''}"
    return f"about {round(seconds / 60)} minutes"

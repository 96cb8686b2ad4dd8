"""Every way in which the bot fails on purpose.

    BotError
    ├── RealtimeKitError       Cloudflare was asked, and:
    │   ├── NoSuchMeeting      it knows no meeting of this id
    │   ├── NotAuthorised      it refuses our token, account or app
    │   └── CouldNotAsk        it gave no answer that says anything about the meeting:
    │       ├── RateLimited    it told us to wait
    │       ├── Unreachable    it is down, too slow, or the way to it is
    │       └── Malformed      it answered what we cannot understand
    ├── SlackError             Slack did not do what it was asked:
    │   ├── CannotPost         the bot is not in the channel
    │   ├── NotInvitable       it cannot be, since this is a direct message between others
    │   ├── ChannelArchived    nobody can post in it
    │   ├── SlackBusy          it told us to wait
    │   ├── SlackSilent        it did not say whether it did
    │   └── SlackRefuses       it will not, for another reason
    ├── StoreUnreachable       the database did not do what it was asked
    ├── FollowError            what a channel follows stays as it is:
    │   ├── NotFollowed        it does not follow this meeting
    │   ├── NotInDirectMessages  only channels follow
    │   └── TooManyFollows     it follows as many as it can
    ├── NotUnderstood          a click or a command came without what it needs
    └── ConfigurationError     the settings are wrong

The docstring of each is the sentence that a person reads. `detail` is for the log alone.
"""

import inspect


class BotError(Exception):
    """Something went wrong."""

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(detail or type(self).__name__)
        self.detail = detail

    @property
    def sentence(self) -> str:
        """What happened and what to do next, in plain text that comes from this program alone."""
        return inspect.cleandoc(type(self).__doc__ or "").replace("\n", " ")


class RealtimeKitError(BotError):
    """Cloudflare RealtimeKit could not answer."""


class NoSuchMeeting(RealtimeKitError):
    """There is no meeting with this ID in the RealtimeKit app. Check the ID: it is the one in the meeting's own
    page or API answer, not the ID of its livestream."""


class NotAuthorised(RealtimeKitError):
    """Cloudflare refuses this bot's access, so it cannot look up any meeting. Whoever runs the bot needs to check its
    Cloudflare API token, account ID and RealtimeKit app ID; `livestream-bot doctor` says which of them is wrong."""


class CouldNotAsk(RealtimeKitError):
    """Cloudflare could not be asked, so it is unknown whether this meeting is live. Try again in a minute."""


class RateLimited(CouldNotAsk):
    """Cloudflare has had too many questions from this bot and asks it to wait, so it is unknown whether this meeting
    is live."""

    def __init__(self, retry_after: float, *, detail: str = "") -> None:
        super().__init__(detail=detail)
        self.retry_after = retry_after
        """Seconds until Cloudflare takes questions again."""

    @property
    def sentence(self) -> str:
        return f"{super().sentence} Try again in {_spoken(self.retry_after)}."


class Unreachable(CouldNotAsk):
    """Cloudflare cannot be reached right now, so it is unknown whether this meeting is live. Try again in a minute;
    if it goes on, see cloudflarestatus.com."""


class Malformed(CouldNotAsk):
    """Cloudflare gave an answer that this bot does not understand, so it is unknown whether this meeting is live. Try
    again in a minute; if it goes on, tell whoever runs the bot."""


class SlackError(BotError):
    """Slack did not do what this bot asked of it."""


class CannotPost(SlackError):
    """I am not in this channel, so I can't post here. Type `/invite @Livestream` here, then try again."""


class NotInvitable(SlackError):
    """I can't post in a direct message between others. Ask in a channel, and post it there."""


class ChannelArchived(SlackError):
    """This channel is archived, so nothing can be posted in it. Unarchive it, or ask in another channel."""


class SlackBusy(SlackError):
    """Slack asks this bot to wait before it posts here again, so nothing was posted. Try again in a minute."""


class SlackSilent(SlackError):
    """Slack did not confirm that it did this. Look at the channel before you try again."""


class SlackRefuses(SlackError):
    """Slack does not let this bot do that here. Whoever runs the bot can see why in its log, and with
    `livestream-bot doctor`."""


class StoreUnreachable(BotError):
    """This bot cannot get at its memory right now, so it does not know what this channel follows. Try again in a
    minute; if it goes on, tell whoever runs the bot."""


class FollowError(BotError):
    """What this channel follows stays as it is."""


class NotFollowed(FollowError):
    """This channel does not follow this meeting. Type `/livestream following` to see what it follows."""


class NotInDirectMessages(FollowError):
    """I can follow a meeting in a channel only, not in a direct message. Type the command in a channel."""


class TooManyFollows(FollowError):
    """This channel follows 100 meetings, and more do not fit. Type `/livestream following` to see them, and unfollow
    one of them first."""


class NotUnderstood(BotError):
    """This message is from another version of this bot, which I do not understand. Type `/livestream` and the meeting
    ID to get a new one."""


class ConfigurationError(BotError):
    """The settings are wrong."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(detail=" ".join(mistakes))
        self.mistakes = mistakes
        """One sentence for each."""


def _spoken(seconds: float) -> str:
    if seconds <= 90:
        whole = max(1, round(seconds))
        return f"{whole} second{'s' if whole != 1 else ''}"
    return f"about {round(seconds / 60)} minutes"

"""The sentences that people read when something fails."""

import inspect
import re
from collections.abc import Iterator

import pytest

from bot import errors
from bot.errors import (
    AuthenticationFailed,
    BotError,
    ChannelArchived,
    ChannelRequired,
    CloudflareUnavailable,
    ConfigurationError,
    DirectMessageNotSupported,
    FollowLimitReached,
    InvalidInteraction,
    InvalidResponse,
    LookupsLimited,
    MeetingNotFound,
    NotFollowing,
    NotInChannel,
    RateLimited,
    RealtimeKitError,
    ServerError,
    SlackAccessDenied,
    SlackBusy,
    SlackRejected,
    SlackUnconfirmed,
    SlackUnreachable,
    TooFast,
    Unreachable,
)


def subclasses_of(error: type[BotError]) -> Iterator[type[BotError]]:
    for child in error.__subclasses__():
        yield child
        yield from subclasses_of(child)


def example_of(error: type[BotError]) -> BotError:
    if error is ConfigurationError:
        return ConfigurationError([])
    return error(45) if issubclass(error, RateLimited | TooFast | ServerError) else error()


@pytest.mark.parametrize(
    ("error", "happened", "to_do"),
    [
        (MeetingNotFound(), "No meeting has this ID", "Check that you copied"),
        (AuthenticationFailed(), "I can't access Cloudflare right now", "Whoever runs this bot can find out why"),
        (CloudflareUnavailable(), "I can't tell if this meeting is live", "Try again in a minute"),
        (RateLimited(45), "Cloudflare is rate-limiting this bot.", "Try again in 45 seconds."),
        (LookupsLimited(30), "Too many lookups at the moment", "Try again in 30 seconds."),
        (TooFast(2), "That was a lot at once", "Try again in 2 seconds."),
        (ServerError(502), "Cloudflare is having problems (HTTP 502)", "Try again in a minute"),
        (Unreachable(), "Cloudflare isn't responding", "Try again in a minute"),
        (InvalidResponse(), "Cloudflare sent an unexpected answer", "Try again in a minute"),
        (NotInChannel(), "I'm not in this channel yet", "Type `/invite @Livestream`"),
        (DirectMessageNotSupported(), "I can't post in this direct message", "Try it in a channel"),
        (ChannelArchived(), "This channel is archived", "Unarchive it, or try another channel."),
        (SlackBusy(), "nothing was posted", "Try again in a minute."),
        (SlackUnconfirmed(), "Slack didn't confirm", "Check the channel before you try again."),
        (SlackUnreachable(), "I can't reach Slack", "Try again in a minute."),
        (SlackAccessDenied(), "Slack refuses this bot's access", "Whoever runs this bot can find out why"),
        (SlackRejected(), "Slack didn't allow that here", "Whoever runs this bot can see why"),
        (NotFollowing(), "This channel isn't following that meeting", "`/livestream following`"),
        (ChannelRequired(), "I can only follow meetings in channels", "Run this in a channel."),
        (FollowLimitReached(), "This channel already follows 100 meetings", "Unfollow one first."),
        (InvalidInteraction(), "This message is too old to use", "Type `/livestream`"),
    ],
)
def test_sentence_says_what_happened_and_what_to_do(error: BotError, happened: str, to_do: str) -> None:
    sentence = error.sentence

    assert happened in sentence
    assert to_do in sentence
    assert sentence.index(happened) < sentence.index(to_do)


@pytest.mark.parametrize("error", list(subclasses_of(BotError)))
def test_every_sentence_is_one_printable_line(error: type[BotError]) -> None:
    sentence = example_of(error).sentence

    assert sentence == " ".join(sentence.split())
    assert sentence.endswith(".")
    assert not set(sentence) & set("<>&*")
    assert sentence.isprintable()


@pytest.mark.parametrize(
    ("seconds", "spoken"),
    [
        (0, "1 second"),
        (0.4, "1 second"),
        (1, "1 second"),
        (1.6, "2 seconds"),
        (45, "45 seconds"),
        (90, "90 seconds"),
        (91, "about 2 minutes"),
        (120, "about 2 minutes"),
        (240, "about 4 minutes"),
        (3600, "about 60 minutes"),
    ],
)
def test_wait_is_given_in_seconds_or_minutes(seconds: float, spoken: str) -> None:
    error = RateLimited(seconds)

    assert error.sentence.endswith(f"this bot. Try again in {spoken}.")
    assert error.retry_after == seconds


def test_detail_is_logged_but_not_in_the_sentence() -> None:
    error = Unreachable(detail="HTTP 502")

    assert (error.detail, str(error)) == ("HTTP 502", "HTTP 502")
    assert "502" not in error.sentence


def test_error_without_a_detail_is_logged_by_its_code() -> None:
    assert str(Unreachable()) == "unreachable"
    assert Unreachable().detail == ""


def test_configuration_error_lists_every_mistake() -> None:
    error = ConfigurationError(["PORT is not right.", "HOST is not set."])

    assert error.mistakes == ["PORT is not right.", "HOST is not set."]
    assert str(error) == "PORT is not right. HOST is not set."


@pytest.mark.parametrize("error", [CloudflareUnavailable, RateLimited, Unreachable, InvalidResponse])
def test_cloudflare_errors_share_their_base_classes(error: type[BotError]) -> None:
    assert issubclass(error, CloudflareUnavailable)
    assert issubclass(error, RealtimeKitError)


def test_docstring_draws_the_whole_class_tree() -> None:
    drawing = inspect.getdoc(errors) or ""
    lines = [line for line in drawing.splitlines() if "──" in line]
    drawn = {line.split("── ")[1].split()[0]: line.index("──") for line in lines}

    assert set(drawn) == {error.__name__ for error in subclasses_of(BotError)}
    for error in subclasses_of(BotError):
        parent = error.__mro__[1]
        assert drawn[error.__name__] > drawn.get(parent.__name__, -1)


def test_each_error_has_a_unique_snake_case_code() -> None:
    every = [error for error in subclasses_of(BotError) if error.__module__.startswith("bot.")]

    assert all("code" in vars(error) for error in every)
    assert len({error.code for error in every}) == len(every)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code) for error in every)

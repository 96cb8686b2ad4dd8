"""What a person means by what they typed."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.commands import (
    FOLLOW_WHAT,
    NO_SUCH_VOLUME,
    NOTHING_MORE,
    UNFOLLOW_WHAT,
    Command,
    FollowMeeting,
    Help,
    ListFollows,
    LookUp,
    Mistake,
    UnfollowMeeting,
    WhichOne,
    read_command,
)
from bot.store.tables import Volume

ID, OTHER = "50c8940e-1b97-402a-97d6-2708b7feca41", "11111111-2222-4333-8444-555555555555"
MEETING = UUID(ID)
BOTH = WhichOne((MEETING, UUID(OTHER)))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (ID, LookUp(MEETING)),
        (f"is {ID} live?", LookUp(MEETING)),
        (f"help {ID}", LookUp(MEETING)),
        (f"following {ID}", LookUp(MEETING)),
        (f"followed {ID}", LookUp(MEETING)),
        (f"please follow {ID}", LookUp(MEETING)),
        (f"{ID} {OTHER}", BOTH),
        ("", Help()),
        ("  ", Help()),
        ("help", Help()),
        ("HELP", Help()),
        ("what is this?", Help()),
        ("following", ListFollows()),
        ("  Following  ", ListFollows()),
        ("following please", ListFollows()),
        (f"follow {ID}", FollowMeeting(MEETING, None)),
        (f"FOLLOW {ID.upper()}", FollowMeeting(MEETING, None)),
        (f"follow\t{ID}\n", FollowMeeting(MEETING, None)),
        (f"follow {ID} {ID}", FollowMeeting(MEETING, None)),
        (f"follow {ID} quiet", FollowMeeting(MEETING, Volume.QUIET)),
        (f"follow {ID} Loud", FollowMeeting(MEETING, Volume.LOUD)),
        (f"follow {ID} normal", FollowMeeting(MEETING, Volume.NORMAL)),
        (f"follow loud {ID}", FollowMeeting(MEETING, Volume.LOUD)),
        (f"follow {ID}, `quiet`!", FollowMeeting(MEETING, Volume.QUIET)),
        (f"follow `{ID}` &gt; quiet", Mistake(NO_SUCH_VOLUME)),
        (
            f"follow <https://dash.example.com/meetings/{ID}?a=b|our big meeting> loud",
            FollowMeeting(MEETING, Volume.LOUD),
        ),
        (f"follow https://dash.example.com/meetings/{ID}", FollowMeeting(MEETING, None)),
        (f"unfollow {ID}", UnfollowMeeting(MEETING)),
        (f"Unfollow <https://dash.example.com/{ID}|our meeting>", UnfollowMeeting(MEETING)),
    ],
)
def test_understood(text: str, command: Command) -> None:
    """The first word says what to do, in any case; without one it is a question about a meeting."""
    assert read_command(text) == command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("follow", Mistake(FOLLOW_WHAT)),
        ("follow me", Mistake(FOLLOW_WHAT)),
        ("follow quiet", Mistake(FOLLOW_WHAT)),
        ("follow 1234", Mistake(FOLLOW_WHAT)),
        (f"follow {ID} {OTHER}", BOTH),
        (f"follow {ID} louder", Mistake(NO_SUCH_VOLUME)),
        (f"follow {ID} quiet loud", Mistake(NO_SUCH_VOLUME)),
        (f"follow {ID} <!channel>", Mistake(NO_SUCH_VOLUME)),
        (f"follow {ID} <https://example.com|quiet>", Mistake(NO_SUCH_VOLUME)),
        ("unfollow", Mistake(UNFOLLOW_WHAT)),
        ("unfollow everything", Mistake(UNFOLLOW_WHAT)),
        (f"unfollow {ID} {OTHER}", BOTH),
        (f"unfollow {ID} quiet", Mistake(NOTHING_MORE)),
    ],
)
def test_not_understood(text: str, command: Command) -> None:
    """What is missing, too much or unknown is said, and nothing is guessed."""
    assert read_command(text) == command


def test_too_long() -> None:
    """A text that is too long to be read is answered with how the command is used."""
    assert read_command(f"follow {ID} " + "x" * 3_000) == Help()


@given(
    st.text() | st.builds("{} {} {}".format, st.sampled_from(["follow", "unfollow", "following"]), st.text(), st.text())
)
def test_any_text(text: str) -> None:
    """No text breaks it, and no answer to a mistake repeats what was typed."""
    command = read_command(text)

    if isinstance(command, Mistake):
        assert command.sentence in (FOLLOW_WHAT, UNFOLLOW_WHAT, NO_SUCH_VOLUME, NOTHING_MORE)


@given(st.sampled_from([None, *Volume]), st.booleans(), st.uuids())
def test_any_follow(volume: Volume | None, before: bool, meeting_id: UUID) -> None:
    """A volume is understood before and after the ID."""
    words = [str(meeting_id), *([volume.value.upper()] if volume else [])]

    command = read_command(" ".join(["follow", *(reversed(words) if before else words)]))

    assert command == FollowMeeting(meeting_id, volume)

"""What a person means by what they typed."""

import re
import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.follow import Level
from bot.slack.command_parser import (
    FOLLOW_WHICH,
    NO_ID,
    NOTHING_MORE,
    UNFOLLOW_WHICH,
    UNKNOWN_LEVEL,
    AmbiguousMeeting,
    Command,
    FollowCommand,
    HelpCommand,
    ListFollowsCommand,
    LookupCommand,
    UnfollowCommand,
    UsageError,
    read_command,
)
from bot.slack.meeting_ids import OneMeeting, read_meeting_id

ID, OTHER = "50c8940e-1b97-402a-97d6-2708b7feca41", "11111111-2222-4333-8444-555555555555"
MEETING = UUID(ID)
KNOWN_SENTENCES = (
    *(FOLLOW_WHICH, UNFOLLOW_WHICH, UNKNOWN_LEVEL, NOTHING_MORE, NO_ID),
    "I didn't understand that, so nothing changed. To check this meeting, type `/livestream ID`.",
    "That looks like a meeting ID, but it has letters that no ID has (only 0–9 and a–f). Copy it again.",
)
MADE_SENTENCES = (
    r"I didn't understand that, so nothing changed\. "
    r"Did you mean `/livestream [a-z ]+( ID|&lt;meeting-id&gt;)?[a-z ]*`\?"
    r"|That looks like a meeting ID, but it's (one|\d+) characters? (short|too long)\. Copy it again\."
)
BOTH = AmbiguousMeeting((MEETING, UUID(OTHER)))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (ID, LookupCommand(MEETING)),
        (f"is {ID} live?", LookupCommand(MEETING)),
        (f"meeting `{ID}`", LookupCommand(MEETING)),
        (f"<https://dash.example.com/unfollow/{ID}|stop this>", LookupCommand(MEETING)),
        (f"/livestream {ID}", LookupCommand(MEETING)),
        (f"/livestream follow {ID} loud", FollowCommand(MEETING, Level.LOUD)),
        (f"/LiveStream unfollow {ID}", UnfollowCommand(MEETING)),
        (f"livestream follow {ID}", FollowCommand(MEETING, None)),
        (f"help {ID}", HelpCommand()),
        ("/livestream", HelpCommand()),
        ("\u200b", HelpCommand()),
        (f"{ID} {OTHER}", BOTH),
        ("", HelpCommand()),
        ("  ", HelpCommand()),
        ("help", HelpCommand()),
        ("HELP", HelpCommand()),
        ("following", ListFollowsCommand()),
        ("  Following  ", ListFollowsCommand()),
        ("following please", ListFollowsCommand()),
        (f"follow {ID}", FollowCommand(MEETING, None)),
        (f"FOLLOW {ID.upper()}", FollowCommand(MEETING, None)),
        (f"follow\t{ID}\n", FollowCommand(MEETING, None)),
        (f"follow {ID} {ID}", FollowCommand(MEETING, None)),
        (f"follow {ID} quiet", FollowCommand(MEETING, Level.QUIET)),
        (f"follow {ID} Loud", FollowCommand(MEETING, Level.LOUD)),
        (f"follow {ID} normal", FollowCommand(MEETING, Level.NORMAL)),
        (f"follow loud {ID}", FollowCommand(MEETING, Level.LOUD)),
        (f"follow {ID}, `quiet`!", FollowCommand(MEETING, Level.QUIET)),
        (f"follow `{ID}` &gt; quiet", FollowCommand(MEETING, Level.QUIET)),
        (
            f"follow <https://dash.example.com/meetings/{ID}?a=b|our big meeting> loud",
            FollowCommand(MEETING, Level.LOUD),
        ),
        (f"follow https://dash.example.com/meetings/{ID}", FollowCommand(MEETING, None)),
        (f"unfollow {ID}", UnfollowCommand(MEETING)),
        (f"`unfollow {ID}`", UnfollowCommand(MEETING)),
        (f"```unfollow {ID}```", UnfollowCommand(MEETING)),
        (f"*follow* {ID}", FollowCommand(MEETING, None)),
        (f"_follow_ {ID}", FollowCommand(MEETING, None)),
        (f"“unfollow” ‘{ID}’", UnfollowCommand(MEETING)),
        (f"unfollow: {ID}", UnfollowCommand(MEETING)),
        (f"unfollow:{ID}", UnfollowCommand(MEETING)),
        (f"unfollow/{ID}", UnfollowCommand(MEETING)),
        (f"unfollow, {ID}.", UnfollowCommand(MEETING)),
        (f"&lt;unfollow {ID}&gt;", UnfollowCommand(MEETING)),
        (f"&gt; unfollow {ID}", UnfollowCommand(MEETING)),
        (f"\ufeffunfollow\u00a0{ID}", UnfollowCommand(MEETING)),
        (f"un\u200bfollow {ID[:9]}\u200b{ID[9:]}", UnfollowCommand(MEETING)),
        (f"unfollow\u200b{ID}", UnfollowCommand(MEETING)),
        (f"follow {ID},loud", FollowCommand(MEETING, Level.LOUD)),
        (f"follow {ID.replace('-', '')}", FollowCommand(MEETING, None)),
        (f"follow {ID.replace('-', chr(0x2013))} quiet", FollowCommand(MEETING, Level.QUIET)),
        (f"follow {ID.replace('-', ' ')} quiet", FollowCommand(MEETING, Level.QUIET)),
        (f"unfollow {ID.replace('-', '_')}", UnfollowCommand(MEETING)),
        (f"follow {ID.replace('-', ':')} loud", FollowCommand(MEETING, Level.LOUD)),
        (f"unfollow:{ID.replace('-', ':')}", UnfollowCommand(MEETING)),
        (f"unfollow {ID.replace('-', '.')}?", UnfollowCommand(MEETING)),
        (f"unfollow {ID.replace('-', chr(0xB7))}", UnfollowCommand(MEETING)),
        (f"unfollow {ID.replace('-', chr(0x30FC))}", UnfollowCommand(MEETING)),
        (f"follow {{{ID}}}", FollowCommand(MEETING, None)),
        (f"follow urn:uuid:{ID}", FollowCommand(MEETING, None)),
        (f"follow {ID[:8]} - {ID[9:]}", FollowCommand(MEETING, None)),
        (f"Unfollow <https://dash.example.com/{ID}|our meeting>", UnfollowCommand(MEETING)),
        ("follow", UsageError(FOLLOW_WHICH)),
        ("follow me", UsageError(FOLLOW_WHICH)),
        ("follow quiet", UsageError(FOLLOW_WHICH)),
        ("follow 1234", UsageError(FOLLOW_WHICH)),
        ("what is this?", UsageError(NO_ID)),
        ("Launch week", UsageError(NO_ID)),
        ("???", UsageError(NO_ID)),
        (f"follow {ID} {OTHER}", BOTH),
        (f"follow {ID} louder", UsageError(UNKNOWN_LEVEL)),
        (f"follow {ID} quiet loud", UsageError(UNKNOWN_LEVEL)),
        (f"follow {ID} <!channel>", UsageError(UNKNOWN_LEVEL)),
        (f"follow {ID} <https://example.com|quiet>", UsageError(UNKNOWN_LEVEL)),
        ("unfollow", UsageError(UNFOLLOW_WHICH)),
        ("unfollow everything", UsageError(UNFOLLOW_WHICH)),
        (f"unfollow {ID} {OTHER}", BOTH),
        (f"unfollow {ID} quiet", UsageError(NOTHING_MORE)),
    ],
)
def test_first_word_selects_the_command_and_mistakes_are_explained(text: str, command: Command) -> None:
    """In any case. Without a command word the text is a lookup. Nothing is guessed."""
    assert read_command(text) == command


@pytest.mark.parametrize("no", ["do not", "don't", "don’t", "dont", "please do not", "never", "not", "no"])
@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("follow", f"I changed nothing. To stop following this meeting, type `/livestream unfollow {ID}`."),
        ("FOLLOW", f"I changed nothing. To stop following this meeting, type `/livestream unfollow {ID}`."),
        ("unfollow", "I changed nothing. `/livestream following` lists the meetings that this channel follows."),
        ("stop following", "I changed nothing. `/livestream following` lists the meetings that this channel follows."),
    ],
)
def test_negated_command_changes_nothing(no: str, verb: str, said: str) -> None:
    """Nor is the opposite of what they say suggested."""
    command = read_command(f"{no} {verb} {ID}")

    assert isinstance(command, UsageError)
    assert command.sentence == said


@pytest.mark.parametrize("text", [f"follow {ID} " + "x" * 3_000, ID + " " * 3_000, "x" * 3_001])
def test_too_long_text_is_explained(text: str) -> None:
    command = read_command(text)

    assert isinstance(command, UsageError)
    assert command.sentence == "That's too long for me to read. Send only the command and the meeting ID."


@pytest.mark.parametrize(
    ("text", "is_for_channels"),
    [
        ("follow", True),
        ("unfollow", True),
        (f"follow {ID} louder", True),
        (f"unfollow {ID} quiet", True),
        (f"mute {ID}", True),
        (f"folow {ID}", True),  # codespell:ignore folow
        ("list", True),
        (f"do not follow {ID}", True),
        ("hepl", False),  # codespell:ignore hepl
        (f"check {ID}", False),
        ("Launch week", False),
    ],
)
def test_mistake_knows_whether_its_advice_works_only_in_channels(text: str, is_for_channels: bool) -> None:
    command = read_command(text)

    assert isinstance(command, UsageError)
    assert command.is_for_channels is is_for_channels


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        (f"stop {ID}", f"unfollow {ID}"),
        (f"start {ID}", f"follow {ID}"),
        (f"mute {ID}", f"follow {ID} quiet"),
        (f"folow {ID}", f"follow {ID}"),  # codespell:ignore folow
        (f"folow {ID} loud", f"follow {ID} loud"),  # codespell:ignore folow
        (f"unfolow {ID}", f"unfollow {ID}"),
        (f"following {ID}", f"follow {ID}"),
        (f"followed {ID}", f"follow {ID}"),
        (f"please follow {ID}", f"follow {ID}"),
        (f"stop following {ID}", f"unfollow {ID}"),
        (f"un follow {ID}", f"unfollow {ID}"),
        *((f"{word} {ID}", f"unfollow {ID}") for word in ("unfollowing", "unfollowed", "unfolowing", "nofollow")),
        *((f"{word} {ID}", f"unfollow {ID}") for word in ("dontfollow", "stopfollowing", "quit", "exit", "drop")),
        (f"turn off {ID}", f"unfollow {ID}"),
        ("unfollowing", "unfollow &lt;meeting-id&gt;"),
        (f"normaal {ID}", f"follow {ID} normal"),
        (f"quiet {ID}", f"follow {ID} quiet"),
        (f"{ID} unfollow", f"unfollow {ID}"),
        (f"{ID} loud", f"follow {ID} loud"),
        (f"is {ID} folowed?", f"follow {ID}"),  # codespell:ignore folowed
        (f"unfollow={ID} now", None),
        ("folow", "follow &lt;meeting-id&gt;"),  # codespell:ignore folow
        ("stop", "unfollow &lt;meeting-id&gt;"),
        ("mute", "follow &lt;meeting-id&gt; quiet"),
        ("list", "following"),
        ("hepl", "help"),  # codespell:ignore hepl
    ],
)
def test_nearest_command_is_offered(text: str, nearest: str | None) -> None:
    """A word that is no command changes nothing, also where it's before or after an ID; the nearest one is offered."""
    offered = f"Did you mean `/livestream {nearest}`?"
    command = read_command(text)

    assert command == UsageError(
        f"I didn't understand that, so nothing changed. {offered}" if nearest else NOTHING_MORE
    )


@pytest.mark.parametrize("word", ["status", "show", "please", "watch", "xyz", "<!channel>", "Launch"])
def test_unknown_word_before_an_id_is_answered_with_how_to_check_the_meeting(word: str) -> None:
    command = read_command(f"{word} {ID}")

    assert command == UsageError(
        f"I didn't understand that, so nothing changed. To check this meeting, type `/livestream {ID}`."
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (ID[:-1], "it's one character short"),
        (ID[:-4], "it's 4 characters short"),
        (f"{ID}0", "it's one character too long"),
        (ID.replace("5", "O"), "it has letters that no ID has (only 0–9 and a–f)"),
        (ID.replace("-", "")[1:], "it's one character short"),
        (ID.replace("-", "\u2043")[:-1], "it's one character short"),
        (ID.replace("-", ":")[:-1], "it's one character short"),
        (f"{ID.replace('-', ' · ')}0", "it's one character too long"),
    ],
)
@pytest.mark.parametrize("before", ["", "follow ", "unfollow ", "following ", "https://dash.example.com/"])
def test_incomplete_id_does_nothing_and_its_fault_is_named(wrong: str, said: str, before: str) -> None:
    assert read_command(before + wrong) == UsageError(f"That looks like a meeting ID, but {said}. Copy it again.")


def test_pasted_command_may_have_another_name() -> None:
    assert read_command(f"/broadcast unfollow {ID}", "/broadcast") == UnfollowCommand(MEETING)
    assert isinstance(read_command(f"/broadcast unfollow {ID}"), UsageError)
    assert "`/broadcast unfollow" in str(read_command("unfollow", "/broadcast"))


@given(
    st.text() | st.builds("{} {} {}".format, st.sampled_from(["follow", "unfollow", "following"]), st.text(), st.text())
)
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    """No reply to a mistake repeats what was typed."""
    command = read_command(text)

    if isinstance(command, UsageError):
        said = command.sentence
        if isinstance(meeting := read_meeting_id(text), OneMeeting):
            said = said.replace(str(meeting.meeting_id), "ID")
        assert said in KNOWN_SENTENCES or re.fullmatch(MADE_SENTENCES, said)


MARKS = st.text(st.sampled_from("`*_\"'“”‘’.,:;!()[]{}\u200b\ufeff\u2060\u00a0 \n"), max_size=3)


@given(st.sampled_from(["follow", "unfollow", "FOLLOW", "Unfollow"]), st.uuids(), MARKS, MARKS, st.booleans())
def test_marks_around_a_command_change_nothing(
    verb: str, meeting_id: UUID, before: str, after: str, pasted: bool
) -> None:
    """A verb and an ID are understood between any marks and invisible characters, and with the command before them."""
    name = "/livestream " if pasted else ""
    command = read_command(f"{before}{name}{before}{verb}{after} {before}{meeting_id}{after}")

    follows = verb.lower() == "follow"
    assert command == (FollowCommand(meeting_id, None) if follows else UnfollowCommand(meeting_id))


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12), st.uuids())
def test_word_before_an_id_is_never_a_lookup(word: str, meeting_id: UUID) -> None:
    """Unless the word names no action, or is only punctuation."""
    command = read_command(f"{word} {meeting_id}")

    if isinstance(command, LookupCommand):
        assert word.lower().strip(string.punctuation) in ("is", "meeting", "id", "livestream") or not re.search(
            r"[^\W_]", word
        )


@given(st.uuids(), st.integers(0, 35))
def test_id_without_a_character_is_repaired_or_explained(meeting_id: UUID, missing: int) -> None:
    """A missing hyphen is repaired; a missing digit is named."""
    typed = str(meeting_id)
    command = read_command(f"unfollow {typed[:missing]}{typed[missing + 1 :]}")

    if typed[missing] == "-":
        assert command == UnfollowCommand(meeting_id)
    else:
        assert command == UsageError("That looks like a meeting ID, but it's one character short. Copy it again.")


@given(st.sampled_from([None, *Level]), st.booleans(), st.uuids())
def test_level_may_precede_or_follow_the_id(level: Level | None, before: bool, meeting_id: UUID) -> None:
    words = [str(meeting_id), *([level.value.upper()] if level else [])]

    command = read_command(" ".join(["follow", *(reversed(words) if before else words)]))

    assert command == FollowCommand(meeting_id, level)

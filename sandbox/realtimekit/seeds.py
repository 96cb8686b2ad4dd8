"""The meetings of a fresh sandbox: one for each answer that Cloudflare is known, or feared, to give."""

import dataclasses
from dataclasses import dataclass
from enum import Enum

from sandbox.realtimekit import minting
from sandbox.realtimekit.state import Meeting, Session, Shape, Status

LIVE = "50c8940e-1b97-402a-97d6-2708b7feca41"
UNNAMED = "8f14e45f-ceea-467f-a83d-1f0c9f5a7c02"
OLD_PLAYBACK = "c9f0f895-fb98-4b91-a1d4-6a2e0f3b5d03"
STARTING = "45c48cce-2e2d-4fbd-8a6b-3c1f7e9d2a04"
IDLE = "d3d94468-02a4-4259-b55d-58a3c6e1f705"
OFFLINE = "6512bd43-d9ca-46e0-a2c9-7b4d5f8e0c06"
ERRORED = "c20ad4d7-6fe9-4759-aa27-0e9c8b1d3f07"
UNKNOWN_STATUS = "c51ce410-c124-410e-8db5-9f2a4c6b7e08"
NEVER_LIVE = "aab32389-22bc-4c0a-85a6-1d3e5f7a9b09"
NASTY_NAME = "9bf31c7f-f062-436a-96d3-2e4f6a8c0d10"
AS_LIST = "c74d97b0-1eae-457e-84aa-3f5a7b9d1e11"
UNDER_RESULT = "70efdf2e-c9b0-4607-9795-4a6b8c0e2f12"
NULL_DATA = "6f4922f4-5568-461a-8cdf-5b7c9d1f3a13"
NO_PLAYBACK = "1f0e3dad-9990-4345-b743-6c8d0e2a4b14"

_DAY = 86400.0
_PAST_RUN_SECONDS = 52 * 60.0


class Playback(Enum):
    """The host on which a seeded livestream can be watched."""

    TODAY = "cloudflarestream.com"
    OLD = "playback.live-video.net"
    NONE = "nowhere"


@dataclass(frozen=True)
class Seed:
    """A seeded meeting. `about` describes it for people; `minutes` is how long ago its latest session began."""

    id: str
    title: str
    about: str
    status: str | None = None
    name: str | None = None
    minutes: float = 0
    disabled: str | bool | None = False
    err_message: str | None = None
    playback: Playback = Playback.TODAY
    shape: Shape = Shape.OBJECT


SEEDS = (
    Seed(
        LIVE,
        "Launch keynote",
        "Live for 25 minutes; its livestream also has a name; the meeting's title takes precedence",
        Status.LIVE,
        name="launch-week-main-stage",
        minutes=25,
        disabled="false",
    ),
    Seed(
        UNNAMED,
        "Monthly all-hands",
        "Live without a livestream name: the meeting's title stands in",
        Status.LIVE,
        minutes=8,
    ),
    Seed(
        OLD_PLAYBACK,
        "Partner briefing EMEA",
        "Live on the older playback host, which has no hosted player",
        Status.LIVE,
        name="partner-briefing",
        minutes=41,
        playback=Playback.OLD,
    ),
    Seed(STARTING, "Design review", "Starting: requested, but no video yet", Status.INVOKED, name="design-review"),
    Seed(IDLE, "Office hours", "Not broadcasting (IDLE): the last session ended normally", Status.IDLE, minutes=180),
    Seed(
        OFFLINE,
        "Customer webinar: getting started",
        "Not broadcasting (OFFLINE): the last session ended normally",
        Status.OFFLINE,
        name="getting-started",
        minutes=1500,
    ),
    Seed(
        ERRORED,
        "Board update",
        "Errored: the reason is in its session",
        Status.ERRORED,
        minutes=95,
        err_message="Ingest stopped: the encoder sent video in an unsupported codec (HEVC)",
    ),
    Seed(
        UNKNOWN_STATUS,
        "Hack day demos",
        "Has an undocumented status: PAUSED",
        "PAUSED",
        name="hack-day",
        minutes=33,
    ),
    Seed(NEVER_LIVE, "Hiring committee", "Was never livestreamed: Cloudflare answers 404"),
    Seed(
        NASTY_NAME,
        "<script>alert(1)</script> <!channel> & *bold*",
        "Live under a title that tries to break out of the message",
        Status.LIVE,
        name="security-guild",
        minutes=12,
    ),
    Seed(
        AS_LIST,
        "Product tour",
        "Live; Cloudflare answers with a list instead of an object",
        Status.LIVE,
        name="product-tour",
        minutes=5,
        shape=Shape.LIST,
    ),
    Seed(
        UNDER_RESULT,
        "Quarterly results",
        "Live, and answered under `result` instead of `data`",
        Status.LIVE,
        name="quarterly-results",
        minutes=17,
        shape=Shape.RESULT,
    ),
    Seed(
        NULL_DATA, "Support rota handover", "Not live, and answered with `data: null` instead of 404", shape=Shape.NULL
    ),
    Seed(
        NO_PLAYBACK,
        "Rehearsal, studio B",
        "Live, but there is no playback URL yet",
        Status.LIVE,
        name="rehearsal",
        minutes=1,
        playback=Playback.NONE,
    ),
)


def meeting_of(seed: Seed, now: float) -> Meeting:
    """Build the meeting that a seed describes, with its times relative to `now`."""
    meeting = Meeting(seed.id, seed.title, created_at=now - 14 * _DAY, shape=seed.shape)
    if seed.status is None:
        return meeting
    session = _session(seed, now - seed.minutes * 60)
    livestream = dataclasses.replace(
        minting.livestream(seed.id, now - 7 * _DAY),
        name=seed.name,
        status=seed.status,
        disabled=seed.disabled,
        playback_url=_playback_url(seed),
        updated_at=session.stopped_time or session.started_time or session.invoked_time,
        active=True,
        sessions=(session,),
    )
    return dataclasses.replace(meeting, livestream=livestream)


def _playback_url(seed: Seed) -> str | None:
    match seed.playback:
        case Playback.TODAY:
            return minting.playback_url(seed.id)
        case Playback.OLD:
            return minting.old_playback_url(seed.id)
        case Playback.NONE:
            return None


def _session(seed: Seed, began: float) -> Session:
    over = seed.status in (Status.IDLE, Status.OFFLINE, Status.ERRORED)
    return Session(
        id=minting.session_id(),
        invoked_time=began - 15,
        started_time=None if seed.status == Status.INVOKED else began,
        stopped_time=began + _PAST_RUN_SECONDS if over else None,
        err_message=seed.err_message,
    )

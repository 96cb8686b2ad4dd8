"""New ids, addresses and keys.

What a viewer sees follows from the meeting's id, so that documentation and tests can name it; what is secret is random.
"""

import dataclasses
import secrets
import uuid

from bot.sandbox.realtimekit.state import Livestream

_CUSTOMER = "s4ndb0xr3altim3k"


def meeting_id() -> str:
    """A new meeting's id, a UUID."""
    return str(uuid.uuid4())


def session_id() -> str:
    """A new session's id, a UUID."""
    return str(uuid.uuid4())


def webhook_id() -> str:
    """A new webhook's id, a UUID."""
    return str(uuid.uuid4())


def delivery_id() -> str:
    """A new `rtk-uuid`."""
    return str(uuid.uuid4())


def playback_url(meeting: str) -> str:
    """The HLS manifest of a meeting's livestream, as Cloudflare Stream addresses it today."""
    return f"https://customer-{_CUSTOMER}.cloudflarestream.com/{_derived(meeting, 'video').hex}/manifest/video.m3u8"


def old_playback_url(meeting: str) -> str:
    """The same on the playback host of older livestreams."""
    channel = _derived(meeting, "channel").hex[:12]
    return f"https://{channel}.us-east-1.playback.live-video.net/api/video/v1/us-east-1.channel.{channel}.m3u8"


def livestream(meeting: str, now: float) -> Livestream:
    """A livestream that was just provisioned for the meeting with this id: OFFLINE, without a run."""
    return Livestream(
        id=str(_derived(meeting, "livestream")),
        meeting_id=meeting,
        playback_url=playback_url(meeting),
        ingest_server=f"rtmps://live.sandbox.example:443/live/{secrets.token_hex(8)}",
        stream_key=f"sk-sandbox-{secrets.token_hex(32)}",
        created_at=now,
        updated_at=now,
    )


def another_livestream(meeting: str, now: float) -> Livestream:
    """One more livestream for the meeting with this id: its id and playback URL are random."""
    video = secrets.token_hex(16)
    return dataclasses.replace(
        livestream(meeting, now),
        id=str(uuid.uuid4()),
        playback_url=f"https://customer-{_CUSTOMER}.cloudflarestream.com/{video}/manifest/video.m3u8",
    )


def _derived(meeting: str, thing: str) -> uuid.UUID:
    return uuid.uuid5(uuid.UUID(meeting), thing)

"""Generators of IDs, URLs and keys.

Public values are derived from the meeting's ID, so that documentation and tests can name them. Secrets are random.
"""

import dataclasses
import secrets
import uuid

from sandbox.realtimekit.state import Livestream

_CUSTOMER = "s4ndb0xr3altim3k"


def meeting_id() -> str:
    """Return a new meeting's ID, a UUID."""
    return str(uuid.uuid4())


def session_id() -> str:
    """Return a new session's ID, a UUID."""
    return str(uuid.uuid4())


def webhook_id() -> str:
    """Return a new webhook's ID, a UUID."""
    return str(uuid.uuid4())


def delivery_id() -> str:
    """Return a new `rtk-uuid`, the ID of a delivery attempt."""
    return str(uuid.uuid4())


def playback_url(meeting: str) -> str:
    """Return the URL of a meeting's HLS manifest, in Cloudflare Stream's current form."""
    return f"https://customer-{_CUSTOMER}.cloudflarestream.com/{_derived(meeting, 'video').hex}/manifest/video.m3u8"


def old_playback_url(meeting: str) -> str:
    """Return the URL of a meeting's HLS manifest on the playback host of older livestreams."""
    channel = _derived(meeting, "channel").hex[:12]
    return f"https://{channel}.us-east-1.playback.live-video.net/api/video/v1/us-east-1.channel.{channel}.m3u8"


def livestream(meeting: str, now: float) -> Livestream:
    """Return a newly provisioned livestream for the meeting with this ID: OFFLINE, without a session."""
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
    """Return another livestream for the meeting with this ID, with a random ID and playback URL."""
    video = secrets.token_hex(16)
    return dataclasses.replace(
        livestream(meeting, now),
        id=str(uuid.uuid4()),
        playback_url=f"https://customer-{_CUSTOMER}.cloudflarestream.com/{video}/manifest/video.m3u8",
    )


def _derived(meeting: str, thing: str) -> uuid.UUID:
    return uuid.uuid5(uuid.UUID(meeting), thing)

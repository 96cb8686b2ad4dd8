"""A lookup as the terminal shows it, and as scripts read it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Status
from bot.slack.mrkdwn import clock, plain
from bot.slack.player import player_url

_NAME_LIMIT = 150
_REASON_LIMIT = 500


def fields(lookup: Lookup) -> dict[str, Any]:
    """For JSON. Times are ISO 8601 in UTC; what is not known is null."""
    playback = lookup.playback_url
    return {
        "meeting_id": str(lookup.meeting_id),
        "name": lookup.name,
        "status": lookup.status.name.lower(),
        "live": None if lookup.status is Status.UNKNOWN else lookup.status is Status.LIVE,
        "live_since": _iso(lookup.live_since),
        "error_reason": lookup.error_reason,
        "raw_status": lookup.livestream.raw_status if lookup.livestream else None,
        "playback_url": playback,
        "player_url": player_url(playback) if playback else None,
        "checked_at": _iso(lookup.checked_at),
    }


def failure(meeting_id: UUID | None, code: str, message: str) -> dict[str, Any]:
    """Return the JSON of a lookup that failed: `live` is null, since it is unknown; `error` is a stable code."""
    return {"meeting_id": str(meeting_id) if meeting_id else None, "live": None, "error": code, "message": message}


def lines(lookup: Lookup) -> list[str]:
    """For people: one fact a line."""
    since = f" since {clock(lookup.live_since)}" if lookup.live_since else ""
    said = lookup.livestream.raw_status if lookup.livestream and lookup.status is Status.UNKNOWN else None
    playback = lookup.playback_url
    facts = [
        ("Status", f"{lookup.status.value}{since}" + (f" (Cloudflare says {plain(said, 40)!r})" if said else "")),
        ("Reason", plain(lookup.error_reason, _REASON_LIMIT) if lookup.error_reason else ""),
        ("Watch", player_url(playback) if playback else ""),
        ("Playback", playback or ""),
        ("Meeting", str(lookup.meeting_id)),
        ("Checked", clock(lookup.checked_at)),
    ]
    name = plain(lookup.name or "", _NAME_LIMIT) or "This meeting"
    return [name, *(f"  {label + ':':<10}{value}" for label, value in facts if value)]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None

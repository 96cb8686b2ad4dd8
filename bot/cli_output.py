"""A lookup's result for the terminal and as JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

from bot.domain.observation import Status
from bot.realtimekit.lookup import Lookup, player_url
from bot.slack.messages.mrkdwn import clean, format_utc

_NAME_LIMIT = 150
_REASON_LIMIT = 500


def fields(lookup: Lookup) -> dict[str, Any]:
    """Return the lookup as JSON. Times are ISO 8601 in UTC; unknown values are null."""
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
    """Return a failed lookup as JSON: `live` is null, since it is unknown; `error` is a stable code."""
    return {"meeting_id": str(meeting_id) if meeting_id else None, "live": None, "error": code, "message": message}


def lines(lookup: Lookup) -> list[str]:
    """Return the lookup for people, one fact per line."""
    since = f" since {format_utc(lookup.live_since)}" if lookup.live_since else ""
    said = lookup.livestream.raw_status if lookup.livestream and lookup.status is Status.UNKNOWN else None
    playback = lookup.playback_url
    facts = [
        ("Status", f"{lookup.status.value}{since}" + (f" (Cloudflare says {clean(said, 40)!r})" if said else "")),
        ("Reason", clean(lookup.error_reason, _REASON_LIMIT) if lookup.error_reason else ""),
        ("Watch", player_url(playback) if playback else ""),
        ("Playback", playback or ""),
        ("Meeting", str(lookup.meeting_id)),
        ("Checked", format_utc(lookup.checked_at)),
    ]
    name = clean(lookup.name or "", _NAME_LIMIT) or "This meeting"
    return [name, *(f"  {label + ':':<10}{value}" for label, value in facts if value)]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None

"""Links to a player that works in any browser."""

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"([a-z0-9-]+\.)+cloudflarestream\.com")
_HLS_PATH = re.compile(r"/([0-9a-f]{32}|[\w-]+\.[\w-]+\.[\w-]+)/manifest/video\.m3u8", re.ASCII)


def player_url(playback_url: str) -> str:
    """Return Cloudflare Stream's hosted player for its own HLS URLs, signed or not; return other URLs unchanged.

    A bare .m3u8 plays only in Safari and recent desktop Chrome; other browsers download a file. Source of the player's
    address: Cloudflare Stream, "Use the Stream Player".
    """
    parts = urlsplit(playback_url)
    match = _HLS_PATH.fullmatch(parts.path)
    if match and _HOST.fullmatch(parts.hostname or ""):
        return f"https://{parts.hostname}/{match[1]}/iframe"
    return playback_url

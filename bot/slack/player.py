"""Where a playback URL plays in any browser."""

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"([a-z0-9-]+\.)+cloudflarestream\.com")
_HLS_PATH = re.compile(r"/([0-9a-f]{32}|[\w-]+\.[\w-]+\.[\w-]+)/manifest/video\.m3u8", re.ASCII)


def player_url(playback_url: str) -> str:
    """Cloudflare Stream's hosted player for its own HLS URLs, signed or not, and any other URL as it is.

    A bare .m3u8 opens in Safari and in recent desktop Chrome only; elsewhere it downloads a file. The player's
    address is documented in Cloudflare Stream, "Use the Stream Player".
    """
    parts = urlsplit(playback_url)
    match = _HLS_PATH.fullmatch(parts.path)
    if match and _HOST.fullmatch(parts.hostname or ""):
        return f"https://{parts.hostname}/{match[1]}/iframe"
    return playback_url

"""The page that plays a playback URL in any browser."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.realtimekit.lookup import player_url

VIDEO = "0123456789abcdef0123456789abcdef"
HLS = f"{VIDEO}/manifest/video.m3u8"
HOST = "customer-s4ndb0x.cloudflarestream.com"
PLAYER = f"https://{HOST}/{VIDEO}/iframe"


@pytest.mark.parametrize(
    "playback",
    [
        f"https://{HOST}/{HLS}",
        f"http://{HOST}/{HLS}",
        f"https://{HOST.upper()}/{HLS}",
        f"https://{HOST}:443/{HLS}",
        f"https://{HOST}/{HLS}?clientBandwidthHint=10",
    ],
)
def test_cloudflare_stream_url_opens_in_its_hosted_player(playback: str) -> None:
    assert player_url(playback) == PLAYER


@pytest.mark.parametrize(
    "playback",
    [
        f"https://evilcloudflarestream.com/{HLS}",
        f"https://cloudflarestream.com.evil.example/{HLS}",
        f"https://{HOST}.evil.example/{HLS}",
        f"https://evil.example/{HOST}/{HLS}",
        f"https://{HOST}@evil.example/{HLS}",
        f"https://evil.example\\.{HOST}/{HLS}",
        f"https://evil.example?.{HOST}/{HLS}",
        f"https://.cloudflarestream.com/{HLS}",
        f"https://cloudflarestream.com/{HLS}",
        f"https://customer-s4ndb0x.cloudflarestream_com/{HLS}",
        f"https://{HOST}/{HLS}/more",
        f"https://{HOST}/more/{HLS}",
        f"https://{HOST}/{VIDEO}/manifest/video.mpd",
        f"https://{HOST}/{VIDEO}0/manifest/video.m3u8",
        f"https://{HOST}/{VIDEO.upper()}/manifest/video.m3u8",
        f"https://{HOST}/",
        "https://a1b2.us-east-1.playback.live-video.net/api/video/v1/channel.m3u8",
    ],
)
def test_other_and_lookalike_urls_are_unchanged(playback: str) -> None:
    assert player_url(playback) == playback


@given(
    st.text(st.sampled_from("abcloudflarestream.@:/?#\\-_%[] "), max_size=40).map(lambda host: f"https://{host}/{HLS}")
)
def test_generated_player_url_is_always_on_cloudflare_stream(playback: str) -> None:
    try:
        urlsplit(playback)
    except ValueError:  # the parser of Cloudflare's responses drops such a URL
        return

    opened = player_url(playback)

    assert opened == playback or (urlsplit(opened).hostname or "").endswith(".cloudflarestream.com")

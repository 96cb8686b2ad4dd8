"""The contenders' answer: one sentence and one section, less than the bot's card."""

from typing import Any


def answer(name: str | None, status: str | None, playback_url: str | None, since: str | None = None) -> dict[str, Any]:
    """Return a livestream's status and playback link as the payload for a `response_url`."""
    more = f" since {since}" if since else ""
    text = f"{name or 'This meeting'}: {status}{more}\n{playback_url}"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return {"response_type": "ephemeral", "text": text, "blocks": [block]}

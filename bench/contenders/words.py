"""What the contenders answer: one sentence and one section, less than the bot's card."""

from typing import Any


def answer(name: str | None, status: str | None, playback_url: str | None, since: str | None = None) -> dict[str, Any]:
    """Return the status of a livestream and where to watch it, as a `response_url` takes it."""
    more = f" since {since}" if since else ""
    text = f"{name or 'This meeting'}: {status}{more}\n{playback_url}"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return {"response_type": "ephemeral", "text": text, "blocks": [block]}

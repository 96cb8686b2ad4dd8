"""Deliveries: the result of working on a card."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of working on a card."""

    done: bool = False
    """Whether everything is posted and announced; if not, the card is due again later."""
    refused: str | None = None
    """Slack's code for a permanent refusal."""
    unconfirmed: bool = False
    """Whether Slack may still carry out an edit that it did not answer before it refused."""


DONE, LATER = DeliveryResult(done=True), DeliveryResult()

"""The app's tokens with their scopes, and its signing secret."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from slack_sdk.signature import SignatureVerifier

from sandbox.slack.refusal import Refusal

BOT_SCOPES = frozenset({"channels:read", "chat:write", "commands", "groups:read"})


class TokenKind(Enum):
    BOT = auto()
    APP = auto()


@dataclass(slots=True)
class Credentials:
    """The app's tokens and their scopes, which may change at any time.

    `revoked`: the bot token is no longer valid, because the app was uninstalled or the token revoked; `revoked_as` is
    the error for that.
    """

    bot_token: str = field(repr=False)
    app_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    bot_scopes: set[str] = field(default_factory=lambda: {*BOT_SCOPES})
    app_scopes: set[str] = field(default_factory=lambda: {"connections:write"})
    revoked: bool = False
    revoked_as: str = "account_inactive"

    def check(self, token: str | None, kind: TokenKind, scope: str | None) -> None:
        """Raise a Refusal unless the token is valid, of the right kind, and has the scope."""
        held = self.kind_of(token)
        if held is TokenKind.BOT and self.revoked:
            raise Refusal(self.revoked_as)
        if held is not kind:
            raise Refusal("not_allowed_token_type")
        if scope is not None and scope not in self.scopes(kind):
            raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(self.scopes(kind))))

    def kind_of(self, token: str | None) -> TokenKind:
        """Return the token's kind. Raises Refusal: `not_authed` without a token, `invalid_auth` for an unknown one."""
        if not token:
            raise Refusal("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise Refusal("invalid_auth")
        return TokenKind.BOT if token == self.bot_token else TokenKind.APP

    def scopes(self, kind: TokenKind) -> set[str]:
        """Return the scopes of the token of this kind."""
        return self.bot_scopes if kind is TokenKind.BOT else self.app_scopes

    def sign(self, body: bytes, timestamp: int | None = None, clock: Callable[[], float] = time.time) -> dict[str, str]:
        """Return the two signature headers for a request body.

        The timestamp is in real time, not sandbox time, because the bot compares it with its own clock.
        """
        stamp = str(int(clock() if timestamp is None else timestamp))
        signature = SignatureVerifier(self.signing_secret).generate_signature(timestamp=stamp, body=body)
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature or ""}

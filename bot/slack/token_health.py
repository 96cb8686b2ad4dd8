"""The health of the bot token: whether Slack accepts it, as learned from every call that this process makes."""

import time
from collections.abc import Callable

import structlog

from bot.slack.errors import PermissionDenied, TeamAccessDenied, TokenRejected, error_class

FORGET_AFTER_SECONDS = 3600.0
"""A permission refused this long ago, and not since, is no longer reported: the bot may not need it now."""

_INSTALLATION = "auth.test"
"""The only method here that concerns the installation as a whole, not a team or channel."""
_COPY = "Copy the Bot User OAuth Token again from the app's page, OAuth & Permissions."
_REINSTALL = "Install the app again on its page, OAuth & Permissions, and copy the Bot User OAuth Token."
_REMEDIES = {
    "access_denied": "A workspace admin can see on the app's page in Slack what it may do.",
    "accesslimited": "Add this machine's address on the app's page, OAuth & Permissions, Restrict API Token Usage.",
    "account_inactive": _REINSTALL,
    "app_access_restricted": "A workspace admin has to approve the app in Slack.",
    "ekm_access_denied": "A workspace admin has suspended access to messages, and has to restore it.",
    "enterprise_is_restricted": "An admin of the organization has to allow the app there.",
    "missing_scope": "Add the manifest's scopes on the app's page, OAuth & Permissions, and reinstall the app.",
    "org_login_required": "The workspace is moving to an organization; wait until that is finished.",
    "team_access_not_granted": "An admin of the organization has to grant the app access to this workspace.",
    "team_added_to_org": "The workspace is moving to an organization; wait until that is finished.",
    "token_expired": "Token rotation has to be off: make a new token on the app's page, OAuth & Permissions.",
    "token_revoked": _REINSTALL,
    "two_factor_setup_required": "The account that installed the app has to set up two-factor authentication.",
}

log = structlog.get_logger(__name__)


def remedy(code: str) -> str:
    """Return what an operator should do when Slack refuses the bot token with this code."""
    return _REMEDIES.get(code, _COPY)


class TokenHealth:
    """Whether Slack accepts the bot token and its permissions, as of the latest calls."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._token: str | None = None
        self._permissions: dict[str, tuple[str, float]] = {}
        """By method: the error code, and when Slack last returned it."""
        self.is_doubtful = False
        """Whether Slack has refused a team or channel, which may affect the whole installation."""

    @property
    def refused_token(self) -> str | None:
        """Slack's error code while it refuses the token for every call, so that further calls are pointless."""
        return self._token

    @property
    def problem(self) -> str | None:
        """Slack's error code while it refuses the token or a permission that the bot needs."""
        if self._token is not None:
            return self._token
        return next((code for code, at in self._permissions.values() if self._now() - at < FORGET_AFTER_SECONDS), None)

    def note_success(self, method: str) -> None:
        """Record a successful call: Slack accepts the token, and the token may call this method."""
        before = self.problem
        self._token = None
        if method == _INSTALLATION:
            self.is_doubtful = False
        self._permissions.pop(method, None)
        if before is not None and self.problem is None:
            log.info("slack_access_restored", code=before)

    def note_error(self, method: str, code: str) -> None:
        """Record a failed call, whose error may be about the token."""
        kind = error_class(code)
        if issubclass(kind, TeamAccessDenied) and method != _INSTALLATION:
            self.is_doubtful = True
            return
        if not issubclass(kind, TokenRejected | TeamAccessDenied):
            return
        before = self.problem
        if issubclass(kind, PermissionDenied):
            self._permissions[method] = code, self._now()
        else:
            self._token = code
        if before != self.problem:
            log.error("slack_access_refused", code=code, method=method, remedy=remedy(code))

    def describe_problem(self) -> str | None:
        """Return, for the operator, what is wrong and how to fix it; None if nothing is wrong."""
        code = self.problem
        if code is None:
            return None
        subject = "the bot token" if code == self._token else "some of the bot's calls"
        return f"Slack refuses {subject} ({code}). {remedy(code)}"

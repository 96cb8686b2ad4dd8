"""The one table of Slack's error codes: the code is an attribute of the exception class that says what to do.

A code concerns the token (say so everywhere, and go on when it is accepted again), a team or channel until an admin
changes that (wait there), the channel (pause what goes there), the message (post another one, or the text alone), or
nothing that lasts (try again later). Source: the errors that Slack's documentation lists for `chat.postMessage`,
`chat.update`, `chat.postEphemeral`, `views.publish` and `auth.test`.

A code that is not in the table is new, and taken for a transient one at first.
"""

from collections.abc import Mapping
from typing import ClassVar

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

RETRY_AFTER_SECONDS = 30.0
"""How long to wait where Slack asks for that, and does not say how long."""
MAX_RETRY_AFTER_SECONDS = 30 * 60.0
TOKEN_RECHECK_SECONDS = 60.0
"""While Slack refuses the token nothing is sent; after so long it is looked at whether it accepts it again."""
PERMISSION_RETRY_SECONDS = 15 * 60.0
"""A permission comes back when somebody grants it: asking more often only costs calls."""
HOUR = 3600.0


class Undelivered(Exception):
    """Slack did not do what it was asked. `code` is Slack's word for why."""

    codes: ClassVar[frozenset[str]] = frozenset()
    prefixes: ClassVar[tuple[str, ...]] = ()
    """Beginnings of codes, for families that grow."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(Undelivered):
    """Slack will not do it in this channel, until somebody changes something in Slack."""

    codes = frozenset(
        {
            "as_user_not_supported",
            "cannot_dm_bot",
            "channel_is_limited_access",
            "channel_not_found",
            "channel_type_not_supported",
            "is_archived",
            "is_bot",
            "is_inactive",
            "messages_tab_disabled",
            "method_not_supported_for_channel_type",
            "no_permission",
            "not_enabled",
            "not_in_channel",
            "send_on_behalf_not_allowed",
            "team_not_found",
            "user_disabled",
            "user_is_restricted",
            "user_not_found",
            "user_not_in_channel",
            "user_not_visible",
            "users_not_found",
        }
    )
    prefixes = ("restricted_action", "slack_connect_")


class MessageGone(Undelivered):
    """The message cannot be edited or replied to any longer, so another one takes its place."""

    codes = frozenset(
        {
            "cannot_reply_to_message",
            "cant_update_message",
            "edit_window_closed",
            "message_not_found",
            "thread_not_found",
        }
    )


class Deleted(MessageGone):
    """This very message was posted before, and has been deleted since."""

    codes = frozenset({"duplicate_channel_not_found", "duplicate_message_not_found"})


class ContentRefused(Undelivered):
    """Slack does not accept what the message contains. Its text alone may be accepted."""

    codes = frozenset(
        {
            "attachment_payload_limit_exceeded",
            "block_mismatch",
            "cant_broadcast_message",
            "invalid_arguments",
            "invalid_attachments",
            "invalid_blocks",
            "invalid_blocks_format",
            "markdown_text_conflict",
            "metadata_must_be_sent_from_app",
            "metadata_too_large",
            "msg_blocks_too_long",
            "msg_too_long",
            "no_dual_broadcast_content_update",
            "no_text",
            "too_many_attachments",
            "too_many_contact_cards",
            "view_too_large",
        }
    )
    prefixes = ("invalid_metadata_",)


class Later(Undelivered):
    """Slack did not do it now; it may work later."""

    codes = frozenset(
        {
            "duplicate_external_id",
            "external_channel_migrating",
            "hash_conflict",
            "message_limit_exceeded",
            "streaming_state_conflict",
            "update_failed",
        }
    )
    permanent_after: ClassVar[float | None] = 24 * HOUR
    """After so many seconds of nothing else the code counts as permanent; None: never."""
    retry_seconds: ClassVar[float | None] = None
    """How long to wait where Slack does not say."""

    def __init__(self, code: str, seconds: float | None = None) -> None:
        super().__init__(code)
        self.seconds = self.retry_seconds if seconds is None else seconds
        """How long to wait, which is no failed attempt: the bot waits its turn, or for its token. None: it is one, and
        each wait is longer than the one before."""


class Paced(Later):
    """The bot's own token bucket has nothing left; Slack was not called."""

    permanent_after = None


class SlackRateLimited(Later):
    """Slack asks the bot to wait."""

    codes = frozenset({"rate_limited", "ratelimited"})
    permanent_after = None


class Unconfirmed(Later):
    """Slack may have done it. Its own outages are among these: it says so of each of them."""

    codes = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
    permanent_after = None


class NotSent(Later):
    """No connection to Slack could be opened, so it has certainly not done it."""

    permanent_after = None


class Unrecognized(Later):
    """A code that is not in this table."""

    permanent_after = HOUR


class TokenRefused(Later):
    """Slack refuses the bot token, in all channels and for every method."""

    codes = frozenset(
        {
            "account_inactive",
            "invalid_auth",
            "not_allowed_token_type",
            "not_authed",
            "token_expired",
            "token_revoked",
            "two_factor_setup_required",
        }
    )
    permanent_after = None
    retry_seconds = TOKEN_RECHECK_SECONDS


class PermissionRefused(TokenRefused):
    """Slack accepts the bot token, but not for this method or network."""

    codes = frozenset({"accesslimited", "app_access_restricted", "enterprise_is_restricted", "missing_scope"})
    retry_seconds = PERMISSION_RETRY_SECONDS


class PlaceRefused(Later):
    """Slack accepts the bot token, but not for this team or channel, until an admin changes that or the team has moved.

    Where `auth.test` says so, which concerns no channel, it is the whole installation that is meant.
    """

    codes = frozenset(
        {
            "access_denied",
            "ekm_access_denied",
            "org_login_required",
            "team_access_not_granted",
            "team_added_to_org",
        }
    )
    permanent_after = None
    retry_seconds = PERMISSION_RETRY_SECONDS


TRANSIENT_TOKEN_CODES = frozenset({"org_login_required", "team_added_to_org"})
"""The workspace is moving to an organization, which ends by itself."""

_TABLE: tuple[type[Undelivered], ...] = (
    Refused,
    MessageGone,
    Deleted,
    ContentRefused,
    Later,
    SlackRateLimited,
    Unconfirmed,
    TokenRefused,
    PermissionRefused,
    PlaceRefused,
)


def kind_of(code: str) -> type[Undelivered]:
    """Return the class whose codes have this one, by its name or else by its beginning."""
    for kind in _TABLE:
        if code in kind.codes:
            return kind
    return next((kind for kind in _TABLE if code.startswith(kind.prefixes)), Unrecognized)


def is_about_installation(code: str) -> bool:
    """Return whether a code, as the answer to a call that concerns no channel, says that Slack refuses the token, or
    what the token may do."""
    return issubclass(kind_of(code), TokenRefused | PlaceRefused)


def undelivered(error: SlackApiError) -> Undelivered:
    """Return what Slack's answer means."""
    code = error_code(error)
    kind = kind_of(code)
    return SlackRateLimited(code, retry_after(error.response.headers)) if kind is SlackRateLimited else kind(code)


def error_code(error: SlackApiError) -> str:
    """Return Slack's word for what went wrong, such as `not_in_channel`."""
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # slack_sdk puts aiohttp's own there when the JSON is broken
        return "unreadable"
    code = response.data.get("error") if isinstance(response.data, dict) else None
    if isinstance(code, str) and code.isascii() and code.isidentifier() and len(code) <= 80:
        return code
    return "ratelimited" if response.status_code == 429 else "unreadable"


def retry_after(headers: Mapping[str, str]) -> float:
    """Return how many seconds Slack asks to wait: at least one, at most half an hour."""
    value = str(headers.get("Retry-After", ""))
    seconds = float(value) if value.isascii() and value.isdigit() else RETRY_AFTER_SECONDS
    return min(max(seconds, 1.0), MAX_RETRY_AFTER_SECONDS)

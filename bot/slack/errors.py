"""The one table of Slack's error codes: each exception class lists the codes that call for the same reaction.

A code may concern:

- the token: report it everywhere, and continue when Slack accepts the token again;
- a team or channel until an admin changes something: wait there;
- the channel: pause its follows;
- the message: post another one, or only its text;
- the request, which no repetition fixes: pause the channel's follows as well;
- nothing that lasts: try again later.

A code that is not in the table is new to the bot, which treats it as transient at first. Source: the errors that
Slack's documentation lists for `chat.postMessage`, `chat.update`, `chat.postEphemeral`, `views.publish` and
`auth.test`.
"""

from collections.abc import Mapping
from typing import ClassVar

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.domain.failed_calls import MAX_RETRY_SECONDS

RETRY_AFTER_SECONDS = 30.0
"""How long to wait if Slack asks the bot to wait but does not say how long."""
MAX_RETRY_AFTER_SECONDS = 30 * 60.0
TOKEN_RECHECK_SECONDS = 60.0
"""While Slack refuses the token, the bot sends nothing and retries at this interval."""
PERMISSION_RETRY_SECONDS = 15 * 60.0
"""A permission returns only when an admin grants it, so more frequent retries would only cost calls."""
RARE_RETRY_SECONDS = 30 * 60.0
"""How often a call is repeated that Slack has answered for a day with a code of its own outages."""
HOUR = 3600.0


class DeliveryError(Exception):
    """A call that Slack did not carry out, as far as the bot knows. `code` is the reason, mostly Slack's error code."""

    codes: ClassVar[frozenset[str]] = frozenset()
    prefixes: ClassVar[tuple[str, ...]] = ()
    """Prefixes of codes, for families that grow."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PermanentError(DeliveryError):
    """Slack refuses the call in this channel until someone changes something in Slack."""

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


class InvalidRequest(PermanentError):
    """Slack does not accept such requests, for instance because this version of the bot is too old for its API."""

    codes = frozenset(
        {
            "deprecated_endpoint",
            "invalid_arg_name",
            "invalid_array_arg",
            "invalid_charset",
            "invalid_form_data",
            "invalid_post_type",
            "method_deprecated",
            "missing_post_type",
        }
    )


class MessageNotFound(DeliveryError):
    """The message can no longer be edited or replied to, so a new one replaces it."""

    codes = frozenset(
        {
            "cannot_reply_to_message",
            "cant_update_message",
            "edit_window_closed",
            "message_not_found",
            "thread_not_found",
        }
    )


class MessageDeleted(MessageNotFound):
    """This message was posted earlier, and has been deleted since."""

    codes = frozenset({"duplicate_channel_not_found", "duplicate_message_not_found"})


class ContentRejected(DeliveryError):
    """Slack does not accept the message's content. It may accept the text without the blocks."""

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


class TransientError(DeliveryError):
    """The call failed now and may work later."""

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
    """After this many seconds of nothing but this code, the error counts as permanent. None: never."""
    rare_after: ClassVar[float | None] = None
    """After this many seconds of nothing but this code, the call is made only every RARE_RETRY_SECONDS. None: never."""
    retry_seconds: ClassVar[float | None] = None
    """How long to wait if Slack does not say."""
    max_retry_seconds: ClassVar[float | None] = None
    """If set, each wait is twice as long as the one before, up to this."""

    def __init__(self, code: str, seconds: float | None = None) -> None:
        super().__init__(code)
        self.seconds = self.retry_seconds if seconds is None else seconds
        """How long to wait for a token bucket, for Slack's rate limit or for the bot token; the attempt does not count
        as failed. None: it counts, and each wait is longer than the one before."""


class Throttled(TransientError):
    """The bot's own token bucket is empty; Slack was not called."""

    permanent_after = None


class SlackRateLimited(TransientError):
    """Slack asks the bot to wait."""

    codes = frozenset({"rate_limited", "ratelimited"})
    permanent_after = None


class Unconfirmed(TransientError):
    """Slack may have carried out the call. Slack documents that possibility for each code of its outages.

    The error is never permanent, because an outage of Slack must not pause every follow.
    """

    codes = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
    permanent_after = None
    rare_after = 24 * HOUR


class NotSent(TransientError):
    """The bot could not connect to Slack, so Slack certainly did not carry out the call."""

    permanent_after = None


class UnknownCode(TransientError):
    """A code that is not in this table."""

    permanent_after = HOUR


class TokenRejected(TransientError):
    """Slack refuses the bot token in all channels and for every method."""

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


class PermissionDenied(TokenRejected):
    """Slack accepts the bot token, but not for this method or network."""

    codes = frozenset({"accesslimited", "app_access_restricted", "enterprise_is_restricted", "missing_scope"})
    retry_seconds = PERMISSION_RETRY_SECONDS


class TeamAccessDenied(TransientError):
    """Slack accepts the bot token, but not for this team or channel, until an admin changes that or the team has moved.

    From `auth.test`, which concerns no channel, such a code means the whole installation.
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
    max_retry_seconds = MAX_RETRY_SECONDS


ENDED_BY_INVITATION = frozenset({"channel_not_found", "is_archived", "is_inactive", "not_in_channel"})
"""The codes that end when someone invites the bot to the channel, or unarchives it."""

UNINSTALLED_CODES = frozenset({"account_inactive", "invalid_auth", "token_expired", "token_revoked"})
"""The codes with which Slack refuses the token of an app that has been removed."""

TRANSIENT_TOKEN_CODES = frozenset({"org_login_required", "team_added_to_org"})
"""The workspace is moving to an organization; the code disappears once the move is over."""

_TABLE: tuple[type[DeliveryError], ...] = (
    PermanentError,
    InvalidRequest,
    MessageNotFound,
    MessageDeleted,
    ContentRejected,
    TransientError,
    SlackRateLimited,
    Unconfirmed,
    TokenRejected,
    PermissionDenied,
    TeamAccessDenied,
)


def error_class(code: str) -> type[DeliveryError]:
    """Return the class of this code, by exact match first and by prefix second; UnknownCode for a new code."""
    for kind in _TABLE:
        if code in kind.codes:
            return kind
    return next((kind for kind in _TABLE if code.startswith(kind.prefixes)), UnknownCode)


def is_about_installation(code: str) -> bool:
    """Return whether a code means that Slack refuses the token or its permissions, in a call about no channel."""
    return issubclass(error_class(code), TokenRejected | TeamAccessDenied)


def delivery_error(error: SlackApiError) -> DeliveryError:
    """Return the exception of this table for an error of slack_sdk."""
    code = error_code(error)
    kind = error_class(code)
    return SlackRateLimited(code, retry_after(error.response.headers)) if kind is SlackRateLimited else kind(code)


def error_code(error: SlackApiError) -> str:
    """Return Slack's error code, such as `not_in_channel`."""
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # slack_sdk puts aiohttp's response there if the JSON is broken
        return "unreadable"
    code = response.data.get("error") if isinstance(response.data, dict) else None
    if isinstance(code, str) and code.isascii() and code.isidentifier() and len(code) <= 80:
        return code
    return "ratelimited" if response.status_code == 429 else "unreadable"


def retry_after(headers: Mapping[str, str]) -> float:
    """Return how many seconds Slack asks the bot to wait: at least one, at most half an hour."""
    value = str(headers.get("Retry-After", ""))
    seconds = float(value) if value.isascii() and value.isdigit() else RETRY_AFTER_SECONDS
    return min(max(seconds, 1.0), MAX_RETRY_AFTER_SECONDS)

"""Each error that Slack documents is in the table once, and says what to do."""

import pytest

from bot.slack.errors import (
    ContentRejected,
    DeliveryError,
    InvalidRequest,
    MessageNotFound,
    PermanentError,
    PermissionDenied,
    SlackRateLimited,
    TeamAccessDenied,
    TokenRejected,
    TransientError,
    Unconfirmed,
    UnknownCode,
    error_class,
    is_about_installation,
    retry_after,
)

DOCUMENTED = {
    TokenRejected: "invalid_auth not_authed account_inactive token_revoked token_expired "
    "two_factor_setup_required not_allowed_token_type",
    PermissionDenied: "missing_scope accesslimited enterprise_is_restricted",
    TeamAccessDenied: "ekm_access_denied access_denied team_access_not_granted org_login_required team_added_to_org",
    PermanentError: "channel_not_found not_in_channel is_archived is_inactive channel_is_limited_access "
    "restricted_action restricted_action_read_only_channel restricted_action_thread_only_channel "
    "restricted_action_thread_locked restricted_action_non_threadable_channel messages_tab_disabled "
    "user_not_found user_not_in_channel no_permission "
    "as_user_not_supported slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked "
    "slack_connect_lists_sharing_blocked team_not_found not_enabled is_bot",
    InvalidRequest: "deprecated_endpoint method_deprecated invalid_arg_name invalid_array_arg invalid_charset "
    "invalid_form_data invalid_post_type missing_post_type",
    MessageNotFound: "message_not_found thread_not_found cant_update_message edit_window_closed "
    "cannot_reply_to_message",
    ContentRejected: "msg_too_long no_text too_many_attachments too_many_contact_cards invalid_blocks "
    "invalid_blocks_format msg_blocks_too_long invalid_attachments invalid_arguments block_mismatch "
    "invalid_metadata_format invalid_metadata_schema metadata_too_large metadata_must_be_sent_from_app "
    "markdown_text_conflict cant_broadcast_message no_dual_broadcast_content_update view_too_large",
    SlackRateLimited: "ratelimited rate_limited",
    Unconfirmed: "internal_error fatal_error service_unavailable request_timeout",
    TransientError: "message_limit_exceeded update_failed external_channel_migrating streaming_state_conflict "
    "hash_conflict",
}
"""By chat.postMessage, chat.update, chat.postEphemeral, views.publish, auth.test; source: slack-ruby/slack-api-ref."""


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_each_documented_code_has_a_kind(kind: type[DeliveryError]) -> None:
    codes = DOCUMENTED[kind].split()

    assert {code: error_class(code) for code in codes} == dict.fromkeys(codes, kind)


def test_unknown_code_is_transient_for_an_hour() -> None:
    assert error_class("a_word_of_tomorrow") is UnknownCode
    assert issubclass(UnknownCode, TransientError)
    assert UnknownCode.permanent_after == 3600


def test_no_code_has_two_kinds() -> None:
    codes = [code for kind in set(map(error_class, " ".join(DOCUMENTED.values()).split())) for code in kind.codes]

    assert len(codes) == len(set(codes))


def test_errors_about_token_permissions_and_team_are_about_the_installation() -> None:
    codes = ("missing_scope", "invalid_auth", "team_access_not_granted", "not_in_channel")

    assert [is_about_installation(code) for code in codes] == [True, True, True, False]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 30),
        ({"Retry-After": "soon"}, 30),
        ({"Retry-After": "-1"}, 30),
        ({"Retry-After": "²"}, 30),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "86400"}, 1_800),
    ],
)
def test_wait_is_read_from_the_headers(headers: dict[str, str], seconds: float) -> None:
    """Half a minute where Slack says nothing that can be understood, and never more than half an hour."""
    assert retry_after(headers) == seconds

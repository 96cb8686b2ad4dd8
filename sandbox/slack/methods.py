"""The Web API's methods, with the token and scope that each requires."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.slack.arguments import Arguments
from sandbox.slack.chat import Answer, Chat
from sandbox.slack.conversations import direct_message
from sandbox.slack.credentials import Credentials, TokenKind
from sandbox.slack.refusal import Refusal
from sandbox.slack.seed import AppIdentity
from sandbox.slack.workspace import Channel, Workspace

_SCOPES_BY_TYPE = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "mpim": "mpim:read",
    "im": "im:read",
}
_MAX_PAGE = 1_000

Run = Callable[[Arguments], Answer]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its implementation, and the token and scope that it requires. `kind` None requires no token."""

    run: Run
    kind: TokenKind | None = TokenKind.BOT
    scope: str | None = None


def methods_of(
    workspace: Workspace, app: AppIdentity, chat: Chat, credentials: Credentials, open_connection: Run
) -> dict[str, Method]:
    """Return the sandbox's methods by name; all others are `unknown_method`."""

    def auth_test(_arguments: Arguments) -> Answer:
        return _auth_test(workspace, app)

    def conversations_open(arguments: Arguments) -> Answer:
        return _conversations_open(workspace, arguments)

    def users_conversations(arguments: Arguments) -> Answer:
        return _users_conversations(workspace, app, arguments, credentials)

    return {
        "api.test": Method(_api_test, kind=None),
        "auth.test": Method(auth_test),
        "apps.connections.open": Method(open_connection, TokenKind.APP, "connections:write"),
        "chat.postMessage": Method(chat.post_message, scope="chat:write"),
        "chat.postEphemeral": Method(chat.post_ephemeral, scope="chat:write"),
        "chat.update": Method(chat.update, scope="chat:write"),
        "chat.delete": Method(chat.delete, scope="chat:write"),
        "users.conversations": Method(users_conversations),
        "conversations.open": Method(conversations_open, scope="im:write"),
    }


def _api_test(arguments: Arguments) -> Answer:
    if arguments.text("error"):
        raise Refusal(arguments.text("error"), args=dict(arguments.values))
    return {"args": dict(arguments.values)}


def _auth_test(workspace: Workspace, app: AppIdentity) -> Answer:
    """Run `auth.test`, which names the organization as the team if the app is installed org-wide."""
    enterprise = workspace.enterprise
    team = enterprise if enterprise and workspace.is_org_wide else workspace.team
    return {
        "url": f"https://{workspace.team.domain}.slack.com/",
        "team": team.name,
        "user": workspace.users[app.user_id].name,
        "team_id": team.id,
        "user_id": app.user_id,
        "bot_id": app.bot_id,
        **({"enterprise_id": enterprise.id} if enterprise else {}),
        "is_enterprise_install": workspace.is_org_wide,
    }


def _conversations_open(workspace: Workspace, arguments: Arguments) -> Answer:
    users = [user for user in arguments.text("users").split(",") if user]
    if len(users) != 1:
        raise Refusal("users_list_not_supplied" if not users else "method_not_supported_for_channel_type")
    already_open = f"D{users[0][1:]}" in workspace.channels
    channel = direct_message(workspace, users[0])
    return {"channel": {"id": channel.id}} | ({"no_op": True, "already_open": True} if already_open else {})


def _users_conversations(
    workspace: Workspace, app: AppIdentity, arguments: Arguments, credentials: Credentials
) -> Answer:
    """Run `users.conversations` for the bot itself: the conversations that it is a member of, by pages."""
    types = [kind.strip() for kind in (arguments.text("types") or "public_channel").split(",")]
    if not set(types) <= _SCOPES_BY_TYPE.keys():
        raise Refusal("invalid_types")
    for kind in types:
        credentials.check(arguments.token, TokenKind.BOT, _SCOPES_BY_TYPE[kind])
    if arguments.text("user") not in ("", app.user_id):
        raise Refusal("method_not_supported_for_channel_type")
    limit, start = arguments.text("limit") or "100", arguments.text("cursor") or "0"
    if not limit.isdecimal() or not 0 < int(limit) < _MAX_PAGE:
        raise Refusal("invalid_limit")
    if not start.isdecimal():
        raise Refusal("invalid_cursor")
    joined = [
        channel
        for channel in workspace.channels.values()
        if channel.has_bot and not channel.is_deleted and _type_of(channel) in types
        if not (channel.is_archived and arguments.flag("exclude_archived"))
    ]
    end = int(start) + int(limit)
    return {
        "channels": [_conversation(channel) for channel in joined[int(start) : end]],
        "response_metadata": {"next_cursor": str(end) if end < len(joined) else ""},
    }


def _type_of(channel: Channel) -> str:
    if channel.is_im or channel.is_mpim:
        return "im" if channel.is_im else "mpim"
    return "private_channel" if channel.is_private else "public_channel"


def _conversation(channel: Channel) -> Answer:
    flags = ("is_private", "is_im", "is_mpim", "is_archived")
    return {"id": channel.id, "name": channel.name} | {flag: getattr(channel, flag) for flag in flags}

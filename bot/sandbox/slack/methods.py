"""The Web API's methods, with the token and scope that each requires."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.chat import Answer, Chat
from bot.sandbox.slack.conversations import direct_message
from bot.sandbox.slack.credentials import TokenKind
from bot.sandbox.slack.refusal import Refusal
from bot.sandbox.slack.seed import AppIdentity
from bot.sandbox.slack.workspace import Workspace

Run = Callable[[Arguments], Answer]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its implementation, and the token and scope that it requires. `kind` None requires no token."""

    run: Run
    kind: TokenKind | None = TokenKind.BOT
    scope: str | None = None


def methods_of(workspace: Workspace, app: AppIdentity, chat: Chat, open_connection: Run) -> dict[str, Method]:
    """Return the sandbox's methods by name; all others are `unknown_method`."""

    def auth_test(arguments: Arguments) -> Answer:
        return _auth_test(workspace, app)

    def conversations_open(arguments: Arguments) -> Answer:
        return _conversations_open(workspace, arguments)

    return {
        "api.test": Method(_api_test, kind=None),
        "auth.test": Method(auth_test),
        "apps.connections.open": Method(open_connection, TokenKind.APP, "connections:write"),
        "chat.postMessage": Method(chat.post_message, scope="chat:write"),
        "chat.postEphemeral": Method(chat.post_ephemeral, scope="chat:write"),
        "chat.update": Method(chat.update, scope="chat:write"),
        "chat.delete": Method(chat.delete, scope="chat:write"),
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

"""Where the bot is installed, and who and what belongs there. Values in, values out."""

from dataclasses import dataclass, replace

from slack_bolt.authorization import AuthorizeResult

from bot.slack.events import Event
from bot.slack.requests import Request


@dataclass(frozen=True, slots=True)
class Home:
    """The installation, as `auth.test` tells of it: one workspace, or a whole organisation."""

    team_id: str
    """In whose name everything is stored; of an organisation, its ID."""
    enterprise_id: str = ""
    """The organisation that has the app, or that its workspace belongs to."""
    bot_user_id: str = ""

    @property
    def is_org_wide(self) -> bool:
        """Whether a whole organisation has the app."""
        return self.team_id == self.enterprise_id

    def placed(self, request: Request) -> Request:
        """Return the request as one of this installation, by a member or a guest."""
        return replace(request, team_id=self.team_id, is_guest=not self._has_member(request))

    def has(self, event: Event) -> bool:
        """Return whether an event is one of this installation."""
        if self.is_org_wide:
            return event.enterprise_id == self.enterprise_id or event.team_id == self.team_id
        if event.team_id:
            return event.team_id == self.team_id
        # Of the whole organisation, and so of this workspace of it.
        return bool(self.enterprise_id) and event.enterprise_id == self.enterprise_id

    def is_ended_by(self, event: Event) -> bool:
        """Return whether the bot is installed here no longer: not where another installation ends, or the token of a
        person is revoked."""
        if not self.has(event):
            return False
        if self.is_org_wide and event.is_of_one_workspace:
            return False
        if event.kind != "tokens_revoked":
            return True
        return self.bot_user_id in event.revoked_bots if self.bot_user_id else bool(event.revoked_bots)

    def _has_member(self, request: Request) -> bool:
        if self.is_org_wide:
            # Which workspaces an organisation has is not known; a person of another one says which.
            return request.user_enterprise_id in ("", self.enterprise_id)
        return (request.user_team_id or request.team_id) in ("", self.team_id)


def home_of(authorization: AuthorizeResult) -> Home | None:
    """Return the installation, as far as Slack has told of it."""
    team_id, enterprise_id = authorization.team_id, authorization.enterprise_id
    if not (team_id or enterprise_id):
        return None
    return Home(team_id or enterprise_id or "", enterprise_id or "", authorization.bot_user_id or "")

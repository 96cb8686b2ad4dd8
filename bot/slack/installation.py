"""The bot's installation, and which requests and events belong to it. Values in, values out."""

from dataclasses import dataclass, replace

from slack_bolt.authorization import AuthorizeResult

from bot.slack.payloads import Event, Request


@dataclass(frozen=True, slots=True)
class Installation:
    """The installation as `auth.test` reports it: one workspace or a whole organization."""

    team_id: str
    """The ID under which everything is stored: the workspace's or, if installed org-wide, the organization's."""
    enterprise_id: str = ""
    """The organization that has installed the app, or that its workspace belongs to."""
    bot_user_id: str = ""

    @property
    def is_org_wide(self) -> bool:
        """Whether the app is installed for a whole organization."""
        return self.team_id == self.enterprise_id

    def resolve(self, request: Request) -> Request:
        """Return the request under this installation's ID, marked if it is from a person of another workspace."""
        return replace(request, team_id=self.team_id, is_outsider=not self._has_member(request))

    def resolve_event(self, event: Event) -> Event:
        """Return the event under this installation's ID, and say whether it is about the bot."""
        is_about_bot = bool(self.bot_user_id) and event.user_id == self.bot_user_id
        return replace(event, team_id=self.team_id, is_about_bot=is_about_bot)

    def owns(self, event: Event) -> bool:
        """Return whether an event belongs to this installation."""
        if self.is_org_wide:
            return event.enterprise_id == self.enterprise_id or event.team_id == self.team_id
        if event.team_id:
            return event.team_id == self.team_id
        # An event of the whole organization concerns this workspace too.
        return bool(self.enterprise_id) and event.enterprise_id == self.enterprise_id

    def is_ended_by(self, event: Event) -> bool:
        """Return whether the event ends this installation.

        The end of another installation does not, nor does the revocation of a person's token.
        """
        if not self.owns(event):
            return False
        if self.is_org_wide and event.is_of_one_workspace:
            return False
        if event.kind != "tokens_revoked":
            return True
        return self.bot_user_id in event.revoked_bots if self.bot_user_id else bool(event.revoked_bots)

    def _has_member(self, request: Request) -> bool:
        """Return whether an ID in the request shows that the person belongs here; without one, nothing may change."""
        if self.is_org_wide and request.user_enterprise_id == self.enterprise_id:
            return True
        return request.user_team_id == self.team_id


def installation_of(authorization: AuthorizeResult) -> Installation | None:
    """Return the installation, or None until Slack reports it."""
    team_id, enterprise_id = authorization.team_id, authorization.enterprise_id
    if not (team_id or enterprise_id):
        return None
    return Installation(team_id or enterprise_id or "", enterprise_id or "", authorization.bot_user_id or "")

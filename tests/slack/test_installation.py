"""Where the bot is installed, and who and what belongs there."""

from typing import Any

import pytest

from bot.slack.installation import Installation, installation_of
from bot.slack.payloads import read_event, read_request
from tests.slack.test_payloads import a_click, a_command

WORKSPACE = Installation("T1", "", "UBOT")
GRID = Installation("T1", "E1", "UBOT")
ORGANIZATION = Installation("E1", "E1", "UBOT")


class Authorization:
    def __init__(self, team_id: str | None, enterprise_id: str | None) -> None:
        self.team_id, self.enterprise_id, self.bot_user_id = team_id, enterprise_id, "UBOT"


@pytest.mark.parametrize(
    ("team_id", "enterprise_id", "installation"),
    [
        ("T1", None, WORKSPACE),
        ("T1", "E1", GRID),
        ("E1", "E1", ORGANIZATION),
        (None, "E1", ORGANIZATION),
        (None, None, None),
    ],
)
def test_installation_is_known_once_slack_reports_it(
    team_id: str | None, enterprise_id: str | None, installation: Installation | None
) -> None:
    assert installation_of(Authorization(team_id, enterprise_id)) == installation  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("installation", "body", "outsider"),
    [
        (WORKSPACE, a_command(team_id="T1"), False),
        (WORKSPACE, a_command(team_id="T2"), True),
        (GRID, a_command(team_id="T2", enterprise_id="E1"), True),
        (WORKSPACE, a_click(team={"id": "T1"}, user={"id": "U1", "team_id": "T1"}), False),
        (WORKSPACE, a_click(team={"id": "T1"}, user={"id": "U1", "team_id": "T2"}), True),
        (WORKSPACE, a_click(team={"id": "T1"}), False),
        (ORGANIZATION, a_command(team_id="T2", enterprise_id="E1"), False),
        (ORGANIZATION, a_command(team_id="T2", enterprise_id="E2"), True),
        (WORKSPACE, a_command(team_id=""), True),
        (WORKSPACE, a_click(team=None), True),
        (ORGANIZATION, a_command(team_id="T2"), True),
        (ORGANIZATION, a_command(team_id="E1"), False),
        (ORGANIZATION, a_click(team=None), True),
        (ORGANIZATION, a_click(team=None, user={"id": "U1", "team_id": "T2"}), True),
        (ORGANIZATION, a_click(team=None, user={"id": "U1", "team_id": "E1"}), False),
        (ORGANIZATION, a_click(team=None, user={"id": "U1", "team_id": "T2", "enterprise_id": "E1"}), False),
        (ORGANIZATION, a_click(team=None, user={"id": "U1", "team_id": "T2", "enterprise_id": "E2"}), True),
    ],
)
def test_people_of_other_workspaces_are_outsiders(
    installation: Installation, body: dict[str, Any], outsider: bool
) -> None:
    """So is a person whose membership the payload does not show. Requests get the installation's ID."""
    request = installation.resolve(read_request(body))

    assert (request.is_outsider, request.team_id) == (outsider, installation.team_id)
    assert installation.resolve(request) == request


def event(kind: str = "channel_unarchive", tokens: dict[str, Any] | None = None, **outer: Any) -> dict[str, Any]:
    return {"type": "event_callback", "event": {"type": kind, "tokens": tokens or {}}, **outer}


OURS = [{"team_id": "T1", "enterprise_id": None, "is_enterprise_install": False}]
OUR_ORGANIZATION = [{"team_id": None, "enterprise_id": "E1", "is_enterprise_install": True}]


@pytest.mark.parametrize(
    ("installation", "body", "ours"),
    [
        (WORKSPACE, event(team_id="T1"), True),
        (WORKSPACE, event(team_id="T2"), False),
        (WORKSPACE, event(team_id="T2", authorizations=OURS), True),
        (WORKSPACE, event(team_id="T2", enterprise_id="E2", authorizations=OURS), True),
        (ORGANIZATION, event(team_id="T5", authorizations=OUR_ORGANIZATION), True),
        (ORGANIZATION, event(team_id="T5", authorizations=OURS), False),
    ],
)
def test_events_are_of_the_authorization(installation: Installation, body: dict[str, Any], ours: bool) -> None:
    """In a channel that several workspaces share, the outer team is any of theirs."""
    assert installation.owns(read_event(body)) is ours


@pytest.mark.parametrize(
    ("installation", "body", "ended"),
    [
        (WORKSPACE, event("app_uninstalled", team_id="T1"), True),
        (WORKSPACE, event("app_uninstalled", team_id="T1", authorizations=[]), True),
        (WORKSPACE, event("app_uninstalled", team_id="T2"), False),
        (WORKSPACE, event("app_uninstalled", team_id=None, enterprise_id="E1", authorizations=[]), False),
        (GRID, event("app_uninstalled", team_id=None, enterprise_id="E1"), True),
        (GRID, event("app_uninstalled", team_id="T2", enterprise_id="E1"), False),
        (ORGANIZATION, event("app_uninstalled", team_id=None, enterprise_id="E1", authorizations=[]), True),
        (ORGANIZATION, event("app_uninstalled", team_id="T5", authorizations=OUR_ORGANIZATION), True),
        (ORGANIZATION, event("app_uninstalled", team_id=None, enterprise_id="E2"), False),
        (WORKSPACE, event("tokens_revoked", {"oauth": ["U1"]}, team_id="T1"), False),
        (WORKSPACE, event("tokens_revoked", {"oauth": ["U1"], "bot": None}, team_id="T1"), False),
        (WORKSPACE, event("tokens_revoked", {"bot": ["UOTHER"]}, team_id="T1"), False),
        (WORKSPACE, event("tokens_revoked", {"bot": ["UBOT"]}, team_id="T1"), True),
        (WORKSPACE, event("tokens_revoked", {"bot": ["UBOT"]}, team_id="T2"), False),
        (ORGANIZATION, event("tokens_revoked", {"bot": ["UBOT"]}, team_id=None, enterprise_id="E1"), True),
    ],
)
def test_the_end_of_the_installation(installation: Installation, body: dict[str, Any], ended: bool) -> None:
    """In each form that Slack has for it; not of another installation, nor of the token of a person."""
    assert installation.is_ended_by(read_event(body)) is ended

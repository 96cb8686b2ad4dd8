"""The Prometheus alerts: each can be read by Prometheus, and asks for what the bot counts."""

import re
from typing import Any

import aiohttp
import promql_parser
import pytest

from bot.slack.in_flight import MALFORMED
from bot.slack.messages.lookup_card import ACTIONS
from bot.slack.payloads import COMMAND
from tests.conftest import World
from tests.deployment import ROOT, documents
from tests.promql import selectors, series, words

RULES = [rule for group in documents("manifests/prometheus/alerts.yaml")[0]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_asks_for_what_is_counted(rule: dict[str, Any]) -> None:
    """Every series in the expression is one of the bot's, and so is every label and every value of one."""
    asked = list(selectors(promql_parser.parse(rule["expr"])))

    assert asked
    for name, labels in asked:
        assert name in series()
        assert set(labels) <= series()[name]
        assert set().union(*labels.values()) <= words()
    for label in re.findall(r"\bby \((\w+)\)", rule["expr"]):
        assert all(label in series()[name] for name, _ in asked)


async def test_the_first_one_counts(connected: World) -> None:
    """Of what an alert asks for the increase of there is a zero before: Prometheus sees none from nothing to one."""
    async with aiohttp.ClientSession() as session, session.get(f"{connected.bot_url}/metrics") as answer:
        lines = (await answer.text()).splitlines()

    rules = [rule["expr"] for rule in RULES if "increase(" in rule["expr"]]
    wanted = {
        (name, f'{label}="{value}"')
        for expression in rules
        for name, labels in selectors(promql_parser.parse(expression))
        for label, values in labels.items()
        for value in values
    }
    wanted |= {
        ("livestream_bot_requests_total", f'action="{action}",outcome="error"')
        for action in (COMMAND, MALFORMED, *ACTIONS, *slack_events())
    }

    assert not [each for each in wanted if not any(all(part in line for part in each) for line in lines)]


def slack_events() -> set[str]:
    """The Slack events that the manifests subscribe the bot to."""
    return {
        event
        for path in ("manifests/slack/http.yaml", "manifests/slack/socket.yaml")
        for event in documents(path)[0]["settings"]["event_subscriptions"]["bot_events"]
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_says_what_to_do(rule: dict[str, Any]) -> None:
    """Whoever is woken reads what happened and what to do, and every other alert that is named exists."""
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert all(text.endswith(".") for text in rule["annotations"].values())
    named = set(re.findall(r"\bLivestreamBot\w+", rule["annotations"]["description"]))
    assert named <= {other["alert"] for other in RULES} - {rule["alert"]}


@pytest.mark.parametrize(
    "series",
    [
        "livestream_bot_ready",
        'livestream_bot_webhook_requests_total{outcome=~"forged|key_unreachable|database_unavailable|late"}',
    ],
)
def test_it_is_watched(series: str) -> None:
    """What stands still without a word is asked about: what is not ready, and webhooks that are not taken."""
    assert [rule["alert"] for rule in RULES if series in rule["expr"]]


def test_it_is_told_when_the_database_is_away() -> None:
    """Somebody is woken when a check fails in all replicas for five minutes, and told which; one that is ready does."""
    (rule,) = [rule for rule in RULES if rule["alert"] == "LivestreamBotNotReady"]

    assert (rule["expr"], rule["for"]) == ("max by (check) (livestream_bot_ready) == 0", "5m")
    assert rule["labels"]["severity"] == "critical"
    assert "{{ $labels.check }}" in rule["annotations"]["summary"]


def test_what_wakes_somebody_is_documented() -> None:
    """docs/production.md names those that are critical, and no others."""
    guide = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    paragraph = guide.partition("## Alerts")[2].partition("\n## ")[0]
    critical = [rule["alert"] for rule in RULES if rule["labels"]["severity"] == "critical"]

    assert re.findall(r"`(LivestreamBot\w+)`", paragraph) == critical
    assert f"{['No', 'One', 'Two', 'Three', 'Four', 'Five'][len(critical)]} of them" in paragraph


def test_alerts_are_told_apart() -> None:
    """No two have the same name."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES)

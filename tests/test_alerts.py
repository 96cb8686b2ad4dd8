"""The Prometheus alerts: Prometheus can parse each of them, and each uses what the bot exposes."""

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
from tests.promql import label_values, selectors, series

RULES = [rule for group in documents("manifests/prometheus/alerts.yaml")[0]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_expression_uses_only_exposed_series_and_label_values(rule: dict[str, Any]) -> None:
    used = list(selectors(promql_parser.parse(rule["expr"])))

    assert used
    for name, labels in used:
        assert name in series()
        assert set(labels) <= series()[name]
        assert set().union(*labels.values()) <= label_values()
    for label in re.findall(r"\bby \((\w+)\)", rule["expr"]):
        assert all(label in series()[name] for name, _ in used)


async def test_counters_in_increase_start_at_zero(connected: World) -> None:
    """Prometheus sees no increase from no series to one."""
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
    """Return the Slack events that the manifests subscribe the bot to."""
    return {
        event
        for path in ("manifests/slack/http.yaml", "manifests/slack/socket.yaml")
        for event in documents(path)[0]["settings"]["event_subscriptions"]["bot_events"]
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_has_summary_description_and_existing_references(rule: dict[str, Any]) -> None:
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
def test_readiness_and_webhook_failures_have_alerts(series: str) -> None:
    assert [rule["alert"] for rule in RULES if series in rule["expr"]]


def test_not_ready_alert_is_critical_and_names_the_check() -> None:
    """It fires when a check fails in all replicas for five minutes."""
    (rule,) = [rule for rule in RULES if rule["alert"] == "LivestreamBotNotReady"]

    assert (rule["expr"], rule["for"]) == ("max by (check) (livestream_bot_ready) == 0", "5m")
    assert rule["labels"]["severity"] == "critical"
    assert "{{ $labels.check }}" in rule["annotations"]["summary"]


def test_critical_alerts_are_documented() -> None:
    guide = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    paragraph = guide.partition("## Alerts")[2].partition("\n## ")[0]
    critical = [rule["alert"] for rule in RULES if rule["labels"]["severity"] == "critical"]

    assert re.findall(r"`(LivestreamBot\w+)`", paragraph) == critical
    assert f"{['No', 'One', 'Two', 'Three', 'Four', 'Five'][len(critical)]} of them" in paragraph


def test_alert_names_are_unique() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)

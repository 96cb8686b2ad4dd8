"""The Prometheus alerts: each can be read by Prometheus, and asks for what the bot counts."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from prometheus_client.metrics import MetricWrapperBase

from bot.metrics import Metrics
from tests.deploying import documents

RULES = [rule for group in documents("manifests/prometheus/alerts.yaml")[0]["groups"] for rule in group["rules"]]
SERIES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def series() -> dict[str, set[str]]:
    """Each name under which Prometheus knows something of the bot, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            for suffix in SERIES[family.type]:
                own = {"le"} if suffix == "_bucket" else set()
                found[family.name + suffix] = set(metric._labelnames) | own
    return found


def selectors(expression: Any) -> Iterator[tuple[str, set[str]]]:
    """The name, and the labels asked for, of each series in an expression that is parsed already."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield str(expression.name), {matcher.name for matcher in expression.matchers.matchers}
    for part in ("lhs", "rhs", "expr", "vector_selector"):
        if hasattr(expression, part):
            yield from selectors(getattr(expression, part))
    for argument in getattr(expression, "args", []):
        yield from selectors(argument)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_asks_for_what_is_counted(rule: dict[str, Any]) -> None:
    """Every series in the expression is one of the bot's, and so is every label."""
    asked = list(selectors(promql_parser.parse(rule["expr"])))

    assert asked
    for name, labels in asked:
        assert name in series()
        assert labels <= series()[name]
    for label in re.findall(r"\bby \((\w+)\)", rule["expr"]):
        assert all(label in series()[name] for name, _ in asked)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_says_what_to_do(rule: dict[str, Any]) -> None:
    """Whoever is woken reads what happened and what to do, and every other alert that is named exists."""
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert all(text.endswith(".") for text in rule["annotations"].values())
    named = set(re.findall(r"\bLivestreamBot\w+", rule["annotations"]["description"]))
    assert named <= {other["alert"] for other in RULES} - {rule["alert"]}


def test_alerts_are_told_apart() -> None:
    """No two have the same name."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES)

"""The bot's series, and the parts of a PromQL expression."""

import ast
import functools
from collections.abc import Iterator
from typing import Any

import promql_parser
from prometheus_client.metrics import MetricWrapperBase

from bot.metrics import Metrics
from tests.deployment import ROOT

SERIES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


@functools.cache
def series() -> dict[str, set[str]]:
    """Return each of the bot's series in Prometheus, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            for suffix in SERIES[family.type]:
                own = {"le"} if suffix == "_bucket" else set()
                found[family.name + suffix] = set(metric._labelnames) | own
    return found


@functools.cache
def label_values() -> frozenset[str]:
    """Return the possible values of labels: each string in the bot's code, and the name of each class."""
    found = set()
    for path in (ROOT / "bot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.ClassDef):
                found.add(node.name)
    return frozenset(found)


def parts(expression: Any) -> Iterator[Any]:
    """Yield a parsed expression, and every expression inside it."""
    yield expression
    for part in ("lhs", "rhs", "expr", "vector_selector"):
        if hasattr(expression, part):
            yield from parts(getattr(expression, part))
    for argument in getattr(expression, "args", []):
        yield from parts(argument)


def selectors(expression: Any) -> Iterator[tuple[str, dict[str, set[str]]]]:
    """Yield the name of each series in a parsed expression, and its labels with the values that are selected."""
    for part in parts(expression):
        if isinstance(part, promql_parser.VectorSelector):
            matchers = part.matchers.matchers
            yield str(part.name), {matcher.name: set(matcher.value.split("|")) for matcher in matchers}

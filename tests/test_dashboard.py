"""The Grafana dashboard: it can be imported, and it shows what the bot measures."""

import json
import re
from collections import Counter
from typing import Any

import promql_parser
import pytest

from tests.deployment import ROOT
from tests.promql import label_values, parts, selectors, series

DASHBOARD: dict[str, Any] = json.loads((ROOT / "manifests/grafana/dashboard.json").read_text(encoding="utf-8"))
GUIDE = (ROOT / "docs/production.md").read_text(encoding="utf-8")
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], target["legendFormat"], id=f"{panel['id']}{target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
QUERY = pytest.mark.parametrize(("query", "legend"), QUERIES)
SCRAPED = {"job", "instance"}
"""The labels that Prometheus itself adds."""
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqpm", "opm"}
"""Grafana's names of the units in use: it shows an unknown one as a suffix."""


def parsed(query: str) -> Any:
    for variable, value in (("$__rate_interval", "5m"), ("$__range", "6h")):
        query = query.replace(variable, value)
    return promql_parser.parse(query)


def exposed() -> dict[str, set[str]]:
    """Return the bot's series, and those of its process in the guide, each with all its labels."""
    own = series() | {name: set() for name in re.findall(r"`(process_\w+)`", GUIDE)}
    return {name: labels | SCRAPED for name, labels in own.items()}


def shared() -> set[str]:
    """Return the metrics that each instance reads from the database: the guide marks them with a dagger."""
    return set(re.findall(r"^\| `(\w+)` †", GUIDE, re.MULTILINE))


def names(expression: Any) -> set[str]:
    return {name for name, _ in selectors(expression)}


@QUERY
def test_query_uses_only_exposed_metrics_and_labels(query: str, legend: str) -> None:
    expression = parsed(query)
    used = list(selectors(expression))

    assert used
    for name, labels in used:
        assert set(labels) <= exposed()[name]
        assert set().union(*(values for label, values in labels.items() if label not in SCRAPED)) <= label_values()
        for part in parts(expression):
            if isinstance(part, promql_parser.AggregateExpr) and part.modifier and name in names(part):
                assert part.modifier.type == promql_parser.AggModifierType.By
                assert set(part.modifier.labels) <= exposed()[name]


@QUERY
def test_query_is_limited_to_the_chosen_jobs_and_instances(query: str, legend: str) -> None:
    for _, labels in selectors(parsed(query)):
        assert {label: labels.get(label) for label in SCRAPED} == {"job": {"$job"}, "instance": {"$instance"}}


@QUERY
def test_legend_uses_only_labels_of_the_result(query: str, legend: str) -> None:
    aggregates = [part for part in parts(parsed(query)) if isinstance(part, promql_parser.AggregateExpr)]
    # The outermost one that groups decides which labels are left.
    grouped = [set(part.modifier.labels) for part in aggregates if part.modifier]
    kept = grouped[0] if grouped else set() if aggregates else SCRAPED | {"check"}

    assert set(re.findall(r"{{(\w+)}}", legend)) <= kept - {"le"}
    assert legend


@QUERY
def test_counters_are_shown_as_increases_and_gauges_directly(query: str, legend: str) -> None:
    expression = parsed(query)
    matrices = [part for part in parts(expression) if isinstance(part, promql_parser.MatrixSelector)]
    counted = {name for name in names(expression) if name.endswith(("_total", "_bucket", "_count", "_sum"))}

    assert {name for matrix in matrices for name in names(matrix)} == counted
    for call in (part for part in parts(expression) if isinstance(part, promql_parser.Call)):
        if any(isinstance(argument, promql_parser.MatrixSelector) for argument in call.args):
            assert call.func.name in ("rate", "increase")


def test_quantiles_use_summed_buckets() -> None:
    quantiles = [
        part
        for parameter in QUERIES
        for part in parts(parsed(str(parameter.values[0])))
        if isinstance(part, promql_parser.Call) and part.func.name == "histogram_quantile"
    ]

    assert {name for quantile in quantiles for name in names(quantile)} == {
        name for name in series() if name.endswith("_bucket")
    }
    for quantile in quantiles:
        share, buckets = quantile.args
        assert 0 < share.val < 1
        assert str(buckets.op) == "sum"
        assert "le" in buckets.modifier.labels
        assert buckets.expr.func.name == "rate"


def test_shared_metrics_are_not_summed_over_instances() -> None:
    shown: set[str] = set()
    for parameter in QUERIES:
        for part in parts(parsed(str(parameter.values[0]))):
            if isinstance(part, promql_parser.VectorSelector) and str(part.name) in shared():
                shown.add(str(part.name))
            if isinstance(part, promql_parser.AggregateExpr) and names(part) & shared():
                assert str(part.op) == "max"

    assert shown == shared()


def test_every_metric_is_shown() -> None:
    shown = set().union(*(names(parsed(str(parameter.values[0]))) for parameter in QUERIES))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exposed()}

    assert families == {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}


def test_every_panel_has_title_unit_and_description() -> None:
    for panel in PANELS:
        assert panel["title"].strip()
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert re.fullmatch(r"[A-Z].{20,}\.", panel["description"])
    for row in DASHBOARD["panels"]:
        assert row["title"].strip()


def test_panel_and_query_ids_are_unique() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_panels_do_not_overlap() -> None:
    cells = Counter(
        (column, line)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    )

    assert set(cells.values()) == {1}
    assert {column for column, _ in cells} == set(range(24))


def test_dashboard_can_be_imported_with_any_prometheus() -> None:
    """It contains no ID of one Grafana: the data source is a variable that everything uses."""
    assert DASHBOARD["title"]
    assert re.fullmatch(r"[\w-]{8,40}", DASHBOARD["uid"])
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD.get("id") is None

    source, *variables = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert {variable["name"] for variable in variables} == SCRAPED
    for reader in [*variables, *PANELS, *(target for panel in PANELS for target in panel["targets"])]:
        assert reader["datasource"] == chosen
    for variable in variables:
        assert re.findall(r"livestream_bot_\w+", variable["query"]["query"])[0] in series()


def test_guide_explains_the_import() -> None:
    assert "`manifests/grafana/dashboard.json`" in GUIDE
    assert "--from-file manifests/grafana/dashboard.json" in GUIDE

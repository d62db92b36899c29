"""The dashboard, the alert rules and docs/operations.md name metrics and labels that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Counter, Histogram, UpDownCounter
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from server.telemetry.instruments import GAUGES, Instruments

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "kgt.json").read_text(encoding="utf-8"))
(GROUP,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
EXPRESSIONS = {
    **{f"alert {name}": rule["expr"] for name, rule in RULES.items()},
    **{
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "5m")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    },
}
LABELS = {
    "kgt_requests_total": {"rpc", "status", "reason"},
    "kgt_requests_active": {"rpc"},
    "kgt_request_duration_seconds": {"rpc"},
    "kgt_stage_duration_seconds": {"rpc", "stage"},
    "kgt_store_duration_seconds": {"operation"},
    "kgt_commits_total": {"outcome"},
    "kgt_retries_total": {"what"},
    "kgt_model_queue_wait_seconds": {"kind"},
    "kgt_model_requests_active": {"kind"},
    "kgt_model_request_wait_seconds": {"kind"},
    "kgt_model_request_duration_seconds": {"kind", "outcome"},
    "kgt_model_request_texts": {"kind"},
    "kgt_model_request_tokens": {"kind"},
    "kgt_model_tokens_total": {"kind"},
    "kgt_cache_lookups_total": {"cache", "result"},
}
"""The labels of the metrics that have any; tests/telemetry/test_calls.py and test_requests.py see
them in use."""
OF_PROMETHEUS = {"le", "instance", "job"}
MADE_BY_PROMETHEUS = {"up"}
"""Of each target: whether its last scrape succeeded."""


def families() -> dict[str, set[str]]:
    """What Prometheus reads where everything has happened once: families and their samples."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(scope_info_enabled=False, registry=registry)
    metrics = MeterProvider([reader], shutdown_on_exit=False)
    instruments = Instruments(metrics.get_meter("kgt"))
    for instrument in vars(instruments).values():
        if isinstance(instrument, Histogram):
            instrument.record(1)
        elif isinstance(instrument, Counter | UpDownCounter):
            instrument.add(1)
    for name in GAUGES:
        instruments.gauge(name, lambda: 1)
    page = generate_latest(registry).decode()
    metrics.shutdown()
    found = {}
    for family in text_string_to_metric_families(page):
        if family.name.startswith("kgt_"):
            found[family.name] = {sample.name for sample in family.samples}
    return found


FAMILIES = families()
SAMPLES = {sample for samples in FAMILIES.values() for sample in samples}


def selectors(expression: Any) -> Iterator[Any]:
    """The metrics that an expression reads, with their matchers."""
    if isinstance(expression, promql.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        part = getattr(expression, name, None)
        if isinstance(part, promql.Expr):
            yield from selectors(part)
    for argument in getattr(expression, "args", None) or ():
        yield from selectors(argument)


def family_of(sample: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", sample)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_can_be_read_and_names_metrics_and_labels_that_exist(name: str) -> None:
    text = EXPRESSIONS[name]
    read = list(selectors(promql.parse(text)))
    assert {selector.name for selector in read} == set(re.findall(r"\b(?:kgt_\w+|up\b)", text))
    labels: set[str] = set(OF_PROMETHEUS)
    for selector in read:
        assert selector.name in SAMPLES | MADE_BY_PROMETHEUS
        own = LABELS.get(family_of(selector.name), set())
        assert {matcher.name for matcher in selector.matchers.matchers} <= own | OF_PROMETHEUS
        labels |= own
    for grouping in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", text):
        assert {label.strip() for label in grouping.split(",")} <= labels


def test_a_metric_that_is_not_there_would_be_found() -> None:
    (selector,) = selectors(promql.parse("rate(kgt_gone_total[5m])"))
    assert selector.name not in SAMPLES
    with pytest.raises(ValueError, match="parenthesis"):
        promql.parse("sum(rate(kgt_requests_total[5m])")


def test_the_dashboard_shows_every_metric() -> None:
    shown = set(re.findall(r"\bkgt_\w+", " ".join(EXPRESSIONS.values())))
    assert {family_of(sample) for sample in shown} == {
        f"{name}_total" if f"{name}_total" in samples else name
        for name, samples in FAMILIES.items()
    }


def test_the_labels_above_are_of_metrics_that_exist() -> None:
    assert {family_of(sample) for sample in SAMPLES} >= LABELS.keys()


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_what_it_means_there_and_in_the_guide(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    assert f"**{name}**" in GUIDE


def test_the_guide_names_every_metric_and_no_other() -> None:
    named = set(re.findall(r"`(kgt_\w+)`", GUIDE))
    assert named == {
        f"{name}_total" if f"{name}_total" in samples else name
        for name, samples in FAMILIES.items()
    }


def test_the_guide_names_only_alerts_that_exist() -> None:
    assert set(re.findall(r"\*\*(Kgt\w+)\*\*", GUIDE)) == RULES.keys()

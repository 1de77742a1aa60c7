"""Metrics: names say what they are, and a service shows its own only."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Metric

from shared.runtime import metrics

_UNITS = (
    "_seconds",
    "_bytes",
    "_total",
    "_ratio",
    "_messages",
    "_users",
    "_partitions",
    "_segments",
    "_offsets",
    "_questions",
    "_deliveries",
    "_streams",
)
_SECTIONS = (metrics.API, metrics.EVALUATOR, metrics.EXPORTER, REGISTRY)


def _ours(registry: CollectorRegistry) -> Iterator[Metric]:
    return (metric for metric in registry.collect() if metric.name.startswith("shoal_"))


@pytest.mark.parametrize("registry", _SECTIONS)
def test_every_metric_has_a_meaning_and_its_unit_in_the_name(registry: CollectorRegistry) -> None:
    for metric in _ours(registry):
        name = metric.name + ("_total" if metric.type == "counter" else "")
        is_flag = metric.documentation.startswith("1 while")
        assert name.endswith(_UNITS) or is_flag, f"{name}: no unit at the end"
        assert len(metric.documentation) > 20, f"{name}: say what it means"


def test_the_sections_hold_nothing_but_ours() -> None:
    for section in (metrics.API, metrics.EVALUATOR, metrics.EXPORTER):
        assert all(metric.name.startswith("shoal_") for metric in section.collect())


def test_a_service_shows_its_own_section_and_the_common_one() -> None:
    metrics.EXPORT_REQUESTS.labels("failed").inc(0)
    shown = metrics.exposition(metrics.EXPORTER).decode()
    assert "shoal_exporter_requests_total" in shown
    assert "shoal_dead_letters_total" in shown
    assert "python_info" in shown
    assert "shoal_exporter_" not in metrics.exposition(metrics.API).decode()

"""Metrics under their full ids; a plug-in file defines one with :func:`metric`."""

from harness.evaluation.metrics.definition import Metric, MetricFacts, SetMetric, metric
from harness.evaluation.metrics.registry import (
    check_metric_weights,
    is_of_set,
    known_metrics,
    metric_facts,
    metric_ids,
    resolve_metrics,
    resolve_set_metrics,
)

__all__ = [
    "Metric",
    "MetricFacts",
    "SetMetric",
    "check_metric_weights",
    "is_of_set",
    "known_metrics",
    "metric",
    "metric_facts",
    "metric_ids",
    "resolve_metrics",
    "resolve_set_metrics",
]

"""Metrics under their full ids; a plug-in file defines one with :func:`metric`."""

from harness.evaluation.metrics.definition import Metric, MetricFacts, metric
from harness.evaluation.metrics.registry import (
    known_metrics,
    metric_facts,
    metric_ids,
    resolve_metrics,
)

__all__ = [
    "Metric",
    "MetricFacts",
    "known_metrics",
    "metric",
    "metric_facts",
    "metric_ids",
    "resolve_metrics",
]

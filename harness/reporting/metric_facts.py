"""How metrics are shown: the one place where reporting asks evaluation about them."""

from __future__ import annotations

from dataclasses import dataclass

from harness.evaluation.metrics.registry import METRICS, metric_id


@dataclass(frozen=True)
class MetricFacts:
    """What a table needs of a metric, whose values are stored and not computed again."""

    id: str
    label: str
    unit: str
    decimals: int
    higher_is_better: bool


def metric_facts(name: str, higher_is_better: bool | None = None) -> MetricFacts:
    """Return the facts of a metric by id or by pyiqa's name; no library is loaded.

    ``higher_is_better`` is what was stored of a metric of pyiqa when it was computed.
    """
    known = METRICS.get(name)
    if known is not None:
        return MetricFacts(
            known.id, known.label, known.unit, known.decimals, known.higher_is_better
        )
    identifier = metric_id(name)
    label = identifier.removeprefix("pyiqa:").upper()
    return MetricFacts(identifier, label, "", 4, higher_is_better is not False)

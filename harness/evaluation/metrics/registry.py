"""Names to metrics: built-in ones, those of plug-in files, and pyiqa's.

Inputs of metrics are (H, W, 3) float RGB in [0, 1]. An id names all that the formula does: the
colour space (``rgb``, ``y601``), the window of SSIM (``uniform7``, ``gauss11``), and what departs
from the rule (``population`` covariance, ``bgr`` order). What is done to the images before, such
as rounding and borders, belongs to the protocol. The families that the field's repositories use
are listed in docs/protocols.md.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping

from harness.config.errors import UsageError, did_you_mean
from harness.evaluation.metrics.definition import (
    Metric,
    MetricFacts,
    SetMetric,
    defined_metrics,
)
from harness.evaluation.metrics.pyiqa_metrics import PREFIX, pyiqa_facts, pyiqa_metric
from harness.evaluation.metrics.pyiqa_models import (
    SET_NAMES,
    id_part,
    name_of,
    pyiqa_directions,
)
from harness.evaluation.metrics.pyiqa_weights import check_weights

BUILT_IN_MODULES = ("harness.evaluation.metrics.psnr", "harness.evaluation.metrics.ssim")
"""Modules whose decorated functions are the built-in metrics; a new one is listed here."""


def known_metrics() -> Mapping[str, Metric]:
    """Return the built-in metrics and those of loaded plug-in files, by id; none of pyiqa's."""
    _load_built_in()
    return defined_metrics()


def metric_ids(names: Iterable[str]) -> tuple[str, ...]:
    """Return the full ids of metrics by name, each once, without loading any library.

    A name is an id of this project or of a plug-in file, or the name of one of pyiqa's metrics,
    with or without the prefix ``pyiqa:`` that its id has.

    Raises:
        UsageError: a name is unknown; the nearest are named.
    """
    ids: dict[str, None] = {}
    for name in names:
        ids[_metric_id(name)] = None
    return tuple(ids)


def resolve_metrics(names: Iterable[str]) -> list[Metric]:
    """Return the metrics of images among names or ids, each once; loads pyiqa where it is needed.

    Those of a set of images are left to :func:`resolve_set_metrics`.

    Raises:
        UsageError: a name is unknown; the nearest are named.
        HarnessError: a metric needs weights that are not on this machine.
    """
    known = known_metrics()
    found = []
    for full_id in metric_ids(names):
        if full_id in known:
            found.append(known[full_id])
        elif not is_of_set(full_id):
            found.append(pyiqa_metric(_pyiqa_name(full_id)))
    return found


def resolve_set_metrics(names: Iterable[str]) -> list[SetMetric]:
    """Return the metrics of a set of images among names or ids, each once.

    Raises:
        UsageError: a name is unknown; the nearest are named.
        HarnessError: a metric needs weights that are not on this machine.
    """
    from harness.evaluation.metrics.fid import fid

    return [fid() for full_id in metric_ids(names) if is_of_set(full_id)]


def check_metric_weights(names: Iterable[str]) -> None:
    """Refuse metrics whose weights are not on this machine, all of them in one sentence.

    Raises:
        UsageError: a name is unknown; the nearest are named.
        HarnessError: names the files, their folders and the command that fetches them.
    """
    known = known_metrics()
    check_weights([_pyiqa_name(full_id) for full_id in metric_ids(names) if full_id not in known])


def is_of_set(full_id: str) -> bool:
    """Return whether a metric's values are of all images of a column at once."""
    return full_id not in known_metrics() and _pyiqa_name(full_id) in SET_NAMES


def _pyiqa_name(full_id: str) -> str:
    return name_of(full_id.removeprefix(PREFIX))


def metric_facts(full_id: str, higher_is_better: bool | None = None) -> MetricFacts:
    """Return what tables need of a metric, whether or not it can be computed here.

    Args:
        full_id: id as results carry it, or the name of one of pyiqa's metrics.
        higher_is_better: the direction that was stored with the results, for a metric that is
            not defined here. None asks pyiqa's list of models, and then assumes True.
    """
    known = known_metrics().get(full_id)
    if known is not None:
        return MetricFacts(
            known.id, known.label, known.unit, known.decimals, known.higher_is_better
        )
    name = _pyiqa_name(full_id)
    directions = pyiqa_directions()
    if higher_is_better is None:
        higher_is_better = directions.get(name, True)
    if full_id.startswith(PREFIX) or name in directions:
        return pyiqa_facts(name, higher_is_better)
    # Of a plug-in file that is not loaded now.
    return MetricFacts(full_id, label=name, unit="", decimals=4, higher_is_better=higher_is_better)


def _metric_id(name: str) -> str:
    known = known_metrics()
    if name in known:
        return name
    of_pyiqa = _pyiqa_name(name)
    directions = pyiqa_directions()
    if of_pyiqa in SET_NAMES and of_pyiqa != "fid":
        raise UsageError(
            f"metric '{name}' is one of a set of images, of which this project computes fid alone; "
            "use fid, or leave it out"
        )
    # Without a list of pyiqa's models, loading the metric finds out.
    if directions and of_pyiqa not in directions:
        raise UsageError(f"unknown metric '{name}'; {did_you_mean(name, [*known, *directions])}")
    return f"{PREFIX}{id_part(of_pyiqa)}"


@functools.cache
def _load_built_in() -> None:
    for module in BUILT_IN_MODULES:
        importlib.import_module(module)

"""The registry of the built-in methods. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.method import MethodSpec
from methods.adair import spec as adair
from methods.airnet import spec as airnet
from methods.baselines import spec as baselines
from methods.complexity import COMPLEXITY
from methods.cpl import spec as cpl
from methods.cpl_guided import spec as cpl_guided
from methods.dcpt.spec import pretrain
from methods.degraded_input import spec as degraded_input
from methods.dfpir import spec as dfpir
from methods.drsformer import spec as drsformer
from methods.histoformer import spec as histoformer
from methods.kernels.native import check_kernels
from methods.mioir import spec as mioir
from methods.mirage import spec as mirage
from methods.moceir import spec as moceir
from methods.onerestore import spec as onerestore
from methods.prompting.adapter_spec import with_adapter
from methods.prompting.search import SEARCH
from methods.promptir import spec as promptir
from methods.restormer import spec as restormer
from methods.sipl import spec as sipl
from methods.task_classifier import spec as task_classifier
from methods.transweather import spec as transweather

_SPECS: tuple[MethodSpec, ...] = (
    *degraded_input.SPECS,
    *restormer.SPECS,
    *promptir.SPECS,
    *cpl.SPECS,
    *cpl_guided.SPECS,
    *task_classifier.SPECS,
    *adair.SPECS,
    *drsformer.SPECS,
    *airnet.SPECS,
    *mioir.SPECS,
    *moceir.SPECS,
    *histoformer.SPECS,
    *transweather.SPECS,
    *onerestore.SPECS,
    *mirage.SPECS,
    *dfpir.SPECS,
    *sipl.SPECS,
    *baselines.SPECS,
)

# Methods whose prompts can be added to any network with insertion points (adair+cpl), and the
# label of the addition in tables.
_ADDED_LABELS = {
    "cpl": "CPL",
    "spm": "SPM",
    "cpr": "CPR",
    "cpl-guided": "CPL-guided (this project)",
    "spm-guided": "SPM-guided (this project)",
    "explicit": "explicit",
    "oracle": "oracle",
}


def _complete(spec: MethodSpec) -> MethodSpec:
    """Return ``spec`` with its complexity, its search, and its adapter where it can be added."""
    size = COMPLEXITY.get(spec.name)
    if size is not None:
        spec = replace(spec, parameters=size.parameters, macs=size.macs)
    if spec.name in SEARCH:
        spec = replace(spec, search=SEARCH[spec.name])
    if spec.name in _ADDED_LABELS:
        spec = with_adapter(spec, _ADDED_LABELS[spec.name])
    return spec


METHODS: dict[str, MethodSpec] = {spec.name: _complete(spec) for spec in _SPECS}
"""The built-in methods by name, in the order in which they are listed."""

ALIASES: dict[str, str] = {
    "promptir+cpl": "cpl",
    "promptir+cpl-guided": "cpl-guided",
    "promptir+sipl": "sipl",
}
"""Other names of built-in methods."""

RUNTIME_CHECKS = (check_kernels,)
"""What looks at parts of the methods that a machine may lack, for ``python -m harness doctor``."""

PRETRAININGS: dict[str, Callable[[MethodSpec], MethodSpec]] = {"dcpt": pretrain}
"""Stages of pre-training, ``name@dcpt``: each makes the spec of a method that begins with it."""

"""Cards of the built-in methods. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.method import MethodSpec
from methods.adair import spec as adair
from methods.airnet import spec as airnet
from methods.baselines import spec as baselines
from methods.drsformer import spec as drsformer
from methods.figures import FIGURES
from methods.mioir import spec as mioir
from methods.moceir import spec as moceir
from methods.options import (
    LEVELS,
    PROMPT_SIZES,
    RESTORMER_SIZES,
    ClassifierOptions,
    NoOptions,
    PromptIROptions,
    RestormerOptions,
    check_promptir,
    check_restormer,
    cost_of_prompts,
    prompt_per_task,
)
from methods.plug import plugs_in

_ACADEMIC = "Academic Public License (non-commercial)"
_PROMPTIR = "Potlapalli et al., NeurIPS 2023; va1shn9v/PromptIR"
_CPL = "arXiv 2504.09973; Aitical/CPLIR"

_PROMPTED = {size: {**values, **PROMPT_SIZES[size]} for size, values in RESTORMER_SIZES.items()}
_PUBLISHED_PROMPTIR = {**_PROMPTED, "full": {"unused_convolutions": True}}

# Prompts that start as distinct channel vectors, one kept at full weight: with the published start
# (uniform noise per pixel) a wrong prompt costs nothing. In training a router that sees what was
# done to the image chooses them, so they mean something from the first steps; the router used at
# test learns to follow it from the degraded image. docs/evidence.md tells what else was tried.
_SPARSE = {
    "top_k": 1,
    "renormalise": True,
    "prompt_init": "channel-normal",
    "shared_router": True,
    "router_input": "frequency",
    "router_hidden": 64,
    "router_temperature": 0.2,
    "balance": "information",
    "balance_weight": 0.05,
    "privileged_weight": 0.05,
    "privileged_choice": True,
}
# What the checkpoints given out for CPL hold and do.
_PUBLISHED_SPARSE = {
    "renormalise": False,
    "shared_router": False,
    "router_input": "mean",
    "router_hidden": 0,
    "router_temperature": 1.0,
    "balance_weight": 0.0,
    "privileged_weight": 0.0,
    "privileged_choice": False,
    "cpr_weight": 0.0,
}
# Late, since a wrong prompt must mean something first; mild, and in dB, since a network gains
# nothing from being ever worse under wrong prompts.
_CONTRAST = {
    "cpr_weight": 0.002,
    "cpr_form": "margin-db",
    "cpr_margin_db": 5.0,
    "cpr_start_step": 60,
}


def _promptir(name: str, label: str, **details: Any) -> MethodSpec:
    return MethodSpec(
        name=name,
        label=label,
        build="methods.promptir:build",
        options=PromptIROptions,
        check=check_promptir,
        cost=cost_of_prompts,
        **{"sizes": _PROMPTED, "licence": _ACADEMIC, **details},
    )


_CARDS = (
    MethodSpec(
        name="degraded-input",
        label="Degraded input",
        summary="the input as it is: what every method has to beat",
        prompting="none",
        objective="none",
        source="",
        build="methods.degraded:build",
        options=NoOptions,
        role="reference",
        trained=False,
        relative_cost=0.0,
    ),
    MethodSpec(
        name="restormer",
        label="Restormer",
        summary="Restormer, no prompts",
        prompting="none",
        objective="L1",
        source="Zamir et al., CVPR 2022; swz30/Restormer",
        build="methods.restormer:build",
        options=RestormerOptions,
        sizes=RESTORMER_SIZES,
        check=check_restormer,
        insertion_points=LEVELS,
        relative_cost=0.8,
        licence=_ACADEMIC,
    ),
    _promptir(
        "promptir",
        "PromptIR",
        summary="PromptIR as published: adaptive prompts",
        prompting="adaptive: softmax over all prompts",
        objective="L1",
        source=_PROMPTIR,
        sizes=_PUBLISHED_PROMPTIR,
    ),
    _promptir(
        "explicit",
        "PromptIR, explicit",
        summary="PromptIR whose prompt a frozen degradation classifier chooses",
        prompting="explicit: a classifier chooses",
        objective="L1",
        source=f"{_PROMPTIR}; classifier after Kong et al., ECCV 2024, Xiangtaokong/MiOIR",
        defaults={"chooser": "classifier", "prompt_init": "channel-normal"},
        fitted=prompt_per_task,
        requires=("task-classifier",),
        relative_cost=1.05,
    ),
    _promptir(
        "oracle",
        "PromptIR, oracle",
        summary="PromptIR whose prompt the true task chooses, at test too: a reference",
        prompting="oracle: the true task chooses",
        objective="L1",
        source=_PROMPTIR,
        defaults={"chooser": "true-task", "prompt_init": "channel-normal"},
        fitted=prompt_per_task,
        role="reference",
        needs_task_labels=True,
    ),
    _promptir(
        "spm",
        "PromptIR+SPM",
        summary="sparse prompt module: the router keeps its top-k prompts",
        prompting="sparse: top-1 of the softmax",
        objective="L1 + balance + privileged",
        source=_CPL,
        licence="not stated",
        version=2,
        defaults=_SPARSE,
        published=_PUBLISHED_SPARSE,
    ),
    _promptir(
        "cpr",
        "PromptIR+CPR",
        summary="adaptive prompts with contrastive prompt regularisation",
        prompting="adaptive: softmax over all prompts",
        objective="L1 + CPR",
        source=_CPL,
        licence="not stated",
        version=2,
        defaults={"prompt_init": "channel-normal", **_CONTRAST, "cpr_negatives": "other-task"},
    ),
    _promptir(
        "cpl",
        "CPL",
        summary="contrastive prompt learning: sparse prompts and CPR",
        prompting="sparse: top-1 of the softmax",
        objective="L1 + balance + privileged + CPR",
        source=_CPL,
        licence="not stated",
        version=2,
        defaults={**_SPARSE, **_CONTRAST, "cpr_negatives": "in-use"},
        published=_PUBLISHED_SPARSE,
    ),
    MethodSpec(
        name="task-classifier",
        label="Task classifier",
        summary="recognises the degradation, for explicit prompts",
        prompting="none",
        objective="cross-entropy",
        source="after Kong et al., ECCV 2024; Xiangtaokong/MiOIR",
        build="methods.classifier:build",
        options=ClassifierOptions,
        sizes={"tiny": {"channels": (8, 12, 16, 24)}},
        role="auxiliary",
        relative_cost=0.3,
    ),
    *adair.SPECS,
    *drsformer.SPECS,
    *airnet.SPECS,
    *mioir.SPECS,
    *moceir.SPECS,
    *baselines.SPECS,
)

# What PromptIR takes on these cards, every network that can be split takes: adair+cpl.
_ADDED = {"cpl": "CPL", "spm": "SPM", "cpr": "CPR", "explicit": "explicit", "oracle": "oracle"}


def _complete(card: MethodSpec) -> MethodSpec:
    parameters, macs = FIGURES.get(card.name, (0, 0.0))
    counted = replace(card, parameters=parameters, macs=macs)
    return plugs_in(counted, _ADDED[card.name]) if card.name in _ADDED else counted


METHODS: dict[str, MethodSpec] = {card.name: _complete(card) for card in _CARDS}
ALIASES: dict[str, str] = {"promptir+cpl": "cpl"}

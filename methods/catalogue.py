"""Cards of the built-in methods. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.method import MethodCard
from methods.adair import card as adair
from methods.airnet import card as airnet
from methods.baselines import card as baselines
from methods.drsformer import card as drsformer
from methods.figures import FIGURES
from methods.mioir import card as mioir
from methods.moceir import card as moceir
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
)
from methods.plug import plugs_in

_ACADEMIC = "Academic Public License (non-commercial)"
_PROMPTIR = "Potlapalli et al., NeurIPS 2023; va1shn9v/PromptIR"
_CPL = "arXiv 2504.09973; Aitical/CPLIR"

_PROMPTED = {size: {**values, **PROMPT_SIZES[size]} for size, values in RESTORMER_SIZES.items()}
_PUBLISHED_PROMPTIR = {**_PROMPTED, "full": {"unused_convolutions": True}}

# Prompts that start as distinct channel vectors, kept at full weight and shared out by a load
# balance: with the published start (uniform noise per pixel) a wrong prompt costs nothing.
_SPARSE = {
    "top_k": 1,
    "renormalise": True,
    "prompt_init": "channel-normal",
    "balance_weight": 0.02,
}
_CONTRAST = {"cpr_weight": 0.1, "cpr_form": "margin", "cpr_margin": 0.05}


def _promptir(name: str, label: str, **details: Any) -> MethodCard:
    return MethodCard(
        name=name,
        label=label,
        build="methods.promptir:build",
        options=PromptIROptions,
        check=check_promptir,
        **{"sizes": _PROMPTED, "licence": _ACADEMIC, **details},
    )


_CARDS = (
    MethodCard(
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
    MethodCard(
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
        role="reference",
        given_true_task=True,
    ),
    _promptir(
        "spm",
        "PromptIR+SPM",
        summary="sparse prompt module: the router keeps its top-k prompts",
        prompting="sparse: top-1 of the softmax",
        objective="L1 + balance",
        source=_CPL,
        licence="not stated",
        defaults=_SPARSE,
        published={"renormalise": False},
    ),
    _promptir(
        "cpr",
        "PromptIR+CPR",
        summary="adaptive prompts with contrastive prompt regularisation",
        prompting="adaptive: softmax over all prompts",
        objective="L1 + CPR",
        source=_CPL,
        licence="not stated",
        defaults={"prompt_init": "channel-normal", **_CONTRAST, "cpr_negatives": "other-task"},
        relative_cost=1.7,
    ),
    _promptir(
        "cpl",
        "CPL",
        summary="contrastive prompt learning: sparse prompts and CPR",
        prompting="sparse: top-1 of the softmax",
        objective="L1 + balance + CPR",
        source=_CPL,
        licence="not stated",
        defaults={**_SPARSE, **_CONTRAST, "cpr_negatives": "unselected"},
        published={"renormalise": False},
        relative_cost=1.7,
    ),
    MethodCard(
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
    *adair.CARDS,
    *drsformer.CARDS,
    *airnet.CARDS,
    *mioir.CARDS,
    *moceir.CARDS,
    *baselines.CARDS,
)

# What PromptIR takes on these cards, every network that can be split takes: adair+cpl.
_ADDED = {"cpl": "CPL", "spm": "SPM", "cpr": "CPR", "explicit": "explicit", "oracle": "oracle"}


def _complete(card: MethodCard) -> MethodCard:
    parameters, macs = FIGURES.get(card.name, (0, 0.0))
    counted = replace(card, parameters=parameters, macs=macs)
    return plugs_in(counted, _ADDED[card.name]) if card.name in _ADDED else counted


METHODS: dict[str, MethodCard] = {card.name: _complete(card) for card in _CARDS}
ALIASES: dict[str, str] = {"promptir+cpl": "cpl"}

"""Specs of CPL and SPM with guided routing, an extension by this project. Imports no torch."""

from __future__ import annotations

from typing import Any

from harness.method import MethodSpec
from methods.cpl.spec import SOURCE
from methods.promptir.spec import promptir_variant

# Prompts start as distinct channel vectors, and the selected one has the weight 1. With the
# published start (uniform noise per pixel) the prompt-swap gap stays near 0 dB. In training the
# teacher router, which sees degraded minus clean, chooses the prompts, so that they differ from
# the first steps on; the router used at test learns the teacher's choice from the degraded image.
# docs/evidence.md reports the alternatives that were measured.
_GUIDED = {
    "top_k": 1,
    "renormalise": True,
    "prompt_init": "channel-normal",
    "shared_router": True,
    "router_pooling": "frequency",
    "router_hidden": 64,
    "router_temperature": 0.2,
    "load_balancing": "information",
    "load_balancing_weight": 0.05,
    "teacher_weight": 0.05,
    "teacher_choice": True,
}
# CPR starts late, since prompts must differ before a negative means anything. Its weight is small
# and its margin is in dB and finite, since restoring ever worse under negatives gains nothing.
_CONTRAST = {
    "cpr_weight": 0.002,
    "cpr_form": "margin-db",
    "cpr_margin_db": 5.0,
    "cpr_start": 0.1,
    "cpr_negatives": "in-use",
}
_CHOSEN_ROUTING = {
    "top_k": "one prompt per image, as released",
    "renormalise": "the selected prompt has the weight 1; released: its probability",
    "prompt_init": "prompts differ from the start; released: uniform noise per pixel",
    "shared_router": "one router for all levels; released: one per level",
    "router_pooling": "frequency bands of the encoder's first map; released: the level's mean",
    "router_hidden": "a hidden layer; released: none",
    "router_temperature": "a nearly certain choice; released: 1",
    "load_balancing": "uses all prompts and decides each image for one; released: nothing",
    "load_balancing_weight": "of that loss, on the teacher router",
    "teacher_weight": "routers follow a teacher that sees degraded minus clean; released: none",
    "teacher_choice": "prompts differ before the routers have learned; released: no teacher",
}
_CHOSEN_CPR = {
    "cpr_weight": "a gentle push that costs no decibels",
    "cpr_form": "a margin in dB counts easy and hard images alike, and is finite",
    "cpr_margin_db": "beyond it a negative is bad enough",
    "cpr_start": "prompts must differ before a negative means anything",
    "cpr_negatives": "prompts that other tasks use; one that no task uses teaches nothing",
}


def _guided(name: str, label: str, **details: Any) -> MethodSpec:
    """Return the spec of a guided method; ``details`` are fields of ``MethodSpec``."""
    shared: dict[str, Any] = {
        "source": f"this project, after {SOURCE}",
        "licence": "none stated",
        "version": 2,
    }
    return promptir_variant(name, label, **{**shared, **details})


SPECS: tuple[MethodSpec, ...] = (
    _guided(
        "spm-guided",
        "SPM-guided (this project)",
        summary="SPM + guided routing, this project: a teacher router that sees degraded minus "
        "clean chooses in training, and one router learns to follow it",
        prompting="sparse: top-1 of a guided router",
        objective="L1 + load balancing + teacher",
        defaults=_GUIDED,
        chosen=_CHOSEN_ROUTING,
    ),
    _guided(
        "cpl-guided",
        "CPL-guided (this project)",
        summary="CPL + guided routing, this project: SPM-guided and CPR with a margin in dB",
        prompting="sparse: top-1 of a guided router",
        objective="L1 + load balancing + teacher + CPR",
        defaults={**_GUIDED, **_CONTRAST},
        chosen={**_CHOSEN_ROUTING, **_CHOSEN_CPR},
    ),
)

"""Specs of CPL and of its two parts, as far as they are public. Imports no torch.

Public are the paper (arXiv 2504.09973), its figures, and the network for inference in Aitical/CPLIR
(basicsr/archs/cplir_inference_arch.py). Training code is not. What this project adds of its own is
``cpl-guided`` (methods/cpl_guided/spec.py).
"""

from __future__ import annotations

from typing import Any

from harness.method import MethodSpec
from methods.promptir.spec import promptir_variant

SOURCE = "arXiv 2504.09973; Aitical/CPLIR"
"""The paper and the repository of its authors."""

# Nothing public settles these values. Each method has those of its best trial among twelve of an
# equal search (results/reference/tuning), which validation images alone decide. What the authors
# published earlier agrees on the gradient alone: MCLIR and PCL send none through negatives.
SEARCHED_SPM: dict[str, Any] = {"prompt_init": "channel-normal", "top_k": 2}
RELEASED_CHOICE: dict[str, Any] = {"prompt_init": "uniform", "top_k": 1}
"""What the release's network has by default; weights of the authors run under it."""

SEARCHED_CPR: dict[str, Any] = {
    "prompt_init": "channel-normal",
    "cpr_form": "margin-db",
    "cpr_weight": 0.0684,
    "cpr_gradient": "detached",
    "cpr_count": 1,
    "cpr_start": 0.34,
    "cpr_negatives": "other-task",
}
SEARCHED_CPL: dict[str, Any] = {
    "prompt_init": "channel-normal",
    "top_k": 3,
    "cpr_form": "margin-db",
    "cpr_weight": 0.105,
    "cpr_gradient": "detached",
    "cpr_count": 2,
    "cpr_start": 0.462,
    "cpr_negatives": "in-use",
}

_NO_TERM = "the release has no such term"
RELEASED_ROUTER: dict[str, str] = {
    "shared_router": "each level has a router of its own",
    "router_pooling": "a router sees the mean of its level's features",
    "router_hidden": "a router is one linear layer",
    "router_temperature": "a softmax without temperature (the option tau: 10 is never read)",
    "router_temperature_start": "the same throughout",
    "router_temperature_decay": "the same throughout",
    "router_noise": "no noise on the logits",
    "routing_gradient": "the gradient of the weights that are used",
    "renormalise": "the selected prompt keeps its probability as weight",
    "load_balancing": "without effect, as its weight is 0",
    "load_balancing_weight": _NO_TERM,
    "teacher_weight": "no teacher (the undefined name privilege_post is all there is)",
    "teacher_choice": "the router chooses in training too",
    "teacher_inputs": "no teacher",
    "outcome_weight": _NO_TERM,
    "residual_prompt": "nothing of the features is added to the prompt",
    "chooser": "the router chooses, at test too",
}
"""Options of the router by what Aitical/CPLIR holds; their values are those of the option type."""

_SEARCHED = "by an equal search"
CHOSEN_PROMPTS: dict[str, str] = {
    "top_k": f"{_SEARCHED}; the release's default num_expert is 1, that of trainings not public",
    "prompt_init": f"{_SEARCHED}; the release draws uniform noise, the start is not public",
}
CHOSEN_CPR: dict[str, str] = {
    "cpr_form": f"{_SEARCHED}; MCLIR, by the same authors, has a difference, PCL a ratio. "
    "margin-db is this project's: its negatives bound the pull to the ground truth, and detached "
    "ones push nothing",
    "cpr_weight": f"{_SEARCHED}; per dB that a negative lacks to the margin",
    "cpr_margin_db": "not searched; a negative that is so much worse is bad enough",
    "cpr_features": "not searched; the figure shows a pyramid like VGG's, whose weights are not "
    "shipped here",
    "cpr_gradient": f"{_SEARCHED}; MCLIR and PCL send no gradient through negatives",
    "cpr_count": f"{_SEARCHED}; the figures draw several, and state no number",
    "cpr_start": f"{_SEARCHED}; no schedule is public",
    "cpr_warmup": "not searched; no schedule is public",
    "cpr_hardest": "not searched; all negatives count",
    "cpr_push": "not searched; PCL's difference has 0.1",
    "cpr_margin": "not searched",
    "cpr_tau": "not searched",
    "cpr_to_router": "not searched; nothing public trains a router by CPR",
}
_IN_USE = (
    f"{_SEARCHED}, which had no mixture; in-use is this project's, and counts a negative by how "
    "much other tasks use it. The figures draw prompts that were not selected, one by one or mixed"
)
_OTHER_TASK = (
    f"{_SEARCHED}; dense prompts leave none unselected, and a figure draws those of other tasks"
)


def _public(name: str, label: str, **details: Any) -> MethodSpec:
    """Return the spec of a part of CPL; ``details`` are fields of ``MethodSpec``."""
    shared: dict[str, Any] = {
        "source": SOURCE,
        "licence": "none stated",
        # Version 2 and earlier of these names had what cpl-guided has now.
        "version": 3,
        "released": RELEASED_ROUTER,
        "extended_by": "cpl-guided",
    }
    return promptir_variant(name, label, **{**shared, **details})


SPECS: tuple[MethodSpec, ...] = (
    _public(
        "spm",
        "SPM",
        summary="CPL's sparse prompt module as released: the router selects its top-k prompts",
        prompting="sparse: top-k of the softmax",
        objective="L1",
        defaults=SEARCHED_SPM,
        published=RELEASED_CHOICE,
        chosen=CHOSEN_PROMPTS,
        extended_by="spm-guided",
    ),
    _public(
        "cpr",
        "CPR",
        summary="adaptive prompts with contrastive prompt regularisation",
        prompting="adaptive: softmax over all prompts",
        objective="L1 + CPR",
        defaults=SEARCHED_CPR,
        chosen={
            "prompt_init": CHOSEN_PROMPTS["prompt_init"],
            **CHOSEN_CPR,
            "cpr_negatives": _OTHER_TASK,
        },
    ),
    _public(
        "cpl",
        "CPL",
        summary="contrastive prompt learning: the released network, CPR as a search chose it",
        prompting="sparse: top-k of the softmax",
        objective="L1 + CPR",
        defaults=SEARCHED_CPL,
        published={**RELEASED_CHOICE, "cpr_weight": 0.0},
        chosen={
            **CHOSEN_PROMPTS,
            **CHOSEN_CPR,
            "cpr_negatives": _IN_USE,
            "cpr_usage_decay": "not searched; how far back a prompt counts as in use",
        },
    ),
)

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

# Every value here is provisional, because nothing public settles it. The best trial of a search on
# equal terms has others (docs/evidence.md), which longer trainings are still to confirm. The form
# and its constants follow what the authors published earlier: MCLIR subtracts the distance to
# negatives, PCL's variant of this form weighs it with 0.1, and neither sends a gradient through
# negatives. The form keeps training stable: with pixels as features and weight * push below 1 no
# image is better than the ground truth, however far a negative is. The ratio of PCL has no such
# bound: it diverges where a negative equals the output, as all do at first. The distance is in
# pixels because no weights of VGG are shipped.
PROVISIONAL_CPR: dict[str, Any] = {
    "cpr_form": "difference",
    "cpr_weight": 0.1,
    "cpr_push": 0.1,
    "cpr_features": "pixels",
    "cpr_gradient": "detached",
    "cpr_count": 1,
    "cpr_start": 0.0,
}
PROVISIONAL_PROMPTS: dict[str, Any] = {"top_k": 1, "prompt_init": "uniform"}
UNSELECTED_NEGATIVES: dict[str, Any] = {"cpr_negatives": "unselected"}
DENSE_NEGATIVES: dict[str, Any] = {"cpr_negatives": "other-task"}

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

CHOSEN_PROMPTS: dict[str, str] = {
    "top_k": "the release's default num_expert; what each setting was trained with is not public",
    "prompt_init": "the release draws uniform noise; the start of the training is not public",
}
CHOSEN_CPR: dict[str, str] = {
    "cpr_form": "the subtraction of MCLIR, which stays stable; PCL has a ratio",
    "cpr_weight": "with cpr_push 0.01 of the distance to negatives; MCLIR has 0.001 in VGG's space",
    "cpr_push": "the factor of PCL's difference form",
    "cpr_features": "the figure shows a pyramid like VGG's, whose weights are not shipped here",
    "cpr_gradient": "MCLIR and PCL send no gradient through negatives",
    "cpr_count": "the figures draw several, and state no number",
    "cpr_start": "no schedule is public",
}
_UNSELECTED = "the figures draw prompts that were not selected, one by one or mixed"
_OTHER_TASK = "dense prompts leave none unselected; a figure draws the prompts of other tasks"


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
        prompting="sparse: top-1 of the softmax",
        objective="L1",
        defaults=PROVISIONAL_PROMPTS,
        chosen=CHOSEN_PROMPTS,
        extended_by="spm-guided",
    ),
    _public(
        "cpr",
        "CPR",
        summary="adaptive prompts with contrastive prompt regularisation",
        prompting="adaptive: softmax over all prompts",
        objective="L1 + CPR",
        defaults={"prompt_init": "uniform", **PROVISIONAL_CPR, **DENSE_NEGATIVES},
        chosen={
            "prompt_init": CHOSEN_PROMPTS["prompt_init"],
            **CHOSEN_CPR,
            "cpr_negatives": _OTHER_TASK,
        },
    ),
    _public(
        "cpl",
        "CPL",
        summary="contrastive prompt learning as far as it is public: sparse prompts and CPR",
        prompting="sparse: top-1 of the softmax",
        objective="L1 + CPR",
        defaults={**PROVISIONAL_PROMPTS, **PROVISIONAL_CPR, **UNSELECTED_NEGATIVES},
        published={"cpr_weight": 0.0},
        chosen={**CHOSEN_PROMPTS, **CHOSEN_CPR, "cpr_negatives": _UNSELECTED},
    ),
)

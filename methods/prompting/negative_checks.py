"""Checks of the negatives of contrastive prompt regularisation. Imports no torch."""

from __future__ import annotations

from harness.method import CheckContext
from methods.prompting.options import PromptOptions
from methods.prompting.rules import Rule


def _at_least_one_negative(options: PromptOptions, context: CheckContext) -> str | None:
    if options.cpr_count >= 1:
        return None
    return "cpr_count must be at least 1; cpr_weight=0 turns CPR off"


def _router_learns_from_another_sample(options: PromptOptions, context: CheckContext) -> str | None:
    if not options.cpr_to_router or options.cpr_negatives == "other-task":
        return None
    return (
        "cpr_to_router trains by another sample's routing, and "
        f"cpr_negatives={options.cpr_negatives} is none; use cpr_negatives=other-task"
    )


def _negatives_train_a_router(options: PromptOptions, context: CheckContext) -> str | None:
    if not options.cpr_to_router or not options.cpr_weight:
        return None
    if options.chooser != "router":
        return (
            f"cpr_to_router trains a router, and chooser={options.chooser} has none; set "
            "cpr_to_router=false"
        )
    if options.cpr_gradient == "detached":
        return (
            "cpr_to_router trains by the gradient of negatives, and cpr_gradient=detached leaves "
            "them none; set cpr_gradient=full or prompts, or cpr_to_router=false"
        )
    if options.teacher_choice:
        return (
            "cpr_to_router trains the router that chose, and with teacher_choice=true that is the "
            "teacher, whose choice has no gradient; set cpr_to_router=false"
        )
    if not options.weights_train_router:
        return (
            "cpr_to_router trains by the weights of another sample, and with top_k=1 and "
            "renormalise=true they are 1 whatever the router says; set "
            "routing_gradient=straight-through or cpr_to_router=false"
        )
    return None


def _hardest_is_one_of_several(options: PromptOptions, context: CheckContext) -> str | None:
    if not options.cpr_hardest or not options.cpr_weight or options.cpr_count != 1:
        return None
    return (
        "cpr_hardest=true leaves one of several negatives, and cpr_count=1 is one; set cpr_count=2 "
        "or more, or cpr_hardest=false"
    )


def _negatives_have_another_task(options: PromptOptions, context: CheckContext) -> str | None:
    kind = options.cpr_negatives
    if kind in ("unselected", "mixture") or len(context.tasks) >= 2:
        return None
    return f"cpr_negatives={kind} needs a setting of at least two tasks"


def _negatives_have_another_sample(options: PromptOptions, context: CheckContext) -> str | None:
    if options.cpr_negatives != "other-task" or context.micro_batch >= 2:
        return None
    return (
        "cpr_negatives=other-task takes the routing of another sample, and a micro-batch "
        "of 1 has none"
    )


def _negatives_have_a_router(options: PromptOptions, context: CheckContext) -> str | None:
    if options.chooser == "router":
        return None
    return (
        f"cpr_negatives={options.cpr_negatives} is defined by a router's choice, and "
        f"chooser={options.chooser} has none; use cpr_negatives=other-task"
    )


def _some_prompts_are_unselected(options: PromptOptions, context: CheckContext) -> str | None:
    if options.selected < options.prompts:
        return None
    return (
        f"cpr_negatives={options.cpr_negatives} needs prompts that are not selected, and this "
        f"router selects all {options.prompts}; set top_k or use cpr_negatives=other-task"
    )


def _a_mixture_is_one_negative(options: PromptOptions, context: CheckContext) -> str | None:
    if options.cpr_negatives != "mixture" or options.cpr_count == 1:
        return None
    return "cpr_negatives=mixture is one negative; set cpr_count=1"


def _unselected_prompts_are_enough(options: PromptOptions, context: CheckContext) -> str | None:
    unselected = options.prompts - options.selected
    if options.cpr_negatives != "unselected" or options.cpr_count <= unselected:
        return None
    return (
        f"cpr_count={options.cpr_count} is more than the {unselected} prompts that "
        f"prompts={options.prompts} and top_k={options.selected} leave unselected"
    )


NEGATIVE_RULES: tuple[Rule, ...] = (
    _at_least_one_negative,
    _router_learns_from_another_sample,
    _negatives_train_a_router,
    _hardest_is_one_of_several,
    _negatives_have_another_task,
    _negatives_have_another_sample,
)
UNSELECTED_RULES: tuple[Rule, ...] = (
    _negatives_have_a_router,
    _some_prompts_are_unselected,
    _a_mixture_is_one_negative,
    _unselected_prompts_are_enough,
)

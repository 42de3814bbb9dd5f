"""Checks of prompt options: each rule is a function that returns why the options are refused.

Imports no torch.
"""

from __future__ import annotations

from harness.method import CheckContext, OptionError
from methods.prompting.negative_checks import NEGATIVE_RULES, UNSELECTED_RULES
from methods.prompting.options import PromptOptions, steps_of
from methods.prompting.rules import Rule, check_rules

_NOT_NEGATIVE = (
    "router_hidden",
    "router_noise",
    "outcome_weight",
    "teacher_weight",
    "load_balancing_weight",
    "cpr_weight",
    "cpr_push",
    "cpr_margin",
    "cpr_margin_db",
)
_SHARES = ("router_temperature_decay", "cpr_start", "cpr_warmup")
_POSITIVE = ("prompt_scale", "router_temperature", "router_temperature_start", "cpr_tau")
_LARGEST_SCALE = 64
_FOR_ROUTERS = ("load_balancing_weight", "outcome_weight", "teacher_weight", "shared_router")


def check_prompts(options: PromptOptions, context: CheckContext) -> None:
    """Check that options of prompts, negatives, tasks and batch agree.

    Raises:
        OptionError: they do not; the text names the option and what to set.
    """
    check_rules(_PROMPT_RULES, options, context)
    check_rules(_RANGE_RULES, options, context)
    check_rules(_ROUTER_RULES, options, context)
    if not options.needs_negatives:
        return
    check_rules(NEGATIVE_RULES, options, context)
    if options.cpr_negatives in ("unselected", "mixture", "in-use"):
        check_rules(UNSELECTED_RULES, options, context)


def check_chooser(options: PromptOptions, able: str) -> None:
    """Check that what chooses the prompts is there: a router always, and ``able``.

    Args:
        options: those of prompts.
        able: the chooser that the method's spec provides for.

    Raises:
        OptionError: it is not.
    """
    if options.chooser in ("router", able):
        return
    method = {"classifier": "explicit", "true-task": "oracle"}[options.chooser]
    raise OptionError(
        f"chooser={options.chooser} is what the method '{method}' is for; use it, or chooser={able}"
    )


def _at_least_two_prompts(options: PromptOptions, context: CheckContext) -> str | None:
    if options.prompts >= 2:
        return None
    return f"prompts={options.prompts} leaves nothing to choose; use at least 2"


def _patch_is_a_multiple_of_8(options: PromptOptions, context: CheckContext) -> str | None:
    side = options.prompt_patch_px
    if side >= 16 and side % 8 == 0:
        return None
    return f"prompt_patch_px={side} must be a multiple of 8, at least 16"


def _top_k_is_among_the_prompts(options: PromptOptions, context: CheckContext) -> str | None:
    if options.top_k is None or 1 <= options.top_k <= options.prompts:
        return None
    return f"top_k={options.top_k} must lie between 1 and prompts={options.prompts}"


def _forced_choice_has_a_prompt_per_task(
    options: PromptOptions, context: CheckContext
) -> str | None:
    tasks = len(context.tasks)
    if options.chooser == "router" or options.prompts >= tasks:
        return None
    return (
        f"chooser={options.chooser} needs a prompt per task: prompts={options.prompts} "
        f"for {tasks} tasks; set prompts={tasks}"
    )


def _weights_are_not_negative(options: PromptOptions, context: CheckContext) -> str | None:
    for name in _NOT_NEGATIVE:
        value = getattr(options, name)
        if value < 0:
            return f"{name}={value} must not be negative"
    return None


def _scales_are_positive(options: PromptOptions, context: CheckContext) -> str | None:
    for name in _POSITIVE:
        value = getattr(options, name)
        if value <= 0:
            return f"{name}={value} must be above 0"
    return None


def _scale_is_bounded(options: PromptOptions, context: CheckContext) -> str | None:
    if options.prompt_scale <= _LARGEST_SCALE:
        return None
    return f"prompt_scale={options.prompt_scale} must be at most {_LARGEST_SCALE}"


def _decay_is_a_share(options: PromptOptions, context: CheckContext) -> str | None:
    if 0 <= options.cpr_usage_decay < 1:
        return None
    return f"cpr_usage_decay={options.cpr_usage_decay} must lie in [0, 1)"


def _schedules_are_shares(options: PromptOptions, context: CheckContext) -> str | None:
    for name in _SHARES:
        value = getattr(options, name)
        if not 0 <= value <= 1:
            return f"{name}={value} is a share of the training and must lie in [0, 1]"
    return None


def _cpr_comes_into_force(options: PromptOptions, context: CheckContext) -> str | None:
    if not options.cpr_weight:
        return None
    start = options.cpr_start
    if start == 1:
        return "cpr_start=1.0 leaves CPR no step of the training; set a share below 1"
    if start + options.cpr_warmup > 1:
        return (
            f"cpr_start={start} and cpr_warmup={options.cpr_warmup} add up to more than the "
            "training, so that CPR never gets its weight; lower one of them"
        )
    if context.steps is None or steps_of(start, context.steps) < context.steps:
        return None
    return (
        f"cpr_start={start} of {context.steps} training steps is none of them, so that CPR never "
        "comes into force; lower cpr_start or train longer"
    )


def _temperature_falls(options: PromptOptions, context: CheckContext) -> str | None:
    first, share = options.router_temperature_start, options.router_temperature_decay
    if not share:
        if first == PromptOptions().router_temperature_start:
            return None
        return (
            f"router_temperature_start={first} never comes into force with "
            "router_temperature_decay=0; set the share of the training in which it falls"
        )
    if context.steps is None or steps_of(share, context.steps):
        return None
    return (
        f"router_temperature_decay={share} of {context.steps} training steps is none of them, so "
        "that router_temperature_start never comes into force; raise the share or train longer"
    )


def _router_options_have_a_router(options: PromptOptions, context: CheckContext) -> str | None:
    if options.chooser == "router":
        return None
    for name in _FOR_ROUTERS:
        if getattr(options, name):
            return f"{name} is for a router, and chooser={options.chooser} has none"
    return None


def _hidden_layer_has_a_shared_router(options: PromptOptions, context: CheckContext) -> str | None:
    if options.shared_router or not options.router_hidden:
        return None
    return "router_hidden is a shared router's; set shared_router=true"


def _teacher_choice_has_a_student(options: PromptOptions, context: CheckContext) -> str | None:
    has_student = options.teacher_weight and options.shared_router
    if has_student or not options.teacher_choice:
        return None
    return (
        "teacher_choice needs a router that follows it at test; set shared_router=true and "
        "teacher_weight above 0"
    )


def _teacher_choice_hides_no_probabilities(
    options: PromptOptions, context: CheckContext
) -> str | None:
    if not options.teacher_choice:
        return None
    clashing = None
    if options.outcome_weight > 0:
        clashing = "outcome_weight"
    elif options.cpr_weight and options.cpr_negatives == "mixture":
        clashing = "cpr_negatives=mixture"
    if clashing is None:
        return None
    return (
        f"{clashing} uses the probabilities of the router that chose, and with "
        "teacher_choice=true that is not the one used at test; set teacher_choice=false"
    )


def _teacher_is_balanced(options: PromptOptions, context: CheckContext) -> str | None:
    if not options.teacher_weight:
        return None
    if options.load_balancing in ("share", "information") and options.load_balancing_weight:
        return None
    return (
        "teacher_weight needs a load-balancing loss that makes the teacher router use all "
        "prompts; set load_balancing=information or share, and load_balancing_weight above 0"
    )


def _something_trains_the_router(options: PromptOptions, context: CheckContext) -> str | None:
    if options.chooser != "router" or options.weights_train_router:
        return None
    balanced = options.load_balancing_weight and options.load_balancing != "bias"
    if balanced or options.teacher_weight or options.outcome_weight:
        return None
    return (
        "top_k=1 and renormalise=true give the selected prompt the weight 1 whatever the router "
        "says, and no loss trains the router; set routing_gradient=straight-through or "
        "renormalise=false"
    )


def _importance_load_has_noise_and_top_k(
    options: PromptOptions, context: CheckContext
) -> str | None:
    if options.load_balancing != "importance-load" or not options.load_balancing_weight:
        return None
    if not options.router_noise:
        return "load_balancing=importance-load is defined by a router's noise; set router_noise (1)"
    if options.selected == options.prompts:
        return "load_balancing=importance-load needs prompts that are not selected; set top_k"
    return None


def _bias_has_top_k(options: PromptOptions, context: CheckContext) -> str | None:
    uses_bias = options.load_balancing == "bias" and options.load_balancing_weight
    if not uses_bias or options.top_k is not None:
        return None
    return "load_balancing=bias changes a selection, and a dense router makes none; set top_k"


_PROMPT_RULES: tuple[Rule, ...] = (
    _at_least_two_prompts,
    _patch_is_a_multiple_of_8,
    _top_k_is_among_the_prompts,
    _forced_choice_has_a_prompt_per_task,
)
_RANGE_RULES: tuple[Rule, ...] = (
    _weights_are_not_negative,
    _scales_are_positive,
    _scale_is_bounded,
    _decay_is_a_share,
    _schedules_are_shares,
    _cpr_comes_into_force,
    _temperature_falls,
)
_ROUTER_RULES: tuple[Rule, ...] = (
    _router_options_have_a_router,
    _hidden_layer_has_a_shared_router,
    _teacher_choice_has_a_student,
    _teacher_choice_hides_no_probabilities,
    _teacher_is_balanced,
    _something_trains_the_router,
    _importance_load_has_noise_and_top_k,
    _bias_has_top_k,
)

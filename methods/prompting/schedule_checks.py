"""Checks of the schedules of prompt options: every part comes into force in the training.

Imports no torch.
"""

from __future__ import annotations

from harness.method import CheckContext
from methods.prompting.options import PromptOptions, steps_of

_SHARES = ("router_temperature_decay", "cpr_start", "cpr_warmup")


def schedules_are_shares(options: PromptOptions, context: CheckContext) -> str | None:
    """Return which schedule is no share of the training, if any."""
    for name in _SHARES:
        value = getattr(options, name)
        if not 0 <= value <= 1:
            return f"{name}={value} is a share of the training and must lie in [0, 1]"
    return None


def cpr_comes_into_force(options: PromptOptions, context: CheckContext) -> str | None:
    """Return why CPR never gets its weight, if it does not."""
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


def temperature_falls(options: PromptOptions, context: CheckContext) -> str | None:
    """Return why the router's temperature never falls, if it should."""
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

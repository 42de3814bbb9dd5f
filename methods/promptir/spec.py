"""Specs and options of PromptIR and its variants of prompts. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.prompting.option_checks import check_chooser, check_prompts
from methods.prompting.options import (
    PROMPT_SIZES,
    PromptOptions,
    prompt_per_task,
    relative_prompt_cost,
)
from methods.restormer.spec import LEVELS, RESTORMER_SIZES, RestormerOptions, check_restormer

_PROMPTIR = "Potlapalli et al., NeurIPS 2023; va1shn9v/PromptIR"

# Channels of the features at each insertion point, and of the prompts (three times as many), in
# units of the network's width.
_FEATURE_FACTORS = {"level3": 8, "level2": 4, "level1": 2}
_TRIPLED_PROMPT_FACTORS = {"level3": 20, "level2": 8, "level1": 4}
# Sides of the features at each insertion point: the image's side divided by these.
_DOWNSCALING = {"level3": 8, "level2": 4, "level1": 2}


@dataclass(frozen=True, kw_only=True)
class PromptIROptions(RestormerOptions, PromptOptions):
    """Options of PromptIR, its prompts and its objective.

    Attributes:
        unused_convolutions: whether the network has the six convolutions that the published
            PromptIR holds and never uses, as its checkpoints do.
    """

    unused_convolutions: bool = False

    @property
    def prompt_dims(self) -> dict[str, int]:
        """Channels of the prompts per level: 320, 128, 64 at the published width of 48."""
        dims = {}
        for level, factor in _TRIPLED_PROMPT_FACTORS.items():
            multiples_of_8 = round(self.dim * factor / 3 / 8)
            dims[level] = max(8, multiples_of_8 * 8)
        return dims

    @property
    def prompt_sizes(self) -> dict[str, int]:
        """Side of the prompts per level: 16, 32, 64 at the published patch of 128."""
        return {level: self.prompt_patch_px // factor for level, factor in _DOWNSCALING.items()}


def check_promptir(options: PromptIROptions, context: CheckContext) -> None:
    """Check that a PromptIR of this size can be built and that its prompt options agree.

    Raises:
        OptionError: they do not; the text names the option.
    """
    check_restormer(options, context)
    for level, factor in _FEATURE_FACTORS.items():
        width = options.dim * factor + options.prompt_dims[level]
        if width % options.heads[2]:
            raise OptionError(
                f"dim={options.dim} gives {width} channels with prompts at {level}, which the "
                f"{options.heads[2]} heads there do not divide; use a multiple of 8"
            )
    check_prompts(options, context)
    options.prompted_levels(LEVELS)


def _check_of(chooser: str) -> Callable[[PromptIROptions, CheckContext], None]:
    """Return the check of a variant whose spec provides for ``chooser``."""

    def check(options: PromptIROptions, context: CheckContext) -> None:
        check_chooser(options, chooser)
        check_promptir(options, context)

    return check


def _prompted_sizes() -> dict[str, dict[str, Any]]:
    """Return the option values per size name: those of the network and of its prompts."""
    sizes = {}
    for size, values in RESTORMER_SIZES.items():
        sizes[size] = {**values, **PROMPT_SIZES[size]}
    return sizes


_SIZES = _prompted_sizes()
_PUBLISHED_SIZES = {**_SIZES, "full": {"unused_convolutions": True}}


def promptir_variant(name: str, label: str, **details: Any) -> MethodSpec:
    """Return the spec of a variant of PromptIR; ``details`` are fields of ``MethodSpec``."""
    shared: dict[str, Any] = {
        "build": "methods.promptir.network:build",
        "options": PromptIROptions,
        "check": _check_of(details.get("defaults", {}).get("chooser", "router")),
        "cost": relative_prompt_cost,
        "has_decoder_levels": True,
        "sizes": _SIZES,
        "licence": "Academic Public License (non-commercial)",
    }
    return MethodSpec(name=name, label=label, **{**shared, **details})


SPECS: tuple[MethodSpec, ...] = (
    promptir_variant(
        "promptir",
        "PromptIR",
        summary="PromptIR as published: adaptive prompts",
        prompting="adaptive: softmax over all prompts",
        objective="L1",
        source=_PROMPTIR,
        sizes=_PUBLISHED_SIZES,
        fusion_points=LEVELS,
    ),
    promptir_variant(
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
    promptir_variant(
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
)

"""The networks that are timed, and what a training of them would be told."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.config.recipes import Optimisation
from harness.config.run_specs import Stage, TrainSpec
from harness.registry import MethodSpec, find, options_as_json, resolve_options

Precision = Literal["fp32", "bf16"]

TASKS = ("denoise15", "denoise25", "denoise50", "dehaze", "derain")

PUBLISHED = "methods.promptir.published:build"
"""Builds the peer from the published blocks."""

PEER_PACKAGE = "spandrel_extra_arches"
"""The package of the published blocks, an optional one."""

# Negatives from the first step, and a margin that is never reached, so that no gradient vanishes.
ALWAYS_PUSHING = {
    "cpr_negatives": "other-task",
    "cpr_start": "0",
    "cpr_form": "margin",
    "cpr_margin": "1",
}


def has_peer() -> bool:
    """Return whether the published blocks are installed."""
    return importlib.util.find_spec(PEER_PACKAGE) is not None


@dataclass(frozen=True)
class NetworkCase:
    """A network, and the batch that it is trained on.

    Attributes:
        method: its name.
        size: of the recipe, as ``small``.
        batch: samples of a step.
        side_px: of the crops.
        options: of the method, as a user sets them.
        precision: of the training.
        build: what builds it in place of the method's own function; empty takes that.
    """

    method: str = "promptir"
    size: str = "small"
    batch: int = 5
    side_px: int = 64
    options: Mapping[str, str] = field(default_factory=dict)
    precision: Precision = "fp32"
    build: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> NetworkCase:
        """Return the case of values that came as JSON."""
        return cls(**values)

    def specs(self) -> tuple[MethodSpec, TrainSpec]:
        """Return the method, and the training with its options resolved."""
        chosen = find(self.method)
        chosen = replace(chosen, overrides={**chosen.overrides, **self.options})
        options = resolve_options(chosen, self.size, TASKS, micro_batch=self.batch, steps=1)
        stage = Stage(name="", steps=1, warmup_steps=0, decay_steps=1, tasks=TASKS)
        train = TrainSpec(
            method=chosen.spec.name,
            method_version=chosen.spec.version,
            options=options_as_json(options),
            tasks=TASKS,
            data=None,
            optimisation=self._optimisation(),
            stages=(stage,),
            seed=0,
            requires={},
        )
        spec = replace(chosen.spec, build=self.build) if self.build else chosen.spec
        return spec, train

    def _optimisation(self) -> Optimisation:
        return Optimisation(
            steps=1,
            batch=self.batch,
            patch_px=self.side_px,
            lr=2e-4,
            lr_min=1e-6,
            warmup_steps=0,
            decay_steps=1,
            betas=(0.9, 0.999),
            weight_decay=1e-4,
            grad_clip_norm=1.0,
            precision=self.precision,
            augmentation="none",
            task_sampling="balanced",
            validate_every_steps=1,
            scored_checkpoint="last",
        )

    def published(self) -> NetworkCase:
        """Return the peer of PromptIR: the published blocks, without convolutions of no use."""
        return replace(self, build=PUBLISHED, options={"unused_convolutions": "false"})

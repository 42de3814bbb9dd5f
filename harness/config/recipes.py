"""Recipes: size of the network, optimisation, amount of testing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from harness.config.settings import Column
from harness.config.spec import Spec

Beta = Annotated[float, Field(ge=0, lt=1)]
"""Decay of one of AdamW's running averages."""


class Optimisation(Spec):
    """Everything of a training run that changes its numbers, apart from data and method.

    ``batch`` is global; ``micro_batch`` splits it to save memory. The learning rate at
    step ``s`` is held for ``lr_hold_steps`` steps: with ``u = s // hold`` it rises linearly,
    ``lr * u / (W - 1)`` for the first ``W = warmup_steps / hold`` units, then follows a
    cosine to ``lr_min`` at ``decay_steps`` (which may lie beyond the last step). Before the
    cosine the rate may stay at ``lr`` for ``lr_constant_steps``; with ``lr_restart_steps`` there is
    one cosine after another of that length instead, as in BasicSR.

    """

    added_later: ClassVar = ("lr_constant_steps", "lr_restart_steps")

    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    micro_batch: int | None = Field(default=None, ge=1)
    patch_px: int = Field(ge=16, le=16_384)
    lr: float = Field(gt=0, le=100)
    lr_min: float = Field(ge=0)
    warmup_steps: int = Field(ge=0)
    decay_steps: int = Field(ge=1)
    lr_hold_steps: int = Field(default=1, ge=1)
    betas: tuple[Beta, Beta]
    weight_decay: float = Field(ge=0, le=1000)
    grad_clip_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    augmentation: Literal["dihedral", "dihedral-without-identity"]
    task_sampling: Literal["balanced", "shares"]
    validate_every_steps: int = Field(ge=1)
    scored_checkpoint: Literal["last", "best-on-validation"]
    lr_constant_steps: int = Field(default=0, ge=0)
    lr_restart_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Optimisation:
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min {self.lr_min:g} is above lr {self.lr:g}; swap them")
        if self.lr_restart_steps is not None and (self.warmup_steps or self.lr_constant_steps):
            raise ValueError(
                "lr_restart_steps goes with neither warmup_steps nor lr_constant_steps; set both "
                "to 0"
            )
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(
                f"batch {self.batch} is not a multiple of micro_batch {self.micro_batch}"
            )
        if self.patch_px % 16:
            raise ValueError(f"patch_px {self.patch_px} is not a multiple of 16")
        return self


class TestAmount(Spec):
    """How much of a test set is scored: all of it unless a recipe is for trials.

    Attributes:
        images: of each synthetic column; None takes all.
        centre_px: side of the centre that is scored of each image, in pixels; None: the whole.
        draws: degradations of each image at most.
    """

    __test__ = False  # pytest would take the name for a test class

    images: int | None = Field(default=None, ge=1)
    centre_px: int | None = Field(default=None, ge=32)
    draws: int | None = Field(default=None, ge=1)

    def columns(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        """Return the columns of a setting with at most the draws that are tested."""
        if self.draws is None:
            return columns
        most = self.draws
        return tuple(c.model_copy(update={"draws": min(c.draws, most)}) for c in columns)


class Runtime(Spec):
    """What changes no number.

    Attributes:
        checkpoint_every_steps: how often the state of a training is saved.
        expected_step_s: seconds that a training step of ``promptir`` is expected to take.
        expected_on: the machine on which that was measured.
    """

    checkpoint_every_steps: int = Field(ge=1)
    expected_step_s: float = Field(gt=0)
    expected_on: str


class Recipe(Spec):
    """A named way to train and test: network size, optimisation and amount of testing.

    Attributes:
        name: of its YAML file.
        summary: one line on what it is for.
        size: which of a method's sizes is built.
        train: optimisation of the methods that are scored.
        auxiliary: optimisation of the methods that others build on.
        test: how much is scored.
        runtime: what changes no number.
    """

    name: str
    summary: str
    size: str
    train: Optimisation
    auxiliary: Optimisation
    test: TestAmount
    runtime: Runtime

"""Recipes: size of the network, optimisation, amount of testing."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

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
    one cosine after another of that length instead, as in BasicSR. With ``lr_halving_steps`` the
    rate halves at every multiple of it, and there is no cosine.

    Attributes:
        steps: of the training.
        batch: samples of a step, over all micro-batches.
        micro_batch: samples that are computed at once, to save memory; None takes the batch.
        patch_px: side of the training crops, a multiple of 16.
        lr: highest learning rate.
        lr_min: learning rate at the end of the cosine.
        warmup_steps: steps in which the learning rate rises.
        decay_steps: step at which the cosine ends.
        lr_hold_steps: the learning rate changes every so many steps.
        betas: of AdamW.
        weight_decay: of AdamW.
        grad_clip_norm: gradients are scaled to at most this norm; None leaves them.
        ema_decay: of the moving average of the weights that is scored; None scores the weights.
        precision: of the computation in training.
        augmentation: the symmetries of the square that crops are turned by; ``none`` leaves them.
        task_sampling: tasks in turn (``balanced``), or drawn by their shares.
        validate_every_steps: how often validation images are scored.
        scored_checkpoint: which weights are scored on the test set.
        lr_constant_steps: steps at the highest learning rate before the cosine.
        lr_restart_steps: length of each cosine where one follows another; None has one cosine.
        lr_halving_steps: steps after which the learning rate halves, again and again; None has
            a cosine.
    """

    added_later: ClassVar = ("lr_constant_steps", "lr_restart_steps", "lr_halving_steps")

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
    augmentation: Literal["dihedral", "dihedral-without-identity", "none"]
    task_sampling: Literal["balanced", "shares"]
    validate_every_steps: int = Field(ge=1)
    scored_checkpoint: Literal["last", "best-on-validation"]
    lr_constant_steps: int = Field(default=0, ge=0)
    lr_restart_steps: int | None = Field(default=None, ge=1)
    lr_halving_steps: int | None = Field(default=None, ge=1)

    def schedule_problem(self) -> str | None:
        """Return why the learning rate does not fit the steps, or None where it does."""
        if self.warmup_steps >= self.steps:
            return (
                f"warmup_steps {self.warmup_steps} leaves none of the {self.steps} steps at the "
                f"full learning rate; set warmup_steps below {self.steps}"
            )
        if self.lr_restart_steps is None and self.decay_steps < self.steps:
            return (
                f"decay_steps {self.decay_steps} ends the learning rate schedule before the "
                f"training of {self.steps} steps does; set decay_steps to {self.steps} or more"
            )
        return None

    @model_validator(mode="after")
    def _consistent(self) -> Optimisation:
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min {self.lr_min:g} is above lr {self.lr:g}; swap them")
        if self.lr_restart_steps is not None and (self.warmup_steps or self.lr_constant_steps):
            raise ValueError(
                "lr_restart_steps goes with neither warmup_steps nor lr_constant_steps; set both "
                "to 0"
            )
        if self.lr_halving_steps is not None and (
            self.warmup_steps or self.lr_constant_steps or self.lr_restart_steps is not None
        ):
            raise ValueError(
                "lr_halving_steps goes with none of warmup_steps, lr_constant_steps and "
                "lr_restart_steps; set the first two to 0 and leave the last out"
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

    What is left out is part of no score: the images that are scored are part of its identity.

    Attributes:
        images: clean images of each column, the first ones, embedded or on disk; None takes all.
        centre_px: side of the centre that is scored of each image, in pixels; None: the whole.
        photograph_centre_px: the same for the embedded photographs where ``centre_px`` is None.
        draws: degradations of each embedded photograph at most.
        limit: images of each column at most, all degradations counted; ``--limit`` sets it.
    """

    __test__ = False  # pytest would take the name for a test class

    images: int | None = Field(default=None, ge=1)
    centre_px: int | None = Field(default=None, ge=32)
    photograph_centre_px: int | None = Field(default=None, ge=32)
    draws: int | None = Field(default=None, ge=1)
    limit: int | None = Field(default=None, ge=1)

    @property
    def photograph_side_px(self) -> int | None:
        """Side of the centre that is scored of embedded photographs; None: the whole."""
        return self.photograph_centre_px if self.centre_px is None else self.centre_px

    @property
    def most_images(self) -> int | None:
        """The number of clean images of a column at most; None takes all."""
        given = [number for number in (self.images, self.limit) if number is not None]
        return min(given, default=None)

    def with_limit(self, limit: int | None) -> TestAmount:
        """Return the amount with at most ``limit`` images of each column."""
        given = [number for number in (self.limit, limit) if number is not None]
        return self.model_copy(update={"limit": min(given, default=None)})

    def first(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the images of a column that are tested."""
        return names[: self.most_images]

    def columns(self, columns: tuple[Column, ...], images: int = 1) -> tuple[Column, ...]:
        """Return the columns of a setting with the draws that are tested of ``images`` each."""
        found = []
        for column in columns:
            draws = column.draws if self.draws is None else min(column.draws, self.draws)
            if self.limit is not None:
                draws = max(1, min(draws, self.limit // max(1, images)))
            found.append(column.model_copy(update={"draws": draws}))
        return tuple(found)


class Runtime(Spec):
    """What changes numbers by rounding alone, and no hash.

    Attributes:
        checkpoint_every_steps: how often the state of a training is saved.
        expected_step_s: seconds that a training step of ``promptir`` is expected to take.
        expected_on: the machine on which that was measured.
        check_every_steps: how often losses are read, and with them whether they and the gradients
            are finite, which waits for the device; if left out, every step of a CPU, where
            it is free, and every tenth of other devices.
        compile: whether the blocks of a network are compiled by ``torch.compile``.
        tf32: whether NVIDIA GPUs compute fp32 products and convolutions in TF32; if left
            out, PyTorch decides, which uses it for convolutions.
        channels_last: whether convolution weights are stored with the channels last, as the
            networks' activations are.
        activation_memory: what is kept of activations for the backward pass at most, as ``4GB``:
            blocks are computed again where it would be more. If left out, all is kept.
    """

    checkpoint_every_steps: int = Field(ge=1)
    expected_step_s: float = Field(gt=0)
    expected_on: str
    check_every_steps: int | None = Field(default=None, ge=1)
    compile: bool = False
    tf32: bool | None = None
    channels_last: bool = True
    activation_memory: str | None = None

    def check_steps(self, device_type: str) -> int:
        """Return how often losses are read on a device of this type, in steps."""
        if self.check_every_steps is not None:
            return self.check_every_steps
        return 1 if device_type == "cpu" else 10

    @property
    def activation_bytes(self) -> int | None:
        """What is kept of activations at most, in bytes; If left out, all is kept."""
        return None if self.activation_memory is None else _bytes_of(self.activation_memory)

    @field_validator("activation_memory")
    @classmethod
    def _is_amount(cls, value: str | None) -> str | None:
        if value is not None and not _bytes_of(value):
            raise ValueError(
                f"'{value}' is no amount of memory; write it as 4GB, 1.5GB or 800MB, above zero"
            )
        return value


def _bytes_of(amount: str) -> int:
    """Return the bytes of ``4GB``; 0 where it is no amount."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(kB|MB|GB|TB)", amount, re.IGNORECASE)
    if found is None:
        return 0
    unit = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}[found[2][0].lower()]
    return int(float(found[1]) * unit)


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

    @model_validator(mode="after")
    def _schedules_last(self) -> Recipe:
        for name, training in (("train", self.train), ("auxiliary", self.auxiliary)):
            problem = training.schedule_problem()
            if problem is not None:
                raise ValueError(f"{name}: {problem}")
        return self

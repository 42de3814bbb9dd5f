"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from harness.config.recipes import Optimisation
from harness.config.run_specs import Stage


def learning_rate(optimisation: Optimisation, step: int, stage: Stage | None = None) -> float:
    """Return the rate of ``step`` (from 0): linear warm-up, then a cosine to ``lr_min``.

    Between the two the rate may be constant for a while; or cosines follow one another (BasicSR,
    models/lr_scheduler.py, ``CosineAnnealingRestartLR`` with weights of 1). Or the rate halves
    again and again, and nothing else.

    With ``stage``, ``step`` counts from its start, and its warm-up and decay steps apply.

    With the rate held for an epoch this is the published schedule of PromptIR
    (``LinearWarmupCosineAnnealingLR``, net and train.py), whose first epoch runs at rate 0:
    lr * e / (W - 1) for e < W, then lr_min + (lr - lr_min) (1 + cos(pi (e - W)/(D - W))) / 2.
    """
    halving = optimisation.lr_halving_steps
    if halving is not None:
        return float(max(optimisation.lr_min, optimisation.lr * 0.5 ** (step // halving)))
    restart = optimisation.lr_restart_steps
    if restart is not None:
        return _cosine(optimisation, step % restart / restart)
    hold = optimisation.lr_hold_steps
    unit = step // hold
    lengths = stage or optimisation
    warmup, decay = lengths.warmup_steps // hold, lengths.decay_steps // hold
    if unit < warmup:
        return optimisation.lr * unit / max(1, warmup - 1)
    begins = warmup + optimisation.lr_constant_steps // hold
    if unit < begins:
        return optimisation.lr
    return _cosine(optimisation, min(1.0, (unit - begins) / max(1, decay - begins)))


def _cosine(optimisation: Optimisation, share: float) -> float:
    """Return the rate after ``share`` of a cosine, in [0, 1]."""
    lr, lr_min = optimisation.lr, optimisation.lr_min
    return lr_min + (lr - lr_min) * 0.5 * (1 + math.cos(math.pi * share))

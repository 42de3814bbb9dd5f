"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from harness.config.recipes import Optimisation
from harness.config.run_specs import Stage


def learning_rate(train: Optimisation, step: int, stage: Stage | None = None) -> float:
    """Return the rate of ``step`` (from 0): linear warm-up, then a cosine to ``lr_min``.

    Between the two the rate may be constant for a while; or cosines follow one another (BasicSR,
    models/lr_scheduler.py, ``CosineAnnealingRestartLR`` with weights of 1).

    With ``stage``, ``step`` counts from its start and its lengths hold.

    With the rate held for an epoch this is the published schedule of PromptIR
    (``LinearWarmupCosineAnnealingLR``, net and train.py), whose first epoch runs at rate 0:
    lr * e / (W - 1) for e < W, then lr_min + (lr - lr_min) (1 + cos(pi (e - W)/(H - W))) / 2.
    """
    if train.lr_restart_steps is not None:
        return _cosine(train, step % train.lr_restart_steps / train.lr_restart_steps)
    hold = train.lr_hold_steps
    unit = step // hold
    lengths = stage or train
    warmup, horizon = lengths.warmup_steps // hold, lengths.decay_steps // hold
    if unit < warmup:
        return train.lr * unit / max(1, warmup - 1)
    begins = warmup + train.lr_constant_steps // hold
    if unit < begins:
        return train.lr
    return _cosine(train, min(1.0, (unit - begins) / max(1, horizon - begins)))


def _cosine(train: Optimisation, progress: float) -> float:
    return train.lr_min + (train.lr - train.lr_min) * 0.5 * (1 + math.cos(math.pi * progress))

"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from harness.spec import Optimisation, Stage


def learning_rate(train: Optimisation, step: int, stage: Stage | None = None) -> float:
    """Return the rate of ``step`` (from 0): linear warm-up, then a cosine to ``lr_min``.

    With ``stage``, ``step`` counts from its start and its lengths hold.

    With the rate held for an epoch this is the published schedule of PromptIR
    (``LinearWarmupCosineAnnealingLR``, net and train.py), whose first epoch runs at rate 0:
    lr * e / (W - 1) for e < W, then lr_min + (lr - lr_min) (1 + cos(pi (e - W)/(H - W))) / 2.
    """
    hold = train.lr_hold_steps
    unit = step // hold
    lengths = stage or train
    warmup, horizon = lengths.warmup_steps // hold, lengths.horizon_steps // hold
    if unit < warmup:
        return train.lr * unit / max(1, warmup - 1)
    progress = min(1.0, (unit - warmup) / max(1, horizon - warmup))
    return train.lr_min + (train.lr - train.lr_min) * 0.5 * (1 + math.cos(math.pi * progress))

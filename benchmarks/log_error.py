"""A plug-in with what CPR of the form ``margin-db`` leaves where prompts are all alike: a control.

A negative that is decoded without gradient and is as far from the ground truth as the output makes
``margin-db`` a constant plus the output's own error in decibels. This method is Restormer, which
has no prompts, with that loss beside L1.

python -m harness run --plugin benchmarks/log_error.py --methods restormer-log
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext, MethodSpec
from methods.restormer.network import Restormer
from methods.restormer.spec import RESTORMER_SIZES, RestormerOptions, check_restormer

LEAST_ERROR = 1e-4
"""Smallest error of which a logarithm is taken, that of CPR."""


@dataclass(frozen=True, kw_only=True)
class LogErrorOptions(RestormerOptions):
    """A Restormer whose errors count in decibels too.

    Attributes:
        log_weight: weight per decibel; the default is CPL's ``cpr_weight``.
        log_start: share of the training before the first step with it; that of CPL's ``cpr_start``.
    """

    log_weight: float = 0.105
    log_start: float = 0.462


class LogErrorRestormer(Restormer):
    """Restormer, trained with L1 and the logarithm of each image's error."""

    def __init__(self, options: LogErrorOptions) -> None:
        super().__init__(options)
        self.options = options

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error, and its mean over images in weighted decibels."""
        restored = self.restore(batch.degraded)
        terms = {"l1": F.l1_loss(restored, batch.clean)}
        if batch.step < round(self.options.log_start * batch.steps):
            return terms
        errors = (restored - batch.clean).abs().flatten(1).mean(dim=1).clamp_min(LEAST_ERROR)
        decibels = errors.log().mean() * 20 / math.log(10)
        return {**terms, "log": self.options.log_weight * decibels}


SPEC = MethodSpec(
    name="restormer-log",
    label="Restormer + log error",
    summary="Restormer whose errors count in decibels too, a control of CPR",
    prompting="none",
    objective="L1 + log error",
    source="",
    build="log_error:build",
    options=LogErrorOptions,
    sizes=RESTORMER_SIZES,
    check=check_restormer,
    relative_cost=0.8,
)


def build(context: BuildContext) -> LogErrorRestormer:
    """Build from ``LogErrorOptions``."""
    return LogErrorRestormer(context.options)

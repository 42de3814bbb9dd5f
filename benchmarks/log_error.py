"""A plug-in with what CPR of the form ``margin-db`` leaves where prompts are all alike: a control.

A negative that is decoded without gradient and is as far from the ground truth as the output makes
``margin-db`` a constant plus the output's own error in decibels. These methods have that loss
beside their own: Restormer, which has no prompts, PromptIR, and SPM-guided.

python -m harness run --plugin benchmarks/log_error.py --methods restormer-log,promptir-log
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.method import Batch, BuildContext
from methods.cpl_guided import spec as guided
from methods.promptir import spec as promptir
from methods.promptir.network import PromptIR
from methods.promptir.spec import PromptIROptions
from methods.restormer import spec as restormer
from methods.restormer.network import Restormer
from methods.restormer.spec import RestormerOptions
from methods.restormer_backbone import Features, RestormerBackbone

LEAST_ERROR = 1e-4
"""Smallest error of which a logarithm is taken, that of CPR."""


@dataclass(frozen=True, kw_only=True)
class LogErrorOptions:
    """How much an error counts in decibels.

    Attributes:
        log_weight: weight per decibel; the default is CPL's ``cpr_weight``.
        log_start: share of the training before the first step with it; that of CPL's ``cpr_start``.
    """

    log_weight: float = 0.105
    log_start: float = 0.462


@dataclass(frozen=True, kw_only=True)
class LogRestormerOptions(RestormerOptions, LogErrorOptions):
    """Restormer's options and those of the loss."""


@dataclass(frozen=True, kw_only=True)
class LogPromptIROptions(PromptIROptions, LogErrorOptions):
    """PromptIR's options and those of the loss."""


class WithLogLoss(RestormerBackbone):
    """Adds the loss to those of a network; it stands before the network among the bases."""

    log_options: LogErrorOptions

    def decode_backbone(self, features: Features, insert: Any) -> Tensor:
        """Decode, and keep what was decoded for the loss."""
        restored = super().decode_backbone(features, insert)
        if self.training:
            self._restored = restored
        return restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the network's losses, and the mean over images of the weighted error in dB."""
        terms: dict[str, Tensor] = super().losses(batch, rng)  # type: ignore[misc]
        restored = self._restored
        del self._restored
        if batch.step < round(self.log_options.log_start * batch.steps):
            return terms
        errors = (restored - batch.clean).abs().flatten(1).mean(dim=1).clamp_min(LEAST_ERROR)
        decibels = errors.log().mean() * 20 / math.log(10)
        return {**terms, "log": self.log_options.log_weight * decibels}


class LogRestormer(WithLogLoss, Restormer):
    """Restormer with the loss."""


class LogPromptIR(WithLogLoss, PromptIR):
    """PromptIR, and what its options make of it, with the loss; not for CPR."""


LOG_RESTORMER = replace(
    restormer.SPECS[0],
    name="restormer-log",
    label="Restormer + log error",
    summary="Restormer whose errors count in decibels too: a control of CPR",
    objective="L1 + log error",
    build="log_error:build_restormer",
    options=LogRestormerOptions,
)
LOG_PROMPTIR = replace(
    promptir.SPECS[0],
    name="promptir-log",
    label="PromptIR + log error",
    summary="PromptIR whose errors count in decibels too",
    objective="L1 + log error",
    build="log_error:build_promptir",
    options=LogPromptIROptions,
)
LOG_SPM_GUIDED = replace(
    guided.SPECS[0],
    name="spm-guided-log",
    label="SPM-guided (this project) + log error",
    summary="SPM-guided whose errors count in decibels too",
    objective="L1 + load balancing + teacher + log error",
    build="log_error:build_promptir",
    options=LogPromptIROptions,
)


def build_restormer(context: BuildContext) -> LogRestormer:
    """Build from ``LogRestormerOptions``."""
    network = LogRestormer(context.options)
    network.log_options = context.options
    return network


def build_promptir(context: BuildContext) -> LogPromptIR:
    """Build from ``LogPromptIROptions``."""
    network = LogPromptIR(context.options, context.tasks)
    network.log_options = context.options
    return network

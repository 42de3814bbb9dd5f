"""DCPT's options, and the specs of methods that it pre-trains. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError, StageShare
from methods.joined_options import joined_options

PRETRAINING = "pretraining"
"""Name of the stage in which degradations are classified."""

# The length of the pre-training is not public. A fifth of all steps is a choice of this project.
_SHARE = 0.2
# A step restores twice, of which the second pass has a classifier behind it.
_RELATIVE_COST = 2.5

_SOURCE = "Hu et al., ICLR 2025; MILab-PKU/dcpt"
_LICENCE = "DCPT: none stated"


@dataclass(frozen=True, kw_only=True)
class DCPTOptions:
    """Options of the classifier that pre-trains; published values are the defaults.

    Attributes:
        classifier_blocks: residual blocks of the classifier per level.
        focal_gamma: exponent of the focal loss; 0 is the cross-entropy.
    """

    classifier_blocks: int = 2
    focal_gamma: float = 0.0


def check_dcpt(options: DCPTOptions, context: CheckContext) -> None:
    """Refuse a classifier without blocks or with nothing to tell apart.

    Raises:
        OptionError: the text names the option, or the tasks.
    """
    if options.classifier_blocks < 1:
        raise OptionError(f"classifier_blocks={options.classifier_blocks} must be at least 1")
    if options.focal_gamma < 0:
        raise OptionError(f"focal_gamma={options.focal_gamma} must not be negative")
    if len(context.tasks) < 2:
        raise OptionError("the setting has one task, so there are no degradations to tell apart")


def _joined_check(method: MethodSpec) -> Callable[[Any, CheckContext], None]:
    """Return a check of the options of ``method`` and those of the classifier."""

    def check(options: Any, context: CheckContext) -> None:
        if method.check is not None:
            method.check(options.host_options, context)
        check_dcpt(options, context)

    return check


def _stages(method: MethodSpec) -> tuple[StageShare, ...]:
    """Return the pre-training, and the stages of ``method`` in the steps that are left."""
    stages = [StageShare(PRETRAINING, _SHARE)]
    for stage in method.stages or (StageShare("", 1.0),):
        stages.append(StageShare(stage.name, stage.share * (1 - _SHARE)))
    return tuple(stages)


def pretrain(method: MethodSpec) -> MethodSpec:
    """Return the spec of ``method`` with a stage of degradation classification before its own."""
    cost = 1 + _SHARE * (_RELATIVE_COST - 1)
    return replace(
        method,
        name=f"{method.name}@dcpt",
        label=f"{method.label} (DCPT)",
        summary=f"{method.label}, pre-trained by classification of degradations",
        objective=f"classification first, then {method.objective}",
        source="; ".join(dict.fromkeys([method.source, _SOURCE])),
        licence="; ".join(filter(None, [method.licence, _LICENCE])),
        build="methods.dcpt.network:build",
        options=joined_options(method.options, DCPTOptions, "Pretrained"),
        check=_joined_check(method),
        stages=_stages(method),
        relative_cost=cost * method.relative_cost,
        host=method,
        adapter=None,
        insertion_points=(),
        fusion_points=(),
        has_decoder_levels=False,
        extended_by=method.extended_by and f"{method.extended_by}@dcpt",
    )

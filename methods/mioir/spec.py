"""MiOIR's options, their checks, and its specs. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import RESTORMER_SIZES, RestormerOptions, check_restormer

_SOURCE = "Kong et al., arXiv 2401.03379; Xiangtaokong/MiOIR"
_LICENCE = "Apache-2.0, by its README"
_CLASSIFIER = "mioir-classifier"

_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {**RESTORMER_SIZES["tiny"], "prompt_features": 8},
    "small": {**RESTORMER_SIZES["small"], "prompt_features": 32},
    "full": {},
}


@dataclass(frozen=True, kw_only=True)
class AdaptivePromptOptions(RestormerOptions):
    """MiOIR's Restormer under a prompt; published values are the defaults.

    Attributes:
        prompt_features: channels of the networks that read the prompt.
    """

    prompt_features: int = 64


@dataclass(frozen=True, kw_only=True)
class ExplicitPromptOptions(AdaptivePromptOptions):
    """MiOIR's Restormer under one fixed prompt map per task.

    Attributes:
        prompt_maps: path of a .npy file of shape (tasks, 128, 128), one map per task in the
            setting's order of tasks; None draws the maps, keyed by the tasks' names. The
            authors' data/type7.npy holds blur, noise, jpeg, rain, haze, dark, sr. The maps
            become part of the weights; the path, not the content, is part of the weights' id.
    """

    prompt_maps: Path | None = None


@dataclass(frozen=True, kw_only=True)
class MiOIRClassifierOptions:
    """MiOIR's degradation classifier; published values are the defaults.

    Attributes:
        channels: channels of its first four convolutions.
        features: channels of its last convolution, which are pooled.
        double_softmax: whether the logits of the cross-entropy are the softmax of the scores,
            as published. The loss then stays above log(1 + (tasks - 1) / e), 1.17 for seven
            tasks.
    """

    channels: int = 128
    features: int = 32
    double_softmax: bool = True


def check_adaptive(options: AdaptivePromptOptions, context: CheckContext) -> None:
    """Refuse sizes at which the network cannot be built.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    check_restormer(options, context)
    if options.prompt_features < 1:
        raise OptionError(f"prompt_features={options.prompt_features} must be at least 1")


def check_explicit(options: ExplicitPromptOptions, context: CheckContext) -> None:
    """Refuse sizes at which the network cannot be built, and a file that holds no maps.

    Raises:
        OptionError: an option cannot have its value, or its file holds no maps; the text names
            option and value.
    """
    check_adaptive(options, context)
    if options.prompt_maps is not None:
        from methods.mioir.maps import read_maps  # imports numpy

        read_maps(options.prompt_maps, context.tasks)


def check_classifier(options: MiOIRClassifierOptions, context: CheckContext) -> None:
    """Refuse a classifier without channels.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    for name in ("channels", "features"):
        if getattr(options, name) < 1:
            raise OptionError(f"{name}={getattr(options, name)} must be at least 1")


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="mioir-ep",
        label="MiOIR, explicit",
        summary="MiOIR's Restormer under a fixed map per task, which a frozen classifier chooses",
        prompting="explicit: a classifier chooses a fixed map",
        objective="L1",
        source=_SOURCE,
        build="methods.mioir.network:build_explicit",
        options=ExplicitPromptOptions,
        sizes=_SIZES,
        check=check_explicit,
        requires=(_CLASSIFIER,),
        relative_cost=0.85,
        licence=_LICENCE,
    ),
    MethodSpec(
        name="mioir-ap",
        label="MiOIR, adaptive",
        summary="MiOIR's Restormer under a prompt that is read from the degraded image",
        prompting="adaptive: read from the degraded image",
        objective="L1",
        source=_SOURCE,
        build="methods.mioir.network:build_adaptive",
        options=AdaptivePromptOptions,
        sizes=_SIZES,
        check=check_adaptive,
        relative_cost=0.85,
        licence=_LICENCE,
    ),
    MethodSpec(
        name=_CLASSIFIER,
        label="MiOIR's classifier",
        summary="recognises the degradation, for MiOIR's explicit prompt",
        prompting="none",
        objective="cross-entropy of the softmax",
        source=_SOURCE,
        build="methods.mioir.classifier:build",
        options=MiOIRClassifierOptions,
        sizes={"tiny": {"channels": 16, "features": 8}, "small": {}, "full": {}},
        check=check_classifier,
        role="auxiliary",
        relative_cost=0.1,
        licence=_LICENCE,
    ),
)

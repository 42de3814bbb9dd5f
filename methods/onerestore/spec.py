"""OneRestore's options, their checks, and its specs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import check_expansion

SCENES = (
    *("clear", "low", "haze", "rain", "snow", "low_haze", "low_rain", "low_snow"),
    *("haze_rain", "haze_snow", "low_haze_rain", "low_haze_snow"),
)
"""Scenes of the authors' embedder, in its order."""

EMBEDDER = "onerestore-embedder"
"""Name of the auxiliary method that recognises the scene."""

_SOURCE = "Guo et al., ECCV 2024; gy65896/OneRestore"


@dataclass(frozen=True, kw_only=True)
class OneRestoreOptions:
    """OneRestore: published values are the defaults.

    Attributes:
        channels: channels at full resolution; each of the three levels below has twice as many.
        heads: attention heads of every block; they divide the channels.
        ffn_expansion: ratio of hidden channels of the feed-forward networks to their channels.
        antialias: whether keys are resized with antialiasing, as the published code does under
            torchvision 0.17 and later; the authors' weights were made under 0.14, without.
        ssim_weight: weight of one minus MS-SSIM; smooth L1 has 0.6.
        contrast_weight: weight of the contrast with the other degradations of an image.
        contrast_features: space in which the contrast measures distances: ``vgg16``, which needs
            a file of weights, or ``pixels``, as in the sizes below ``full``.
    """

    channels: int = 32
    heads: int = 8
    ffn_expansion: float = 2.66
    antialias: bool = False
    ssim_weight: float = 0.3
    contrast_weight: float = 0.1
    contrast_features: Literal["vgg16", "pixels"] = "vgg16"


@dataclass(frozen=True, kw_only=True)
class NamedOptions(OneRestoreOptions):
    """OneRestore that is given the name of the degradation.

    Attributes:
        embedder: path of the authors' file embedder_model.tar, whose scene embeddings their
            weights were trained under; None draws embeddings, keyed by the tasks' names. They
            become part of the weights; the path, not the content, is part of the weights' id.
    """

    embedder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class EmbedderOptions:
    """The scene embedder: published values are the defaults.

    Attributes:
        width: channels of the first of the ResNet's four stages, each of which doubles them.
        blocks: blocks of each stage.
        features: channels of the layer behind the ResNet.
        input_px: side to which images are resized.
        temperature: what cosine similarities are divided by.
        dropout: share of channels that are left out in training.
    """

    width: int = 64
    blocks: int = 2
    features: int = 1024
    input_px: int = 224
    temperature: float = 0.05
    dropout: float = 0.35


def scene_of(task: str) -> str:
    """Return the authors' name of a task's scene."""
    return task.replace("-", "_")


def check_onerestore(options: OneRestoreOptions, context: CheckContext) -> None:
    """Refuse sizes at which the network cannot be built, and losses that cannot be computed.

    Raises:
        OptionError: an option cannot have its value; the text names it and the way out.
    """
    if options.channels < 1 or options.heads < 1 or options.channels % options.heads:
        raise OptionError(
            f"channels={options.channels} must be a positive multiple of heads={options.heads}"
        )
    check_expansion("ffn_expansion", options.ffn_expansion, options.channels)
    for name in ("ssim_weight", "contrast_weight"):
        if getattr(options, name) < 0:
            raise OptionError(f"{name}={getattr(options, name)} must not be negative")
    if options.contrast_weight and len(context.tasks) < 2 and context.steps is not None:
        raise OptionError(
            "the contrast needs a second degradation, and the setting has one; set "
            "contrast_weight=0"
        )


def check_named(options: NamedOptions, context: CheckContext) -> None:
    """Refuse what :func:`check_onerestore` does, and files without the scenes of the tasks.

    Raises:
        OptionError: an option cannot have its value; the text names it and the way out.
    """
    check_onerestore(options, context)
    if options.embedder is not None:
        if not options.embedder.is_file():
            raise OptionError(f"embedder={options.embedder}: there is no such file")
        unknown = [task for task in context.tasks if scene_of(task) not in SCENES]
        if unknown:
            raise OptionError(
                f"embedder={options.embedder} has no scene for task '{unknown[0]}'; it knows "
                f"{', '.join(SCENES)}; leave embedder out"
            )


def check_embedder(options: EmbedderOptions, context: CheckContext) -> None:
    """Refuse an embedder without channels, and parameters of its loss that divide by zero.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    for name in ("width", "blocks", "features"):
        if getattr(options, name) < 1:
            raise OptionError(f"{name}={getattr(options, name)} must be at least 1")
    if options.input_px < 32:
        raise OptionError(f"input_px={options.input_px} must be at least 32")
    if options.temperature <= 0:
        raise OptionError(f"temperature={options.temperature} must be above 0")
    if not 0 <= options.dropout < 1:
        raise OptionError(f"dropout={options.dropout} must lie in [0, 1)")


def _needs_versions(options: Mapping[str, Any]) -> bool:
    return bool(options["contrast_weight"])


def _onerestore(name: str, label: str, **details: Any) -> MethodSpec:
    """Return a spec with what both ways to choose the scene share."""
    return MethodSpec(
        name=name,
        label=label,
        objective="0.6 smooth L1 + 0.3 (1 - MS-SSIM) + 0.1 contrast of degradations",
        source=_SOURCE,
        sizes={
            "tiny": {"channels": 8, "heads": 2, "contrast_features": "pixels"},
            "small": {"channels": 16, "heads": 4, "contrast_features": "pixels"},
            "full": {},
        },
        needs_versions=_needs_versions,
        licence="none stated",
        **details,
    )


SPECS: tuple[MethodSpec, ...] = (
    _onerestore(
        "onerestore",
        "OneRestore",
        summary="OneRestore as published, given the name of the degradation, at test too",
        prompting="oracle: the true task's embedding",
        build="methods.onerestore.network:build_named",
        options=NamedOptions,
        check=check_named,
        role="reference",
        needs_task_labels=True,
        relative_cost=0.7,
    ),
    _onerestore(
        "onerestore-visual",
        "OneRestore (visual)",
        summary="OneRestore whose degradation its own embedder recognises at test",
        prompting="explicit: an embedder recognises the degradation",
        build="methods.onerestore.network:build_visual",
        options=OneRestoreOptions,
        check=check_onerestore,
        requires=(EMBEDDER,),
        relative_cost=0.7,
    ),
    MethodSpec(
        name=EMBEDDER,
        label="OneRestore's embedder",
        summary="recognises the degradation, for OneRestore (visual)",
        prompting="none",
        objective="cross-entropy of cosine similarities",
        source=_SOURCE,
        build="methods.onerestore.embedder:build",
        options=EmbedderOptions,
        check=check_embedder,
        sizes={
            "tiny": {"width": 8, "blocks": 1, "features": 32, "input_px": 64},
            "small": {"width": 16, "blocks": 1, "features": 128, "input_px": 128},
            "full": {},
        },
        role="auxiliary",
        relative_cost=0.3,
        licence="none stated",
    ),
)

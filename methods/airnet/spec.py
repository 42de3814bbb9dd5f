"""AirNet's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec, OptionError, StageShare

ENCODER, JOINT = "encoder", "joint"
"""Stages of the training: the encoder alone, then all of the network."""


@dataclass(frozen=True, kw_only=True)
class AirNetOptions:
    """AirNet: size, contrast and queue; published values are the defaults.

    Attributes:
        channels: channels of the restorer and of the degradation map; the encoder's
            embedding has four times as many.
        groups: groups of the restorer.
        blocks: blocks in each group.
        temperature: what cosine similarities are divided by before the softmax.
        momentum: share of its own weights that the momentum encoder retains at each step.
        queue_length: number of keys that serve as negatives. The published length is 256 times
            the batch, which is 5 in its training of five degradations.
        contrast_weight: weight of the contrastive loss in the stage ``joint``, where it is added
            to L1; in the stage ``encoder`` it is the only term, with weight 1.
    """

    channels: int = 64
    groups: int = 5
    blocks: int = 5
    temperature: float = 0.07
    momentum: float = 0.999
    queue_length: int = 1280
    contrast_weight: float = 0.1


def check_airnet(options: AirNetOptions, context: CheckContext) -> None:
    """Refuse sizes at which nothing is built, and parameters without a contrastive loss.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    for name in ("channels", "groups", "blocks"):
        if getattr(options, name) < 1:
            raise OptionError(f"{name}={getattr(options, name)} must be at least 1")
    if options.temperature <= 0:
        raise OptionError(f"temperature={options.temperature} must be above 0")
    if not 0 <= options.momentum < 1:
        raise OptionError(
            f"momentum={options.momentum} must lie in [0, 1); at 1 the momentum encoder never "
            "changes"
        )
    if options.queue_length < context.micro_batch:
        raise OptionError(
            f"queue_length={options.queue_length} cannot hold the keys of one micro-batch of "
            f"{context.micro_batch}"
        )
    if options.contrast_weight < 0:
        raise OptionError(f"contrast_weight={options.contrast_weight} must not be negative")


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="airnet",
        label="AirNet",
        summary="AirNet as published: a contrastive encoder of the degradation guides the restorer",
        prompting="none",
        objective="L1 + contrastive loss of degradations",
        source="Li et al., CVPR 2022; XLearning-SCU/2022-CVPR-AirNet",
        build="methods.airnet.network:build",
        options=AirNetOptions,
        sizes={
            "tiny": {"channels": 8, "groups": 1, "blocks": 1, "queue_length": 64},
            "small": {"channels": 16, "groups": 2, "blocks": 2, "queue_length": 512},
            "full": {},
        },
        check=check_airnet,
        views=2,
        # 100 of 1000 epochs, as in the repository's option.py.
        stages=(StageShare(ENCODER, 0.1), StageShare(JOINT, 0.9)),
        relative_cost=2.0,
        licence="none stated",
    ),
)

"""Histoformer's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import RESTORMER_SIZES, RestormerOptions, check_restormer


@dataclass(frozen=True, kw_only=True)
class HistoformerOptions(RestormerOptions):
    """Histoformer as its released options configure it, not as its class does by default.

    Attributes:
        correlation_weight: weight of half of one minus Pearson's correlation between the
            restored and the clean image; published: 1.
    """

    dim: int = 36
    blocks: tuple[int, int, int, int] = (4, 4, 6, 8)
    ffn_expansion: float = 2.667
    correlation_weight: float = 1.0


def check_histoformer(options: HistoformerOptions, context: CheckContext) -> None:
    """Refuse sizes at which a block cannot be built, and a weight below zero.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    check_restormer(options, context)
    for factor in (1, 2, 4, 8):
        hidden = int(options.dim * factor * options.ffn_expansion)
        if hidden % 4:
            raise OptionError(
                f"ffn_expansion={options.ffn_expansion} gives {hidden} hidden channels at "
                f"{options.dim * factor}, and the feed-forward network splits them into four; "
                "change ffn_expansion or dim"
            )
    if options.correlation_weight < 0:
        raise OptionError(
            f"correlation_weight={options.correlation_weight} must not be negative; 0 leaves the "
            "correlation out"
        )


def _sizes() -> dict[str, dict[str, Any]]:
    """Return Restormer's sizes, with an expansion that their widths can be split by."""
    sizes = {name: dict(values) for name, values in RESTORMER_SIZES.items()}
    for name in ("tiny", "small"):
        sizes[name]["ffn_expansion"] = 2.5
    return sizes


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="histoformer",
        label="Histoformer",
        summary="Histoformer as published: attention between pixels sorted by intensity",
        prompting="none",
        objective="L1 + correlation",
        source="Sun et al., ECCV 2024; sunshangquan/Histoformer",
        build="methods.histoformer.network:build",
        options=HistoformerOptions,
        sizes=_sizes(),
        check=check_histoformer,
        relative_cost=3.0,
        licence="no licence file; Apache-2.0 by its setup.py",
    ),
)

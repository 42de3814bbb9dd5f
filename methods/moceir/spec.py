"""MoCE-IR's options, their checks, and its specs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import LEVELS, RESTORMER_SIZES, RestormerOptions, check_restormer


@dataclass(frozen=True, kw_only=True)
class MoCEIROptions(RestormerOptions):
    """MoCE-IR: published values are the defaults.

    Attributes:
        decoder_blocks: blocks of the decoder, counted like ``blocks`` from the highest
            resolution down.
        experts: experts in each decoder block. Expert i of n has 1/2^(n-1-i) of the block's
            channels and works in windows of 2^(i+2) pixels.
        expert_top_k: how many experts restore each image; published: 1.
        noise_at_test: whether the router's noise stays on at test, as in the published code;
            here it is keyed by the image's content, so that a result can be repeated.
        expert_load_balancing_weight: weight of the load-balancing loss of the experts, the mean
            of importance and load.
        with_complexity: whether the importance of an expert counts in proportion to its
            parameters, which favours small ones. The paper describes it; the authors'
            commands leave it off.
        fft_weight: weight of the mean absolute error between spectra.
    """

    ffn_expansion: float = 2.0
    decoder_blocks: tuple[int, int, int] = (2, 4, 4)
    experts: int = 4
    expert_top_k: int = 1
    noise_at_test: bool = False
    expert_load_balancing_weight: float = 0.01
    with_complexity: bool = False
    fft_weight: float = 0.1


def check_moceir(options: MoCEIROptions, context: CheckContext) -> None:
    """Refuse sizes at which an expert cannot be built, and weights below zero.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    check_restormer(options, context)
    if min(options.decoder_blocks) < 1:
        raise OptionError(f"decoder_blocks={options.decoder_blocks} must each be at least 1")
    if options.experts < 2:
        raise OptionError(f"experts={options.experts} leaves nothing to choose; use at least 2")
    least = 2 ** (options.experts - 1)
    if options.dim < least:
        raise OptionError(
            f"dim={options.dim} leaves the smallest of experts={options.experts} no channel; use "
            f"dim={least} or more, or fewer experts"
        )
    if not 1 <= options.expert_top_k <= options.experts:
        raise OptionError(
            f"expert_top_k={options.expert_top_k} must lie between 1 and experts={options.experts}"
        )
    for name in ("expert_load_balancing_weight", "fft_weight"):
        if getattr(options, name) < 0:
            raise OptionError(f"{name}={getattr(options, name)} must not be negative")


def _sizes(small_dim: int) -> dict[str, Mapping[str, Any]]:
    """Return the option values per size; ``small_dim`` is the width of ``small``."""
    one_each = {"decoder_blocks": (1, 1, 1)}
    return {
        "tiny": {**RESTORMER_SIZES["tiny"], **one_each},
        "small": {**RESTORMER_SIZES["small"], **one_each, "dim": small_dim},
        "full": {},
    }


def _moceir(name: str, label: str, **details: Any) -> MethodSpec:
    """Return a spec with what both published networks share."""
    return MethodSpec(
        name=name,
        label=label,
        prompting="none",
        objective="L1 + 0.1 L1 of spectra + 0.01 load balancing of experts",
        source="Zamfir et al., CVPR 2025; eduardzamfir/MoCE-IR",
        build="methods.moceir.network:build",
        options=MoCEIROptions,
        check=check_moceir,
        insertion_points=LEVELS,
        licence="CC BY-NC-SA 4.0",
        **details,
    )


SPECS: tuple[MethodSpec, ...] = (
    _moceir(
        "moceir",
        "MoCE-IR",
        summary="a router sends each image to one of four experts of rising complexity",
        sizes=_sizes(16),
        relative_cost=1.0,
    ),
    _moceir(
        "moceir-s",
        "MoCE-IR-S",
        summary="MoCE-IR at two thirds of the width",
        defaults={"dim": 32},
        sizes=_sizes(12),
        relative_cost=0.85,
    ),
)

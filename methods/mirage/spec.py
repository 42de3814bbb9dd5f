"""MIRAGE's options, their checks, and its specs. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import RESTORMER_SIZES, RestormerOptions, check_restormer

BRANCHES = 3
"""Branches that share a block's channels equally: attention, gated convolution, MLP."""


@dataclass(frozen=True, kw_only=True)
class MIRAGEOptions(RestormerOptions):
    """MIRAGE: published values of its small network are the defaults.

    Attributes:
        drop_path: probability with which a gated convolution is skipped for a sample in training.
        fft_weight: weight of the mean absolute error between spectra.
        contrast_weight: weight of the contrast between the covariances of the first encoder level
            and of the latent.
        contrast_temperature: what cosine similarities are divided by before the softmax.
    """

    dim: int = 30
    blocks: tuple[int, int, int, int] = (3, 5, 5, 7)
    refinement_blocks: int = 3
    ffn_expansion: float = 2.0
    drop_path: float = 0.1
    fft_weight: float = 0.1
    contrast_weight: float = 0.01
    contrast_temperature: float = 0.1


def check_mirage(options: MIRAGEOptions, context: CheckContext) -> None:
    """Refuse sizes at which the branches cannot be built, and weights without a meaning.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    check_restormer(options, context)
    if options.dim % BRANCHES:
        raise OptionError(
            f"dim={options.dim} must be a multiple of {BRANCHES}, because three branches share "
            "the channels equally"
        )
    for factor, heads in zip((1, 2, 4, 8), options.heads, strict=True):
        branch = options.dim * factor // BRANCHES
        if branch % heads:
            raise OptionError(
                f"dim={options.dim} leaves the attention {branch} channels, which {heads} heads "
                f"(heads={options.heads}) do not divide"
            )
    if not 0 <= options.drop_path < 1:
        raise OptionError(f"drop_path={options.drop_path} must lie in [0, 1)")
    for name in ("fft_weight", "contrast_weight"):
        if getattr(options, name) < 0:
            raise OptionError(f"{name}={getattr(options, name)} must not be negative")
    if options.contrast_temperature <= 0:
        raise OptionError(f"contrast_temperature={options.contrast_temperature} must be above 0")


def _sizes(tiny_dim: int, small_dim: int) -> dict[str, dict[str, Any]]:
    """Return the option values per size, given the widths of ``tiny`` and ``small``."""
    return {
        "tiny": {**RESTORMER_SIZES["tiny"], "dim": tiny_dim},
        "small": {**RESTORMER_SIZES["small"], "dim": small_dim},
        "full": {},
    }


def _mirage(name: str, label: str, **details: Any) -> MethodSpec:
    """Return a spec with what both published networks share."""
    return MethodSpec(
        name=name,
        label=label,
        prompting="none",
        objective="L1 + 0.1 L1 of spectra + 0.01 contrast of covariances",
        source="Ren et al., ICLR 2026; Amazingren/MIRAGE",
        build="methods.mirage.network:build",
        options=MIRAGEOptions,
        check=check_mirage,
        has_decoder_levels=True,
        licence="MIT",
        **details,
    )


SPECS: tuple[MethodSpec, ...] = (
    _mirage(
        "mirage",
        "MIRAGE",
        summary="MIRAGE small: attention, gated convolution and MLP share the channels",
        sizes=_sizes(12, 24),
        relative_cost=0.8,
    ),
    _mirage(
        "mirage-tiny",
        "MIRAGE-tiny",
        summary="MIRAGE at four fifths of the width, with two refinement blocks",
        defaults={"dim": 24, "refinement_blocks": 2},
        sizes=_sizes(6, 18),
        relative_cost=0.6,
    ),
)

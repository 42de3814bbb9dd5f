"""DFPIR's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import RESTORMER_SIZES, RestormerOptions, check_restormer


@dataclass(frozen=True, kw_only=True)
class DFPIROptions(RestormerOptions):
    """DFPIR: a Restormer with four blocks that a text feature guides; published values.

    Attributes:
        selected_share: share of the entries that each row of the guided attention selects,
            rounded down.
        text_features: path of a .npy file of shape (tasks, 512), one text feature per task in the
            setting's order of tasks; None draws the features, keyed by the tasks' names. The
            authors' are those of CLIP ViT-B/32 for their sentences (docs/methods.md). The
            features become part of the weights; the path, not the content, is part of the
            weights' id.
    """

    selected_share: float = 0.9
    text_features: Path | None = None


def check_dfpir(options: DFPIROptions, context: CheckContext) -> None:
    """Refuse sizes at which the network cannot be built, and a file without text features.

    Raises:
        OptionError: an option cannot have its value, or its file holds no text features; the text
            names option and value.
    """
    check_restormer(options, context)
    if not 0 < options.selected_share <= 1:
        raise OptionError(f"selected_share={options.selected_share} must lie in (0, 1]")
    for factor, heads in zip((1, 2, 4, 8), options.heads, strict=True):
        width = options.dim * factor // heads
        if int(width * options.selected_share) < 1:
            raise OptionError(
                f"selected_share={options.selected_share} selects none of the {width} channels of "
                f"a head (dim={options.dim}, heads={options.heads})"
            )
    if options.text_features is not None:
        from methods.dfpir.text import read_features  # imports numpy

        read_features(options.text_features, context.tasks)


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="dfpir",
        label="DFPIR",
        summary="channels permuted by a text of the true degradation, at test too: a reference",
        prompting="oracle: a text of the true task",
        objective="L1",
        source="Tian et al., CVPR 2025; TxpHome/DFPIR",
        build="methods.dfpir.network:build",
        options=DFPIROptions,
        sizes=RESTORMER_SIZES,
        check=check_dfpir,
        has_decoder_levels=True,
        role="reference",
        needs_task_labels=True,
        relative_cost=1.0,
        licence="none stated",
    ),
)

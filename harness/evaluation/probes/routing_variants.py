"""Routing at test: what images lose or gain if a trained router weighs its prompts in another way.

The values of every image are kept, so that tables can pair them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.evaluation.probes.definitions import relative_entropy
from harness.evaluation.probes.observe import Observed, ObservedColumn, Observer
from harness.store.prompt_files import AS_TRAINED, BEST_PROMPT

FORCED = "something other than a router chooses its prompts"
DENSE = "its routers mix all prompts, or offer no other way to weigh them"


def routing_variants(
    observer: Observer, columns: Sequence[tuple[str, ObservedColumn]]
) -> dict[str, Any]:
    """Return PSNR of every image under each variant, and how sure the router is, by column.

    The best prompt stands last among the variants, as a bound on what a choice of one prompt can
    mend where one router chooses for all levels. ``left_out`` says why there are no variants, and
    is empty where there are some.

    Args:
        observer: the method.
        columns: ``trained``, ``mixed`` or ``untrained``, and the images that were observed under
            the variants.
    """
    names = [variant.name for variant in observer.variants]
    if names:
        names.append(BEST_PROMPT)
    is_forced = any(image.chosen is not None for _, column in columns for image in column.images)
    left_out = "" if names else DENSE
    if is_forced:
        names, left_out = [], FORCED
    found = [_of_column(kind, column, names) for kind, column in columns]
    return {"variants": names, "left_out": left_out, "columns": found}


def _of_column(kind: str, column: ObservedColumn, variants: Sequence[str]) -> dict[str, Any]:
    psnr_db = {AS_TRAINED: [image.psnr_db for image in column.images]}
    rerouted = {}
    for name in variants:
        psnr_db[name] = [image.psnr_db_by(name) for image in column.images]
        rerouted[name] = sum(name in image.variant_psnr_db for image in column.images)
    confidence, entropy = {}, {}
    for level in column.images[0].probabilities:
        confidence[level] = float(np.mean([_confidence(image, level) for image in column.images]))
        entropy[level] = float(np.mean([_entropy(image, level) for image in column.images]))
    return {
        "kind": kind,
        "name": column.name,
        "images": [image.pair.photograph for image in column.images],
        "input_db": [image.input_psnr_db for image in column.images],
        "psnr_db": psnr_db,
        "rerouted": rerouted,
        "confidence": confidence,
        "entropy": entropy,
    }


def _confidence(image: Observed, level: str) -> float:
    return float(image.probabilities[level].max())


def _entropy(image: Observed, level: str) -> float:
    return relative_entropy(image.probabilities[level][0].numpy())

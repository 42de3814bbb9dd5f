"""What variants of routing at test do to the images of some columns, of what is stored of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.reporting.statistics import Difference, difference, has_enough, pair_differences
from harness.store.prompt_files import AS_TRAINED

TRAINED = ("trained",)
UNSEEN = ("mixed", "untrained")
"""Kinds of columns: those of the setting, and those that training never showed."""

StoredColumn = Mapping[str, Any]


@dataclass(frozen=True)
class VariantValues:
    """One variant of routing on the images of some columns.

    Attributes:
        input_db: PSNR of the degraded images, mean over columns of the mean over images.
        psnr_db: the same of the restored images; both are NaN where a value is not known.
        delta: difference of ``psnr_db`` to routing as trained, with its interval over images; None
            where a value is not known, and for routing as trained itself.
        columns: how many there are.
        below_input: how many end below their input.
        images: how many there are.
        rerouted: how many of them have other weights than as trained.
    """

    input_db: float
    psnr_db: float
    delta: Difference | None
    columns: int
    below_input: int
    images: int
    rerouted: int


def columns_of(found: Mapping[str, Any], kinds: Sequence[str]) -> list[StoredColumn]:
    """Return the stored columns of some kinds."""
    return [column for column in found["columns"] if column["kind"] in kinds]


def variant_values(columns: Sequence[StoredColumn], variant: str) -> VariantValues:
    """Return what ``variant`` does in ``columns``, of which there may be none."""
    inputs = [mean_of(column["input_db"]) for column in columns]
    restored = [mean_of(column["psnr_db"][variant]) for column in columns]
    below = [after < before for before, after in zip(inputs, restored, strict=True)]
    return VariantValues(
        input_db=mean_of(inputs),
        psnr_db=mean_of(restored),
        delta=None if variant == AS_TRAINED else _delta(columns, variant),
        columns=len(columns),
        below_input=sum(below),
        images=sum(len(column["images"]) for column in columns),
        rerouted=sum(column["rerouted"].get(variant, 0) for column in columns),
    )


def mean_of(values: Sequence[float | None]) -> float:
    """Return the mean; NaN of none, and if one is not known."""
    floats = np.array(values, dtype=float)
    return float(floats.mean()) if len(floats) else math.nan


def _delta(columns: Sequence[StoredColumn], variant: str) -> Difference | None:
    """Return the paired difference to routing as trained; None where a value is not known."""
    differences: list[float] = []
    images: list[tuple[str, str]] = []
    for column in columns:
        restored = np.array(column["psnr_db"][variant], dtype=float)
        differences += (restored - np.array(column["psnr_db"][AS_TRAINED], dtype=float)).tolist()
        images += [(column["name"], image) for image in column["images"]]
    if not differences or not np.isfinite(differences).all():
        return None
    paired = pair_differences(np.array([differences]), images)
    found = difference(paired, "images")
    return found if has_enough(paired, "images") else Difference(found.mean, None, None)

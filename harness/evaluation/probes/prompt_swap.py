"""Prompt swaps: images of one column restored under the prompts of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from harness.data.parallel_map import OnProgress
from harness.evaluation.probes.definitions import prompt_swap_gaps_db
from harness.evaluation.probes.observe import ByColumn, Observer

_SELECTED_SHARE = 0.01
"""Share of an image's weight from which a prompt counts as selected."""


@dataclass(frozen=True)
class _Swap:
    """PSNR in dB of one image under the prompts of each column, and under unselected prompts."""

    columns: list[float]
    unselected: list[float]


def prompt_swap(
    observer: Observer, observed: ByColumn, families: Sequence[str], on_progress: OnProgress
) -> dict[str, Any]:
    """Restore every image under the prompts of each column, and under unselected prompts.

    Args:
        observer: the method.
        observed: images by column.
        families: the family of the task of each column.
        on_progress: receives how many images are done, of how many.
    """
    unselected = unselected_prompts(observed)
    total = sum(len(images) for images in observed.values())
    done = 0
    psnr_db, unselected_db = [], []
    for column, images in observed.items():
        swaps = []
        for index in range(len(images)):
            swaps.append(_swap(observer, observed, column, index, unselected))
            done += 1
            on_progress(done, total)
        psnr_db.append(np.mean([swap.columns for swap in swaps], axis=0))
        unselected_db.append(np.mean([swap.unselected for swap in swaps], axis=0))
    by_prompt = {}
    for number, prompt in enumerate(unselected):
        by_prompt[str(prompt)] = [float(row[number]) for row in unselected_db]
    return {
        "psnr_db": np.asarray(psnr_db).tolist(),
        "gap_db": prompt_swap_gaps_db(psnr_db, families),
        "unselected": by_prompt,
    }


def unselected_prompts(observed: ByColumn) -> list[int]:
    """Return the prompts that no image selects at any level."""
    weights = []
    for images in observed.values():
        for image in images:
            weights += [of_level[0] for of_level in image.weights.values()]
    stacked = torch.stack(weights)
    shares = stacked / stacked.sum(dim=-1, keepdim=True)
    largest = shares.max(dim=0).values.tolist()
    return [prompt for prompt, share in enumerate(largest) if share < _SELECTED_SHARE]


def _swap(
    observer: Observer, observed: ByColumn, column: str, index: int, unselected: Sequence[int]
) -> _Swap:
    """Restore image ``index`` of a column, also under the prompts of the other columns' images."""
    image = observed[column][index]
    overrides = []
    for name, others in observed.items():
        prompted = image if name == column else others[index % len(others)]
        overrides.append(prompted.weights)
    overrides += [image.one_hot(prompt) for prompt in unselected]
    values = observer.psnr_under(image.pair, overrides)
    return _Swap(values[: len(observed)], values[len(observed) :])

"""Prompt swaps: images of one column restored under the prompts of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.evaluation.probes.definitions import prompt_swap_gaps_db
from harness.evaluation.probes.observe import ObservedColumn, Observer

_SELECTED_SHARE = 0.01
"""Share of an image's weight from which a prompt counts as selected."""


def prompt_swap(
    observer: Observer, columns: Sequence[ObservedColumn], on_image: Callable[[], None]
) -> dict[str, Any]:
    """Restore every image under the prompts of each column, and under unselected prompts.

    Args:
        observer: the method.
        columns: its observed images.
        on_image: is called after each image.
    """
    unselected = unselected_prompts(columns)
    rows = []
    for number, column in enumerate(columns):
        swapped = []
        for index in range(len(column.images)):
            swapped.append(_swapped_psnr_db(observer, columns, (number, index), unselected))
            on_image()
        rows.append(np.mean(swapped, axis=0))
    matrix: NDArray[np.float64] = np.stack(rows)
    psnr_db, unselected_db = matrix[:, : len(columns)], matrix[:, len(columns) :]
    by_prompt = {}
    for number, prompt in enumerate(unselected):
        by_prompt[str(prompt)] = unselected_db[:, number].tolist()
    families = [column.family for column in columns]
    return {
        "psnr_db": psnr_db.tolist(),
        "gap_db": prompt_swap_gaps_db(psnr_db, families),
        "unselected": by_prompt,
    }


def unselected_prompts(columns: Sequence[ObservedColumn]) -> list[int]:
    """Return the prompts that no image selects at any level."""
    weights = []
    for column in columns:
        for image in column.images:
            weights += [of_level[0] for of_level in image.weights.values()]
    stacked = torch.stack(weights)
    shares = stacked / stacked.sum(dim=-1, keepdim=True)
    largest = shares.max(dim=0).values.tolist()
    return [prompt for prompt, share in enumerate(largest) if share < _SELECTED_SHARE]


def _swapped_psnr_db(
    observer: Observer,
    columns: Sequence[ObservedColumn],
    at: tuple[int, int],
    unselected: Sequence[int],
) -> list[float]:
    """Restore one image, given by the numbers of its column and in it.

    Returns:
        PSNR in dB under the prompts of each column (of the image of the same number there, and
        of its own), then under each unselected prompt.
    """
    own, index = at
    image = columns[own].images[index]
    overrides = []
    for number, column in enumerate(columns):
        prompted = image if number == own else column.images[index % len(column.images)]
        overrides.append(prompted.weights)
    for prompt in unselected:
        overrides.append(image.one_hot(prompt))
    return observer.psnr_under(image.pair, overrides)

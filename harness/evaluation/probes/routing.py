"""Routing at one level: which prompts images receive, and how alike those prompts are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.config.seeding import generator
from harness.evaluation.probes.definitions import (
    chance_normalised_mutual_information,
    cosine_similarity,
    linear_cka,
    normalised_mutual_information,
    relative_entropy,
)
from harness.evaluation.probes.observe import ByColumn, Observed

Float = NDArray[np.float64]


def routing_at(level: str, observed: ByColumn, families: Sequence[str]) -> dict[str, Any]:
    """Return expert load per column, entropies, and how much experts depend on tasks.

    Args:
        level: one level of the network.
        observed: images by column.
        families: the family of the task of each column.
    """
    load, image_entropies = {}, []
    for column, images in observed.items():
        shares = weight_shares(images, level)
        load[column] = shares.mean(axis=0)
        image_entropies += [relative_entropy(share) for share in shares]
    return {
        "expert_load": {column: shares.tolist() for column, shares in load.items()},
        "image_entropy": float(np.mean(image_entropies)),
        "load_entropy": relative_entropy(np.mean(list(load.values()), axis=0)),
        "normalised_mutual_information": _mutual_information(level, observed, families),
    }


def redundancy_at(
    level: str, bank: Float, observed: ByColumn, families: Sequence[str]
) -> dict[str, Any]:
    """Return how alike the mean prompts of the columns are, and the mean between families.

    Args:
        level: one level of the network.
        bank: its prompts, (prompts, C, H, W).
        observed: images by column.
        families: the family of the task of each column.
    """
    mean_weights = []
    for images in observed.values():
        weights = [image.weights[level][0].numpy() for image in images]
        mean_weights.append(np.mean(weights, axis=0))
    received = np.tensordot(np.stack(mean_weights), bank, axes=1)
    cosine = cosine_similarity(received.reshape(len(received), -1))
    cka = _cka_matrix(received)
    names = np.asarray(families)
    negative = names[:, None] != names[None, :]
    return {
        "cosine": cosine.tolist(),
        "cka": cka.tolist(),
        "cosine_between_families": _mean_where(negative, cosine),
        "cka_between_families": _mean_where(negative, cka),
    }


def weight_shares(images: Sequence[Observed], level: str) -> Float:
    """Return (images, prompts): the share of each prompt in the weights of an image."""
    stacked = np.stack([image.weights[level][0].numpy() for image in images]).astype(float)
    shares: Float = stacked / stacked.sum(axis=1, keepdims=True)
    return shares


def _mutual_information(
    level: str, observed: ByColumn, families: Sequence[str]
) -> dict[str, float]:
    experts: list[int] = []
    task_of_image: list[str] = []
    family_of_image: list[str] = []
    for (column, images), family in zip(observed.items(), families, strict=True):
        experts += [image.expert(level) for image in images]
        task_of_image += [column] * len(images)
        family_of_image += [family] * len(images)
    rng = generator("probes", "shuffled", level)
    return {
        "tasks": normalised_mutual_information(experts, task_of_image),
        "families": normalised_mutual_information(experts, family_of_image),
        "tasks_by_chance": chance_normalised_mutual_information(experts, task_of_image, rng),
        "families_by_chance": chance_normalised_mutual_information(experts, family_of_image, rng),
    }


def _cka_matrix(prompts: Float) -> Float:
    """Return the CKA (T, T) between prompts (T, C, H, W)."""
    pixels = [prompt.reshape(prompt.shape[0], -1).T for prompt in prompts]
    matrix = np.empty((len(pixels), len(pixels)))
    for row, first in enumerate(pixels):
        for column, second in enumerate(pixels):
            matrix[row, column] = linear_cka(first, second)
    return matrix


def _mean_where(selected: NDArray[np.bool_], values: Float) -> float | None:
    return float(values[selected].mean()) if selected.any() else None

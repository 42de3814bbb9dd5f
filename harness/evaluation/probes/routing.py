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
from harness.evaluation.probes.observe import ObservedColumn

Float = NDArray[np.float64]


def routing_at(level: str, columns: Sequence[ObservedColumn]) -> dict[str, Any]:
    """Return expert load per column, entropies, and how much experts depend on tasks."""
    loads, image_entropies = [], []
    by_column = {}
    for column in columns:
        load = column.expert_load(level)
        loads.append(load)
        by_column[column.name] = load.tolist()
        image_entropies += [relative_entropy(shares) for shares in column.shares(level)]
    return {
        "expert_load": by_column,
        "image_entropy": float(np.mean(image_entropies)),
        "load_entropy": relative_entropy(np.mean(loads, axis=0)),
        "normalised_mutual_information": _mutual_information(level, columns),
    }


def redundancy_at(level: str, bank: Float, columns: Sequence[ObservedColumn]) -> dict[str, Any]:
    """Return how alike the mean prompts of the columns are, and the mean between families.

    ``bank`` holds the prompts of the level, (prompts, C, H, W).
    """
    weights = [column.weights(level).mean(axis=0) for column in columns]
    received = np.tensordot(np.stack(weights), bank, axes=1)
    cosine = cosine_similarity(received.reshape(len(received), -1))
    cka = _cka_matrix(received)
    families = np.asarray([column.family for column in columns])
    negative = families[:, None] != families[None, :]
    return {
        "cosine": cosine.tolist(),
        "cka": cka.tolist(),
        "cosine_between_families": _mean_where(negative, cosine),
        "cka_between_families": _mean_where(negative, cka),
    }


def _mutual_information(level: str, columns: Sequence[ObservedColumn]) -> dict[str, float]:
    experts: list[int] = []
    tasks: list[str] = []
    families: list[str] = []
    for column in columns:
        for image in column.images:
            experts.append(image.expert(level))
            tasks.append(column.name)
            families.append(column.family)
    rng = generator("probes", "shuffled", level)
    return {
        "tasks": normalised_mutual_information(experts, tasks),
        "families": normalised_mutual_information(experts, families),
        "tasks_by_chance": chance_normalised_mutual_information(experts, tasks, rng),
        "families_by_chance": chance_normalised_mutual_information(experts, families, rng),
    }


def _cka_matrix(prompts: Float) -> Float:
    """Return the CKA (T, T) between prompts (T, C, H, W)."""
    count, channels = prompts.shape[:2]
    matrix = np.empty((count, count))
    for row in range(count):
        for column in range(count):
            first, second = (
                prompts[row].reshape(channels, -1),
                prompts[column].reshape(channels, -1),
            )
            matrix[row, column] = linear_cka(first.T, second.T)
    return matrix


def _mean_where(selected: NDArray[np.bool_], values: Float) -> float | None:
    return float(values[selected].mean()) if selected.any() else None

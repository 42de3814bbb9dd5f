"""The probes of ``--probes``: routing, redundancy, control, explicit decisions, the unseen.

docs/probes.md defines each quantity and its range. All are taken on the middle of test images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.config.run_specs import TestSet
from harness.config.seeding import generator
from harness.config.settings import Column
from harness.data.sources.pairs import Pair, centre_crop, make_pair
from harness.data.sources.protocol import TestPairs
from harness.evaluation.probes.definitions import (
    chance_normalised_mutual_information,
    cosine_similarity,
    diagonal_advantage_db,
    linear_cka,
    normalised_mutual_information,
    relative_entropy,
)
from harness.evaluation.probes.observe import Observed, Observer
from harness.evaluation.probes.out_of_distribution import elsewhere_tasks

SIDE_PX = 192
"""Probed is the middle of each image, of at most this side."""

IMAGES = 24
"""Probed are at most so many images of a column."""

_IN_USE = 0.01
"""Share of an image's weight from which a prompt counts as selected."""

Progress = Callable[[int, int], None]


def analyse_prompts(
    observer: Observer, source: TestPairs, test: TestSet, cards: Path, progress: Progress
) -> dict[str, Any]:
    """Return all probes of a prompted method on ``test`` as plain values."""
    names: dict[str, list[str]] = {column.name: [] for column in test.columns}
    for column, image in source.names():
        if len(names[column]) < IMAGES:
            names[column].append(image)
    names = {column: images for column, images in names.items() if images}
    total = sum(len(images) for images in names.values())
    seen: dict[str, list[Observed]] = {}
    for column, images in names.items():
        seen[column] = []
        for image in images:
            seen[column].append(observer.observe(_middle(source.make(column, image))))
    families = families_of(test, list(seen))
    levels = list(next(iter(seen.values()))[0].weights)
    unused = unused_prompts(seen, levels)
    rows, apart, done = [], [], 0
    for column, observed in seen.items():
        own, beside = [], []
        for index, one in enumerate(observed):
            forced = [
                others[index % len(others)].weights if name != column else one.weights
                for name, others in seen.items()
            ]
            values = observer.under(one.pair, [*forced, *map(_one_hot_at(one), unused)])
            own.append(values[: len(forced)])
            beside.append(values[len(forced) :])
            progress(done := done + 1, total)
        rows.append(np.mean(own, axis=0))
        apart.append(np.mean(beside, axis=0))
    advantage = diagonal_advantage_db(rows, families)
    result: dict[str, Any] = _plain(
        {
            "columns": list(seen),
            "families": families,
            "images": {column: len(observed) for column, observed in seen.items()},
            "input_db": [float(np.mean([o.input_psnr_db for o in s])) for s in seen.values()],
            "routing": {level: routing(seen, families, level) for level in levels},
            "redundancy": {
                level: redundancy(observer.bank(level), seen, families, level) for level in levels
            },
            "control": {
                "psnr_db": np.asarray(rows).tolist(),
                "advantage_db": advantage,
                "unused": {
                    str(prompt): [float(row[i]) for row in apart] for i, prompt in enumerate(unused)
                },
            },
            "explicit": explicit(observer, test, seen),
            "elsewhere": elsewhere(observer, test, cards),
        }
    )
    return result


def families_of(test: TestSet, columns: Sequence[str]) -> list[str]:
    """Return the family of the task of each column."""
    family = {task.name: task.family for task in test.tasks}
    task = {column.name: column.task for column in test.columns}
    return [family[task[name]] for name in columns]


def unused_prompts(seen: Mapping[str, Sequence[Observed]], levels: Sequence[str]) -> list[int]:
    """Return prompts that no image selects at any level."""
    weights = torch.stack([o.weights[k][0] for s in seen.values() for o in s for k in levels])
    shares = weights / weights.sum(dim=-1, keepdim=True)
    return [i for i, most in enumerate(shares.max(dim=0).values.tolist()) if most < _IN_USE]


def routing(
    seen: Mapping[str, Sequence[Observed]], families: Sequence[str], level: str
) -> dict[str, Any]:
    """Return expert use per column, entropies, and what experts say about tasks."""
    shares = {
        column: _shares([one.weights[level][0].numpy() for one in observed])
        for column, observed in seen.items()
    }
    use = {column: each.mean(axis=0) for column, each in shares.items()}
    experts = [one.expert(level) for observed in seen.values() for one in observed]
    by_task = [column for column, observed in seen.items() for _ in observed]
    family = dict(zip(seen, families, strict=True))
    by_family = [family[column] for column in by_task]
    rng = generator("probes", "shuffled", level)
    return {
        "use": {column: shared.tolist() for column, shared in use.items()},
        "entropy_of_images": float(
            np.mean([relative_entropy(one) for each in shares.values() for one in each])
        ),
        "entropy_of_use": relative_entropy(np.mean(list(use.values()), axis=0)),
        "information": {
            "tasks": normalised_mutual_information(experts, by_task),
            "families": normalised_mutual_information(experts, by_family),
            "tasks_by_chance": chance_normalised_mutual_information(experts, by_task, rng),
            "families_by_chance": chance_normalised_mutual_information(experts, by_family, rng),
        },
    }


def redundancy(
    bank: np.ndarray, seen: Mapping[str, Sequence[Observed]], families: Sequence[str], level: str
) -> dict[str, Any]:
    """Return how alike the mean prompts are that columns receive, and the mean between families."""
    mean = [np.mean([o.weights[level][0].numpy() for o in s], axis=0) for s in seen.values()]
    received = np.tensordot(np.stack(mean), bank, axes=1)
    cosine = cosine_similarity(received.reshape(len(received), -1))
    pixels = [prompt.reshape(prompt.shape[0], -1).T for prompt in received]
    cka = np.array([[linear_cka(a, b) for b in pixels] for a in pixels])
    apart = np.array([[a != b for b in families] for a in families])
    return {
        "cosine": cosine.tolist(),
        "cka": cka.tolist(),
        "cosine_between_families": float(cosine[apart].mean()) if apart.any() else None,
        "cka_between_families": float(cka[apart].mean()) if apart.any() else None,
    }


def explicit(
    observer: Observer, test: TestSet, seen: Mapping[str, Sequence[Observed]]
) -> dict[str, Any] | None:
    """Return a classifier's decisions and what they are worth; None where none decides.

    ``psnr_db`` has, per column, the images that were recognised, those that were not, and the
    latter as they would have been under the prompt of their true task.
    """
    tasks = [task.name for task in test.tasks]
    decided = all(one.chosen is not None for observed in seen.values() for one in observed)
    if observer.needs_task_labels or not decided:
        return None
    confusion, values = {}, {}
    for column, observed in seen.items():
        truth = tasks.index(next(c.task for c in test.columns if c.name == column))
        chosen = [one.chosen or 0 for one in observed]
        confusion[column] = [chosen.count(i) for i in range(len(tasks))]
        wrong = [one for one in observed if one.chosen != truth]
        mended = [observer.under(one.pair, [_one_hot(one, truth)])[0] for one in wrong]
        values[column] = {
            "right": _mean([one.psnr_db for one in observed if one.chosen == truth]),
            "wrong": _mean([one.psnr_db for one in wrong]),
            "wrong_if_told": _mean(mended),
        }
    return {"tasks": tasks, "confusion": confusion, "psnr_db": values}


def elsewhere(observer: Observer, test: TestSet, cards: Path) -> list[dict[str, Any]]:
    """Return where degradations are routed that the setting's training never showed.

    Only on photographs that are degraded here; not for a method that must be told the task.
    """
    if observer.needs_task_labels:
        return []
    found = []
    for kind, task in elsewhere_tasks(test.tasks):
        column = Column(
            name=task.name, task=task.name, label=task.name, latex_label="", group="", draws=1
        )
        observed = [
            observer.observe(
                make_pair(
                    cards, "probe", column, (task,), f"{p.name}#0", test.preprocessing, SIDE_PX
                )
            )
            for p in test.photographs
        ]
        if not observed:
            continue
        found.append(
            {
                "kind": kind,
                "name": task.name,
                "input_db": _mean([one.input_psnr_db for one in observed]),
                "restored_db": _mean([one.psnr_db for one in observed]),
                "use": {
                    level: _shares([o.weights[level][0].numpy() for o in observed]).mean(0).tolist()
                    for level in observed[0].weights
                },
            }
        )
    return found


def _middle(pair: Pair) -> Pair:
    return replace(
        pair,
        degraded=centre_crop(pair.degraded, 1, SIDE_PX),
        clean=centre_crop(pair.clean, 1, SIDE_PX),
    )


def _shares(weights: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.stack(weights).astype(float)
    shares: np.ndarray = stacked / stacked.sum(axis=1, keepdims=True)
    return shares


def _one_hot_at(one: Observed) -> Callable[[int], dict[str, torch.Tensor]]:
    return lambda prompt: _one_hot(one, prompt)


def _one_hot(one: Observed, prompt: int) -> dict[str, torch.Tensor]:
    return {k: torch.eye(w.shape[-1])[[prompt]] for k, w in one.weights.items()}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _plain(value: Any) -> Any:
    """Round floats, and turn NaN into None, throughout nested values."""
    if isinstance(value, dict):
        return {key: _plain(of_key) for key, of_key in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 5)
    return value

"""Degradations that a setting's training never showed: its own ones mixed, and others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal

from harness.config.files import load_setting, shipped_setting_names
from harness.config.settings import Task
from harness.data.synthetic.degradations.composed import Composed
from harness.data.synthetic.degradations.noise import Noise

Kind = Literal["mixed", "untrained"]

_NOISE_SIGMAS_255 = (10, 35, 75)

_BROAD_SETTINGS = ("foundir", "union")
"""Settings that repeat the kinds of others at strengths of their own; they are not asked."""


def ood_tasks(tasks: Sequence[Task]) -> Iterator[tuple[Kind, Task]]:
    """Yield ("mixed" or "untrained", task) for a setting of ``tasks``.

    Mixed: two families after one another, the one listed later first, so that noise comes last.
    Untrained: noise between and beyond the trained levels, where levels are fixed, and one task of
    every kind of degradation that other settings have and this one has not.
    """
    for task in _mixed_tasks(tasks):
        yield "mixed", task
    for task in _noise_tasks(tasks):
        yield "untrained", task
    for task in _tasks_of_other_settings(tasks):
        yield "untrained", task


def _mixed_tasks(tasks: Sequence[Task]) -> Iterator[Task]:
    first_of_family: dict[str, Task] = {}
    for task in tasks:
        if task.degradation.kind != "composed":
            first_of_family.setdefault(task.family, task)
    for first, second in combinations(first_of_family.values(), 2):
        parts = (second.degradation, first.degradation)
        composed = Composed.model_validate({"kind": "composed", "parts": parts})
        yield _task(f"{second.name}+{first.name}", composed)


def _noise_tasks(tasks: Sequence[Task]) -> Iterator[Task]:
    trained = set()
    for task in tasks:
        if isinstance(task.degradation, Noise):
            lowest, highest = task.degradation.sigma_255
            if lowest == highest:
                trained.add(lowest)
    if not trained:
        return
    for sigma in _NOISE_SIGMAS_255:
        if sigma not in trained:
            noise = Noise(kind="noise", sigma_255=(sigma, sigma))
            yield _task(f"denoise{sigma}", noise)


def _tasks_of_other_settings(tasks: Sequence[Task]) -> Iterator[Task]:
    kinds: set[str] = set()
    for task in tasks:
        kinds |= _kinds(task)
    for name in shipped_setting_names():
        if name in _BROAD_SETTINGS:
            continue
        for task in load_setting(name).tasks:
            if task.degradation.kind != "composed" and not kinds & _kinds(task):
                kinds |= _kinds(task)
                yield _task(task.name, task.degradation)


def _kinds(task: Task) -> set[str]:
    if isinstance(task.degradation, Composed):
        return {part.kind for part in task.degradation.parts}
    return {task.degradation.kind}


def _task(name: str, degradation: object) -> Task:
    content = {"name": name, "family": name, "degradation": degradation, "share": 1.0}
    return Task.model_validate(content)

"""Degradations that a setting's training never showed: its own ones mixed, and others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from harness.config.files import load_setting, setting_names
from harness.config.settings import Task
from harness.data.synthetic.degradations.composed import Composed
from harness.data.synthetic.degradations.noise import Noise

_NOISE_SIGMAS_255 = (10, 35, 75)


def elsewhere_tasks(tasks: Sequence[Task]) -> Iterator[tuple[str, Task]]:
    """Yield ("mixed" or "unseen", task) for a setting of ``tasks``.

    Mixed: two families after one another, the one listed later first, so that noise comes last.
    Unseen: noise between and beyond the trained levels, where levels are fixed, and one task of
    every kind of degradation that other settings have and this one has not.
    """
    single = [task for task in tasks if task.degradation.kind != "composed"]
    leading = {task.family: task for task in reversed(single)}
    ordered = [task for task in single if leading[task.family] is task]
    for first, second in combinations(ordered, 2):
        parts = (second.degradation, first.degradation)
        composed = Composed.model_validate({"kind": "composed", "parts": parts})
        yield "mixed", _task(f"{second.name}+{first.name}", composed)
    fixed = {
        task.degradation.sigma_255[0]
        for task in tasks
        if isinstance(task.degradation, Noise)
        and task.degradation.sigma_255[0] == task.degradation.sigma_255[1]
    }
    if fixed:
        for sigma in _NOISE_SIGMAS_255:
            if sigma not in fixed:
                noise = Noise(kind="noise", sigma_255=(sigma, sigma))
                yield "unseen", _task(f"denoise{sigma}", noise)
    kinds = {kind for task in tasks for kind in _kinds(task)}
    for name in setting_names():
        for task in load_setting(name).tasks:
            if task.degradation.kind != "composed" and not kinds & _kinds(task):
                kinds |= _kinds(task)
                yield "unseen", _task(task.name, task.degradation)


def _kinds(task: Task) -> set[str]:
    if isinstance(task.degradation, Composed):
        return {part.kind for part in task.degradation.parts}
    return {task.degradation.kind}


def _task(name: str, degradation: object) -> Task:
    return Task.model_validate(
        {"name": name, "family": name, "degradation": degradation, "share": 1.0}
    )

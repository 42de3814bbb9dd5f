"""The stages of a training: a method's own, and sequential learning of tasks.

Sequential learning follows MiOIR (Kong et al., ECCV 2024, repository Xiangtaokong/MiOIR,
options and run_sh): one kind of degradation is added per stage, earlier ones are kept, each
stage starts optimiser and learning rate anew, and the last one, with all tasks, has four tenths of
all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.errors import UsageError
from harness.config.recipes import Optimisation
from harness.config.run_specs import Stage
from harness.config.settings import Setting
from harness.registry import MethodChoice

_ALL_TASKS_SHARE = 0.4
"""Share of the steps in which MiOIR trains all tasks at last: 400k of 1M."""


@dataclass(frozen=True)
class _Part:
    """A stage before its steps are known: its name, its share of them, its tasks."""

    name: str
    share: float
    tasks: tuple[str, ...]


def plan_stages(
    method: MethodChoice, setting: Setting, train: Optimisation, tasks: tuple[str, ...]
) -> tuple[Stage, ...]:
    """Return the stages in which ``method`` is trained on the named tasks of ``setting``.

    A method's own stages see all tasks; with sequential learning its last one is cut into
    stages with one family of tasks more each.

    Raises:
        UsageError: there are fewer steps than stages, or nothing to learn in sequence.
    """
    parts = [_Part(stage.name, stage.share, tasks) for stage in method.spec.stages]
    if not parts:
        parts = [_Part("", 1.0, tasks)]
    if method.sequential:
        parts += _sequence(method.id, setting, parts.pop())
    if train.steps < len(parts):
        raise UsageError(
            f"{method.id} is trained in {len(parts)} stages, and the recipe has {train.steps} steps"
        )
    return tuple(_with_steps(parts, train))


def _with_steps(parts: Sequence[_Part], train: Optimisation) -> list[Stage]:
    """Give every part its steps, and its share of warm-up and decay."""
    stages: list[Stage] = []
    begun = 0
    for number, part in enumerate(parts):
        # Ends are rounded, not lengths, so that all steps are used; each stage has one.
        reached_share = sum(earlier.share for earlier in parts[: number + 1])
        following = len(parts) - number - 1
        end = min(max(round(train.steps * reached_share), begun + 1), train.steps - following)
        share = (end - begun) / train.steps
        stages.append(
            Stage(
                name=part.name,
                steps=end - begun,
                warmup_steps=round(train.warmup_steps * share),
                decay_steps=max(1, round(train.decay_steps * share)),
                tasks=part.tasks,
            )
        )
        begun = end
    return stages


def _sequence(method: str, setting: Setting, last: _Part) -> list[_Part]:
    """Cut the last part of a training into stages with one family of tasks more each."""
    by_family = _tasks_by_family(setting, last.tasks)
    if len(by_family) < 2:
        raise UsageError(
            f"{method}: setting {setting.name} has one kind of degradation, and nothing to learn "
            "in sequence"
        )
    each = (1 - _ALL_TASKS_SHARE) / (len(by_family) - 1)
    parts = []
    known: set[str] = set()
    for number, tasks in enumerate(by_family):
        known |= set(tasks)
        share = _ALL_TASKS_SHARE if number == len(by_family) - 1 else each
        in_order = tuple(name for name in last.tasks if name in known)
        parts.append(_Part(last.name, last.share * share, in_order))
    return parts


def _tasks_by_family(setting: Setting, names: tuple[str, ...]) -> list[list[str]]:
    """Return the named tasks of each family, families in the order of sequential learning."""
    groups = []
    for family in setting.families:
        group = []
        for task in setting.tasks:
            if task.family == family and task.name in names:
                group.append(task.name)
        if group:
            groups.append(group)
    return groups

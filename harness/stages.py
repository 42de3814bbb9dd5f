"""The stages of a training: a method's own, and sequential learning of tasks.

Sequential learning follows MiOIR (Kong et al., ECCV 2024, repository Xiangtaokong/MiOIR,
options and run_sh): one kind of degradation is added per stage, earlier ones are kept, each
stage starts optimiser and learning rate anew, and the last one, with all tasks, has four tenths of
all steps.
"""

from __future__ import annotations

from harness.errors import UsageError
from harness.method import StageShare
from harness.registry import MethodChoice
from harness.spec import Optimisation, Setting, Stage

_ALL_TASKS_SHARE = 0.4
"""Share of the steps in which MiOIR trains all tasks at last: 400k of 1M."""


def plan_stages(
    choice: MethodChoice, setting: Setting, train: Optimisation, names: tuple[str, ...]
) -> tuple[Stage, ...]:
    """Return the stages in which ``choice`` is trained on the tasks ``names`` of ``setting``.

    A method's own stages see all tasks; with sequential learning its last one is cut into
    stages with one family of tasks more each.

    Raises:
        UsageError: there are fewer steps than stages, or nothing to learn in sequence.
    """
    own = choice.card.stages or (StageShare("", 1.0),)
    parts = [(stage.name, stage.share, names) for stage in own]
    if choice.sequential:
        name, share, _ = parts.pop()
        sequence = _sequence(choice.id, setting, names)
        parts += [(name, share * of_last, tasks) for of_last, tasks in sequence]
    if train.steps < len(parts):
        raise UsageError(
            f"{choice.id} is trained in {len(parts)} stages, and the recipe has {train.steps} steps"
        )
    stages, begun = [], 0
    for number, (name, _, tasks) in enumerate(parts):
        # Ends are rounded, not lengths, so that all steps are given out; each stage has one.
        reached = train.steps * sum(share for _, share, _ in parts[: number + 1])
        end = min(max(round(reached), begun + 1), train.steps - (len(parts) - number - 1))
        part = (end - begun) / train.steps
        stages.append(
            Stage(
                name=name,
                steps=end - begun,
                warmup_steps=round(train.warmup_steps * part),
                horizon_steps=max(1, round(train.horizon_steps * part)),
                tasks=tasks,
            )
        )
        begun = end
    return tuple(stages)


def _sequence(
    method: str, setting: Setting, names: tuple[str, ...]
) -> list[tuple[float, tuple[str, ...]]]:
    """Return the share of the steps and the tasks of each stage of sequential learning."""
    trained = [task for task in setting.tasks if task.name in names]
    families = [f for f in setting.families if any(task.family == f for task in trained)]
    if len(families) < 2:
        raise UsageError(
            f"{method}: setting {setting.name} has one kind of degradation, and nothing to learn "
            "in sequence"
        )
    each = (1 - _ALL_TASKS_SHARE) / (len(families) - 1)
    shares = [each] * (len(families) - 1) + [_ALL_TASKS_SHARE]
    return [
        (share, tuple(t.name for t in trained if t.family in families[: number + 1]))
        for number, share in enumerate(shares)
    ]

"""How often a teacher router tells degradations apart, over random starts.

python -m benchmarks.teacher_starts --recipe examples/recipes/curve.yaml \
    --clean-images RainTrainL/norain --starts 64

No network is trained: the teacher sees degraded minus clean, and its load-balancing loss is all
that trains it. Its crops are those of the training of seed 0, its optimiser and rates those of the
recipe; a start is a draw of its weights. Printed for raw and for centred inputs: the normalised
mutual information of expert and task on the last crops, with single tasks and with families, mean
and worst over the starts, and the share of starts below 0.95 with families, which join two of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import harness
from harness.config.recipes import Optimisation
from harness.evaluation.probes.definitions import normalised_mutual_information
from harness.execution.process import prepare_process
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.registry import parse_options
from harness.training.gathered_state import settle
from harness.training.schedule import learning_rate
from methods.prompting.options import PromptOptions
from methods.prompting.teacher import TeacherRouter, seen_of

_JUDGED_STEPS = 300
_APART = 0.95


def crops_of(plan: Plan, run: Run, steps: int) -> tuple[list[Tensor], list[str]]:
    """Return what a teacher sees at each step, (batch, inputs), and the tasks of all samples."""
    stream = plan.source.stream(run.train, 1)
    seen: list[Tensor] = []
    tasks: list[str] = []
    for step in range(steps):
        samples = stream.batch(step)
        images = (torch.from_numpy(samples.degraded), torch.from_numpy(samples.clean))
        seen.append(seen_of(*images))
        tasks += samples.tasks
    return seen, tasks


def trained(
    options: PromptOptions, optimisation: Optimisation, seen: Sequence[Tensor], start: int
) -> TeacherRouter:
    """Return a teacher router that was trained alone."""
    torch.manual_seed(start)
    router = TeacherRouter(options).train()
    adamw = torch.optim.AdamW(
        router.parameters(),
        betas=optimisation.betas,
        weight_decay=optimisation.weight_decay,
    )
    for step, inputs in enumerate(seen):
        for group in adamw.param_groups:
            group["lr"] = learning_rate(optimisation, step)
        loss = router.weigh(inputs).load_balancing
        assert loss is not None
        adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        settle(router)
        adamw.step()
    return router.eval()


def main() -> None:
    """Train teachers from many starts and print how well they tell degradations apart."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recipe", default="examples/recipes/curve.yaml")
    parser.add_argument("--clean-images", type=Path, required=True)
    parser.add_argument("--method", default="cpl-guided")
    parser.add_argument("--starts", type=int, default=64)
    arguments = parser.parse_args()
    prepare_process(1)
    folders = {"train": str(arguments.clean_images)}
    plan = harness.plan(
        methods=[arguments.method], recipe=arguments.recipe, clean_images=folders, seeds=[0]
    )
    run, optimisation = plan.runs[-1], plan.recipe.train
    seen, tasks = crops_of(plan, run, optimisation.steps)
    judged = torch.cat(list(seen[-_JUDGED_STEPS:]))
    tasks = tasks[-len(judged) :]
    family_of = {task.name: task.family for task in plan.setting.tasks}
    families = [family_of[task] for task in tasks]
    options = parse_options(run.method.spec, run.train.options)
    for inputs in ("raw", "centred"):
        by_task, by_family = [], []
        for start in range(arguments.starts):
            router = trained(replace(options, teacher_inputs=inputs), optimisation, seen, start)
            experts = router.weigh(judged).weights.argmax(dim=-1).tolist()
            by_task.append(normalised_mutual_information(experts, tasks))
            by_family.append(normalised_mutual_information(experts, families))
        joined = sum(value < _APART for value in by_family) / len(by_family)
        print(
            f"{inputs}: families {_mean(by_family):.3f}, worst {min(by_family):.3f}, "
            f"below {_APART} {joined:.0%}; tasks {_mean(by_task):.3f}, worst {min(by_task):.3f}",
            flush=True,
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()

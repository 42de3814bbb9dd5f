"""What prompts do: which expert each task is sent to, and what a wrong prompt costs.

Both are measured on the centre of the test photographs, one draw each. The prompt of a task is
what the method itself gives to the same photograph under that task's degradation; a wrong
prompt is that of a task of another family (another noise level is not wrong enough).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.config.run_specs import TestSet
from harness.config.settings import Column
from harness.data.sources.pairs import make_pair
from harness.evaluation.metrics.registry import psnr_rgb
from harness.evaluation.probes.definitions import collapsed, prompt_swap_gap_db
from harness.method import Prompted

_SIDE_PX = 128


@dataclass(frozen=True)
class PromptProbe:
    """Result of the probes of one trained method.

    Attributes:
        tasks: names in card order.
        usage: level -> task -> mean weight of each expert, normalised to sum to one.
        psnr_db: image of the row's task under the prompt of the column's task, dB, mean over
            photographs.
        wrong_prompt_cost_db: mean over tasks of (own prompt - mean over other families'), dB.
        collapsed: all tasks are served by one and the same expert at every level.
    """

    tasks: tuple[str, ...]
    usage: dict[str, dict[str, list[float]]]
    psnr_db: list[list[float]]
    prompt_swap_gap_db: float
    collapsed: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain values for ``probes.json``."""
        return asdict(self)


def summarise_prompts(
    method: Prompted, test: TestSet, cards: Path, needs_task_labels: bool, device: torch.device
) -> PromptProbe:
    """Probe a prompted method on the photographs of ``test``."""
    tasks = [task.name for task in test.tasks]
    # A task that is trained and not shown is probed too, keyed by its own name.
    shown = {c.task: c for c in test.columns}
    columns = {task: shown.get(task) or _hidden_column(task) for task in tasks}
    matrices, weights = [], []
    for photograph in test.photographs:
        pairs = [
            make_pair(
                cards,
                "test",
                columns[task],
                test.tasks,
                f"{photograph.name}#0",
                test.preprocessing,
                _SIDE_PX,
            )
            for task in tasks
        ]
        degraded = torch.stack(
            [torch.from_numpy(np.ascontiguousarray(p.degraded.transpose(2, 0, 1))) for p in pairs]
        ).to(device)
        with torch.no_grad():
            features = method.encode(degraded)
            named = tuple(tasks) if needs_task_labels else None
            own = method.decode(features, method.choose(degraded, named))
            routing = {level: r.weights.float() for level, r in own.routing.items()}
            weights.append({level: w.cpu() for level, w in routing.items()})
            matrix = np.empty((len(tasks), len(tasks)))
            for column in range(len(tasks)):
                forced = {k: w[column].expand_as(w) for k, w in routing.items()}
                restored = method.decode(features, forced).restored
                matrix[:, column] = _psnrs(restored, [p.clean for p in pairs])
        matrices.append(matrix)
    mean = np.mean(matrices, axis=0)
    families = [task.family for task in test.tasks]
    usage = _usage(weights, tasks)
    return PromptProbe(
        tasks=tuple(tasks),
        usage=usage,
        psnr_db=mean.tolist(),
        prompt_swap_gap_db=prompt_swap_gap_db(mean, families),
        collapsed=collapsed(usage),
    )


def _hidden_column(task: str) -> Column:
    return Column(name=task, task=task, label=task, latex_label=task, group="", draws=1)


def _psnrs(restored: Tensor, cleans: Sequence[Any]) -> list[float]:
    images = restored.float().clamp(0, 1).cpu().numpy().transpose(0, 2, 3, 1)
    return [psnr_rgb(image, clean) for image, clean in zip(images, cleans, strict=True)]


def _usage(weights: Sequence[dict[str, Tensor]], tasks: Sequence[str]) -> Any:
    usage: dict[str, dict[str, list[float]]] = {}
    for level in weights[0]:
        mean = torch.stack([w[level] for w in weights]).mean(dim=0)
        shares = mean / mean.sum(dim=-1, keepdim=True)
        usage[level] = {
            task: [round(v, 4) for v in row.tolist()]
            for task, row in zip(tasks, shares, strict=True)
        }
    return usage

"""What prompts do: the expert load of each task, and the gap that a negative prompt causes.

Both are measured on the centre of clean test images that are degraded here, one draw each. The
prompt of a task is the one that the method itself selects for the same image under that task's
degradation; a negative is the prompt of a task of another family (another noise level is no
negative).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.config.run_specs import TestSet
from harness.data.sources.protocol import TestPairs
from harness.data.sources.samples import Pair
from harness.evaluation.metrics.psnr import psnr_rgb
from harness.evaluation.probes.definitions import collapsed, prompt_swap_gap_db
from harness.evaluation.probes.observe import Observer
from harness.evaluation.probes.pairs import clean_images, summary_pair
from harness.evaluation.restore import clamped

_SIDE_PX = 128

Weights = Mapping[str, Tensor]
"""Per level, prompt weights (tasks, prompts)."""

ExpertLoad = dict[str, dict[str, list[float]]]
"""Level -> task -> mean weight of each expert, normalised to sum to one."""


@dataclass(frozen=True)
class PromptSummary:
    """Result of the probes of one trained method.

    Attributes:
        tasks: names in the order of the setting.
        expert_load: level -> task -> mean weight of each expert, normalised to sum to one.
        psnr_db: image of the row's task under the prompt of the column's task, dB, mean over
            images.
        prompt_swap_gap_db: mean over tasks of (the task's prompt - mean over negatives), dB.
        collapsed: all tasks are served by one and the same expert at every level.
    """

    tasks: tuple[str, ...]
    expert_load: ExpertLoad
    psnr_db: list[list[float]]
    prompt_swap_gap_db: float
    collapsed: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain values for ``prompt_summary.json``."""
        return asdict(self)


def summarise_prompts(
    observer: Observer,
    source: TestPairs,
    test: TestSet,
    check: Callable[[], None] = lambda: None,
) -> PromptSummary:
    """Summarise the prompts of a method on the clean images of ``test``.

    Args:
        observer: the method.
        source: makes the pairs of ``test``.
        test: its photographs, or the first images of its folder, are degraded by each task.
        check: called before each image; may raise to stop.
    """
    tasks = tuple(task.name for task in test.tasks)
    families = [task.family for task in test.tasks]
    matrices, weights = [], []
    for image in clean_images(test):
        check()
        pairs = []
        for task in test.tasks:
            pairs.append(summary_pair(source, test, task, image, _SIDE_PX))
        matrix, selected = _swap_prompts(observer, pairs, tasks)
        matrices.append(matrix)
        weights.append(selected)
    mean = np.mean(matrices, axis=0)
    expert_load = _expert_load(weights, tasks)
    return PromptSummary(
        tasks=tasks,
        expert_load=expert_load,
        psnr_db=mean.tolist(),
        prompt_swap_gap_db=prompt_swap_gap_db(mean, families),
        collapsed=collapsed(expert_load),
    )


@torch.no_grad()
def _swap_prompts(
    observer: Observer, pairs: Sequence[Pair], tasks: tuple[str, ...]
) -> tuple[NDArray[np.float64], Weights]:
    """Restore one image under the degradation of each task and the prompts of each task.

    Returns:
        PSNR in dB of the row's pair under the prompts of the column's pair, and the weights
        under the prompts that the method selects.
    """
    degraded = _stacked(pairs).to(observer.device)
    method = observer.method
    features = method.encode(degraded)
    forced = method.choose(degraded, tasks if observer.needs_task_labels else None)
    selected = method.decode(features, forced)
    weights, on_cpu = {}, {}
    for level, routing in selected.routing.items():
        weights[level] = routing.weights.float()
        on_cpu[level] = weights[level].cpu()
    matrix = np.empty((len(pairs), len(pairs)))
    for column in range(len(pairs)):
        override = {level: one[column].expand_as(one) for level, one in weights.items()}
        restored = method.decode(features, override).restored
        matrix[:, column] = _psnrs_db(restored, pairs)
    return matrix, on_cpu


def _stacked(pairs: Sequence[Pair]) -> Tensor:
    """Return the degraded images of pairs as (N, 3, H, W)."""
    planes = []
    for pair in pairs:
        planes.append(torch.from_numpy(np.ascontiguousarray(pair.degraded.transpose(2, 0, 1))))
    return torch.stack(planes)


def _psnrs_db(restored: Tensor, pairs: Sequence[Pair]) -> list[float]:
    images = clamped(restored).cpu().numpy().transpose(0, 2, 3, 1)
    return [psnr_rgb(image, pair.clean) for image, pair in zip(images, pairs, strict=True)]


def _expert_load(weights: Sequence[Weights], tasks: Sequence[str]) -> ExpertLoad:
    """Return the mean over images, to four digits."""
    load: ExpertLoad = {}
    for level in weights[0]:
        mean = torch.stack([one[level] for one in weights]).mean(dim=0)
        shares = mean / mean.sum(dim=-1, keepdim=True)
        load[level] = {}
        for task, row in zip(tasks, shares, strict=True):
            load[level][task] = [round(share, 4) for share in row.tolist()]
    return load

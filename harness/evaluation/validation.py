"""Validation during training: on validation images, never on test images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from harness.config.ranks import ALONE, Ranks
from harness.config.settings import Task
from harness.data.sources.protocol import ValidationPairs
from harness.evaluation.metrics.psnr import psnr_rgb
from harness.evaluation.restore import clamped, restore_batch
from harness.method import Method, TaskClassifier


@dataclass(frozen=True)
class Outcome:
    """The outcome of one validation.

    Attributes:
        score: mean over tasks; higher is better. NaN or infinite where a task's value is.
        per_task: PSNR in dB, or the accuracy of a classifier in [0, 1].
        text: the score in a few words.
    """

    score: float
    per_task: Mapping[str, float]
    text: str


@dataclass(frozen=True)
class Validation:
    """Scores a restorer by PSNR per task, a classifier by accuracy per task.

    Attributes:
        source: makes the pairs.
        outputs: the tasks in the order of a classifier's outputs; not all need be trained.
        needs_task_labels: whether the true task is an input of the method.
        ranks: the processes that share out the pairs; all return the same outcome.
    """

    source: ValidationPairs
    outputs: tuple[str, ...]
    needs_task_labels: bool
    ranks: Ranks = ALONE

    def score(self, method: Method, device: torch.device) -> Outcome:
        """Score ``method``, which is put into evaluation mode."""
        method.eval()
        is_classifier = isinstance(method, TaskClassifier)
        per_task = {}
        for task in self.source.tasks:
            if isinstance(method, TaskClassifier):
                per_task[task.name] = self._accuracy(method, task, device)
            else:
                per_task[task.name] = self._psnr_db(method, task, device)
        mean = float(np.mean(list(per_task.values())))
        text = f"accuracy {mean:.3f}" if is_classifier else f"validation {mean:.2f} dB"
        broken = [name for name, value in per_task.items() if not math.isfinite(value)]
        if broken:
            text = f"validation not finite on {', '.join(broken)}"
        return Outcome(mean, per_task, text)

    def _psnr_db(self, method: Method, task: Task, device: torch.device) -> float:
        labels = (task.name,) if self.needs_task_labels else None
        values = []
        numbered = enumerate(self.source.pairs(task))
        for number, (degraded, clean) in islice(numbered, self.ranks.rank, None, self.ranks.count):
            restored = restore_batch(method, torch.from_numpy(degraded).to(device), labels)
            output = clamped(restored)[0].cpu().numpy()
            values.append((number, psnr_rgb(output, clean[0])))
        return float(np.mean(self.ranks.merged(values)))

    def _accuracy(self, method: TaskClassifier, task: Task, device: torch.device) -> float:
        crops = torch.from_numpy(self.source.crops(task)).to(device)
        with torch.no_grad():
            logits = method.classify(crops)
        if not torch.isfinite(logits).all():
            return math.nan
        predicted = logits.argmax(dim=-1)
        return float((predicted == self.outputs.index(task.name)).float().mean())

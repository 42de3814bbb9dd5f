"""Validation during training: on validation photographs, never on test ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from harness.data.sources.protocol import ValidationPairs
from harness.evaluation.metrics.registry import psnr_rgb
from harness.method import Method, TaskClassifier


@dataclass(frozen=True)
class Outcome:
    """``score`` (higher is better), one number per task, and a few words for a person."""

    score: float
    per_task: Mapping[str, float]
    text: str


@dataclass(frozen=True)
class Validation:
    """Scores a restorer by PSNR per task, a classifier by accuracy per task.

    ``outputs`` are the tasks in the order of a classifier's outputs; not all need be trained.
    """

    source: ValidationPairs
    outputs: tuple[str, ...]
    needs_task_labels: bool

    def score(self, method: Method, device: torch.device) -> Outcome:
        """Score ``method`` in evaluation mode."""
        method.eval()
        if isinstance(method, TaskClassifier):
            accuracy = self._accuracy(method, device)
            mean = float(np.mean(list(accuracy.values())))
            return Outcome(mean, accuracy, f"accuracy {mean:.3f}")
        psnr_db = self._psnr_db(method, device)
        mean = float(np.mean(list(psnr_db.values())))
        return Outcome(mean, psnr_db, f"validation {mean:.2f} dB")

    def _psnr_db(self, method: Method, device: torch.device) -> dict[str, float]:
        result = {}
        for task in self.source.tasks:
            told = (task.name,) if self.needs_task_labels else None
            values = []
            for degraded, clean in self.source.pairs(task):
                with torch.no_grad():
                    restored = method.restore(torch.from_numpy(degraded).to(device), told)
                output = restored[0].float().clamp(0, 1).cpu().numpy()
                values.append(psnr_rgb(output, clean[0]))
            result[task.name] = float(np.mean(values))
        return result

    def _accuracy(self, method: TaskClassifier, device: torch.device) -> dict[str, float]:
        result = {}
        for task in self.source.tasks:
            crops = torch.from_numpy(self.source.crops(task)).to(device)
            with torch.no_grad():
                decided = method.classify(crops).argmax(dim=-1)
            number = self.outputs.index(task.name)
            result[task.name] = float((decided == number).float().mean())
        return result

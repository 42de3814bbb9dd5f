"""Validation during training: on validation photographs, never on test ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from harness.data.degradations import degrade
from harness.data.keys import generator
from harness.data.pairs import centre_crop
from harness.data.photographs import load
from harness.evaluation.metrics import psnr_rgb
from harness.method import Method, TaskClassifier
from harness.spec import TrainingData

_SIDE_PX = 128
_CROPS = 24
_CROP_PX = 64


@dataclass(frozen=True)
class Outcome:
    """``score`` (higher is better), one number per task, and a few words for a person."""

    score: float
    per_task: Mapping[str, float]
    text: str


@dataclass(frozen=True)
class Validation:
    """Scores a restorer by PSNR per task, a classifier by accuracy per task.

    Restorers: the centre 128 pixels of each validation photograph. Classifiers: 24 crops of 64
    pixels per task. Degradations are keyed, so all methods see the same ones.
    """

    cards: Path
    data: TrainingData
    given_true_task: bool

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
        rule = self.data.preparation
        result = {}
        for task in self.data.tasks:
            values = []
            for photograph in self.data.validation:
                image = load(self.cards, photograph.name)
                clean = _unit(centre_crop(image, rule.crop_multiple, _SIDE_PX))
                rng = generator("validation", photograph.name, task.name)
                degraded = degrade(clean, task.degradation, [rng], rule.noise_rounding)
                with torch.no_grad():
                    restored = method.restore(
                        torch.from_numpy(degraded).to(device),
                        (task.name,) if self.given_true_task else None,
                    )
                output = restored[0].float().clamp(0, 1).cpu().numpy()
                values.append(psnr_rgb(output, clean[0]))
            result[task.name] = float(np.mean(values))
        return result

    def _accuracy(self, method: TaskClassifier, device: torch.device) -> dict[str, float]:
        result = {}
        for number, task in enumerate(self.data.tasks):
            rngs = [generator("validation-crop", task.name, k) for k in range(_CROPS)]
            clean = np.concatenate([self._crop(rng) for rng in rngs])
            degraded = degrade(clean, task.degradation, rngs, self.data.preparation.noise_rounding)
            with torch.no_grad():
                decided = method.classify(torch.from_numpy(degraded).to(device)).argmax(dim=-1)
            result[task.name] = float((decided == number).float().mean())
        return result

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        chosen = self.data.validation[int(rng.integers(len(self.data.validation)))]
        image = load(self.cards, chosen.name)
        top, left = (int(rng.integers(n - _CROP_PX + 1)) for n in image.shape[:2])
        return _unit(image[top : top + _CROP_PX, left : left + _CROP_PX])


def _unit(image: np.ndarray) -> np.ndarray:
    """Map (H, W, 3) uint8 to (1, 3, H, W) float32 in [0, 1]."""
    scaled = image.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])

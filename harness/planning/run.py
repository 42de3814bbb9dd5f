"""A run: one training and its scoring, or pretrained weights and theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec, TrainSpec
from harness.registry import MethodChoice, WeightsFile
from harness.store.run_folder import RunFolder


@dataclass(frozen=True)
class Run:
    """One training and its scoring, or pretrained weights and theirs.

    Attributes:
        method: the method as asked for.
        train: what determines the weights.
        weights_id: the hash of ``train``.
        score: what is scored under which protocol; None for auxiliary runs.
        requires: runs whose weights this one builds on.
        folder: where it is stored.
        checkpoint: where the weights come from, if they are not trained here.
        initial: file of the weights that the training starts from; None draws them by the seed.
    """

    method: MethodChoice
    train: TrainSpec
    weights_id: str
    score: ScoreSpec | None
    requires: tuple[Run, ...]
    folder: RunFolder
    checkpoint: WeightsFile | None = None
    initial: Path | None = None

    @property
    def id(self) -> str:
        """The run's name in a plan and on disk: method, seed and weights id."""
        return self.folder.path.name

    @property
    def label(self) -> str:
        """What messages call the run."""
        return f"{self.method.id} seed {self.train.seed}"

    @property
    def is_seeded(self) -> bool:
        """Whether it has a seed of its own; the input and weights from a file count under all."""
        return self.method.spec.trained and self.checkpoint is None

    @property
    def score_id(self) -> str | None:
        """The hash of ``score``, which its results carry; None for auxiliary runs."""
        return None if self.score is None else spec_hash(self.score)

"""Training batches in the order of their steps, made ahead by loader workers if there are any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from harness.data.sources.protocol import TrainingStream
from harness.data.sources.samples import Samples


class _Steps(Dataset[Samples]):
    """The batches of a stream from step ``first`` on, by index."""

    def __init__(self, stream: TrainingStream, first: int) -> None:
        self.stream, self.first = stream, first

    def __len__(self) -> int:
        return self.stream.train.steps - self.first

    def __getitem__(self, index: int) -> Samples:
        return self.stream.batch(self.first + index)


def batches(stream: TrainingStream, first: int, loader_workers: int) -> Iterator[Samples]:
    """Yield batches from step ``first`` on, in order, whatever the number of workers."""
    loader = DataLoader(
        _Steps(stream, first), batch_size=None, num_workers=loader_workers, collate_fn=_unchanged
    )
    yield from loader


def _unchanged(samples: Any) -> Any:
    return samples

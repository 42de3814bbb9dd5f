"""Training samples as tensors on the device that computes.

A GPU gets them from pinned memory, on a stream of its own, while it computes the step before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.data.images.arrays import Float
from harness.data.sources.samples import Samples


@dataclass(frozen=True)
class PlacedSamples:
    """A batch of training samples on a device; see :class:`Samples` for what each holds."""

    degraded: Tensor
    clean: Tensor
    tasks: tuple[str, ...]
    step: int
    second_view: Tensor | None = None
    versions: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """Return all tensors."""
        found = (self.degraded, self.clean, self.second_view, self.versions)
        return [tensor for tensor in found if tensor is not None]


def on_device(samples: Samples | PlacedSamples, device: torch.device) -> PlacedSamples:
    """Return samples as tensors on ``device``; on a CPU they share the memory of the arrays."""
    if isinstance(samples, PlacedSamples):
        return samples
    return PlacedSamples(
        degraded=_tensor(samples.degraded, device),
        clean=_tensor(samples.clean, device),
        tasks=samples.tasks,
        step=samples.step,
        second_view=None if samples.second_view is None else _tensor(samples.second_view, device),
        versions=None if samples.versions is None else _tensor(samples.versions, device),
    )


def placed(made: Iterator[Samples], device: torch.device) -> Generator[PlacedSamples, None, None]:
    """Yield batches on ``device``, each one's copy begun as soon as the batch is there.

    A training that waits for nothing asks for the next batch while the device still computes, so
    the copy and the computation go on side by side.
    """
    if device.type != "cuda":
        for samples in made:
            yield on_device(samples, device)
        return
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for samples in made:
        with torch.cuda.stream(copying):
            moved = on_device(samples, device)
        computing = torch.cuda.current_stream(device)
        computing.wait_stream(copying)
        for tensor in moved.tensors():
            # Its memory belongs to the other stream, and must not be used anew too early.
            tensor.record_stream(computing)
        yield moved


def _tensor(values: Float, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(values)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)

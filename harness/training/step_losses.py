"""What steps come to: kept on the device while it computes, and read late.

To read a number from a GPU waits until all that was asked of it before is computed. So a step
keeps its losses and the norm of its gradient where they are, and one transfer reads those of many
steps. Whether they are finite is known then, and of which step it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.config.ranks import Ranks


class NotFiniteError(Exception):
    """A loss or gradient is not finite.

    Attributes:
        step: of which step, from 0.
        what: ``loss`` or ``gradient``.
        terms: the loss terms, to be shown.
    """

    def __init__(self, step: int, what: str, terms: str) -> None:
        super().__init__(f"the {what} is not finite ({terms})")
        self.step, self.what, self.terms = step, what, terms


@dataclass(frozen=True)
class PartLosses:
    """The losses of one micro-batch, on the device.

    Attributes:
        names: of the loss terms.
        values: the total, divided by the number of micro-batches, and then each term, undivided.
    """

    names: tuple[str, ...]
    values: Tensor

    @classmethod
    def of(cls, loss: Tensor, terms: Mapping[str, Tensor]) -> PartLosses:
        """Return those of a micro-batch; nothing is read."""
        scalars = [loss.detach().float(), *(term.detach().float() for term in terms.values())]
        return cls(tuple(terms), torch.stack(scalars))


@dataclass(frozen=True)
class StepLosses:
    """What one step came to, as it was read.

    Attributes:
        step: number of the step, from 0.
        total: the total loss, mean over micro-batches.
        terms: its terms by name, means over micro-batches.
    """

    step: int
    total: float
    terms: Mapping[str, float]


@dataclass(frozen=True)
class _Kept:
    """A step that was not read yet: its micro-batches, and the norm of its gradient."""

    step: int
    parts: Sequence[PartLosses]
    norm: Tensor


@dataclass(frozen=True)
class _Read:
    """The same as plain numbers; each micro-batch has a total, and terms by name."""

    parts: list[tuple[float, dict[str, float]]]
    norm: float


@dataclass
class _Sum:
    """Loss terms of the micro-batches of a step so far."""

    step: int
    total: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)

    def add(self, total: float, terms: Mapping[str, float]) -> None:
        for name, term in terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + term
        self.total += total
        self.check_finite(self.total, "loss")

    def check_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            text = ", ".join(f"{name} {term:g}" for name, term in self.terms.items())
            raise NotFiniteError(self.step, what, text)


class LateLosses:
    """The losses of steps that were taken and not read yet.

    Args:
        parts: micro-batches of a step, by which loss terms are divided.
        ranks: the processes that share them out; each keeps those of its own.
    """

    def __init__(self, parts: int, ranks: Ranks) -> None:
        self.parts, self.ranks = parts, ranks
        self.kept: list[_Kept] = []

    def keep(self, step: int, parts: Sequence[PartLosses], norm: Tensor) -> None:
        """Keep what step ``step`` came to in this process; nothing is read."""
        self.kept.append(_Kept(step, parts, norm.detach().float()))

    def read(self) -> list[StepLosses]:
        """Return what the steps since the last call came to, in their order.

        Of several processes, all call it after the same step.

        Raises:
            NotFiniteError: the loss or the gradient of a step, the first one.
        """
        kept = self.kept
        if not kept:
            return []
        own = self._read(kept)
        of_ranks = self.ranks.exchange(own)
        found = []
        for number, step in enumerate(kept):
            losses = _Sum(step.step)
            for of_rank in of_ranks:
                for total, terms in of_rank[number].parts:
                    losses.add(total, terms)
            # Gradients are reduced before: their norm is the same in all processes.
            losses.check_finite(own[number].norm, "gradient")
            found.append(StepLosses(step.step, losses.total, losses.terms))
        # Only now: all are known to be finite, and no checkpoint is written before they are.
        self.kept = []
        return found

    def _read(self, kept: Sequence[_Kept]) -> list[_Read]:
        """Read all numbers in one transfer."""
        on_device: list[Tensor] = []
        for step in kept:
            on_device += [part.values for part in step.parts]
            on_device.append(step.norm.reshape(1))
        numbers = iter(torch.cat(on_device).tolist())
        return [self._step(step, numbers) for step in kept]

    def _step(self, step: _Kept, numbers: Iterator[float]) -> _Read:
        parts = []
        for part in step.parts:
            total = next(numbers)
            terms = {name: next(numbers) / self.parts for name in part.names}
            parts.append((total, terms))
        return _Read(parts, next(numbers))


def mean_terms(steps: Sequence[StepLosses]) -> dict[str, float]:
    """Return the mean of each loss term over the steps that have it."""
    values: dict[str, list[float]] = {}
    for of_step in steps:
        for name, value in of_step.terms.items():
            values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}

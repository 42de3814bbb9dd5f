"""What a method gathers from batches: its state that no gradient trains.

It changes once per step, by the samples of all micro-batches of all processes, in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness.config.errors import RunError
from harness.config.ranks import Ranks
from harness.method import GathersFromBatches

Rows = dict[str, dict[str, Tensor]]
"""By the name of a module, what it gathered from a micro-batch."""
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass
class Gathered:
    """What one micro-batch gathered.

    Attributes:
        rows: of modules that declare what they gather; one row of each tensor is a sample's.
        moved: by the name of a batch norm, what it added to its running mean and variance, and
            how often it was applied.
    """

    rows: Rows = field(default_factory=dict)
    moved: dict[str, tuple[Tensor, Tensor, int]] = field(default_factory=dict)

    def to(self, device: torch.device) -> Gathered:
        """Return the same on another device."""
        rows: Rows = {}
        for name, tensors in self.rows.items():
            rows[name] = {}
            for key, value in tensors.items():
                rows[name][key] = value.to(device)
        moved = {}
        for name, (mean, variance, count) in self.moved.items():
            moved[name] = (mean.to(device), variance.to(device), count)
        return Gathered(rows, moved)


def settle(method: Any) -> None:
    """Update a method by what it gathered since it was last updated, as at the end of a step."""
    state = GatheredState(method, Ranks())
    state.update([state.take()])


class GatheredState:
    """The state of one method that follows from batches.

    In one process a batch norm moves its running statistics itself, once per micro-batch. In
    several, each starts from zero, and what each micro-batch added is put together in order.

    Args:
        method: whose modules may satisfy :class:`GathersFromBatches`.
        ranks: the processes that train it.

    Raises:
        RunError: with several processes, a batch norm averages over all batches alike.
    """

    def __init__(self, method: Any, ranks: Ranks) -> None:
        self.method: nn.Module = method
        self.ranks = ranks
        self.gathering: list[tuple[str, GathersFromBatches]] = []
        for name, module in self.method.named_modules():
            if isinstance(module, GathersFromBatches):
                self.gathering.append((name, module))
        self.norms: dict[str, BatchNorm] = {}
        self.before: dict[str, list[Tensor]] = {}
        self.undeclared: dict[str, Tensor] | None = None
        self.is_checked = ranks.alone
        if ranks.alone:
            return
        for name, module in self.method.named_modules():
            if isinstance(module, BatchNorm) and module.track_running_stats:
                if module.momentum is None:
                    raise RunError(
                        f"{name} is a batch norm without a momentum, whose statistics several "
                        "processes cannot put together; give it one, or train in one process"
                    )
                self.norms[name] = module

    def begin(self) -> None:
        """Note the statistics of batch norms before a step, and before the first all state."""
        if not self.is_checked:
            self.undeclared, self.is_checked = self._undeclared(), True
        self.before = {}
        for name, norm in self.norms.items():
            if norm.training:
                self.before[name] = [getattr(norm, kind).clone() for kind in _STATISTICS]
                self._clear(norm)

    def take(self) -> Gathered:
        """Return what the last micro-batch gathered, and forget it."""
        rows: Rows = {}
        for name, module in self.gathering:
            found = module.gathered()
            if found:
                rows[name] = found
        moved = {}
        for name in self.before:
            norm = self.norms[name]
            mean, variance, count = (getattr(norm, kind).clone() for kind in _STATISTICS)
            moved[name] = (mean, variance, int(count))
            self._clear(norm)
        return Gathered(rows, moved)

    def exchanged(self, own: Sequence[Gathered], device: torch.device) -> list[Gathered]:
        """Return what the micro-batches of all processes gathered, in the order of ranks.

        A method that gathers nothing has nothing to exchange, and its processes go on at once.
        """
        if not (self.gathering or self.norms):
            return []
        on_cpu = [part.to(torch.device("cpu")) for part in own]
        found: list[Gathered] = []
        for of_rank in self.ranks.exchange(on_cpu):
            found += [part.to(device) for part in of_rank]
        return found

    def update(self, micro_batches: Sequence[Gathered]) -> None:
        """Update the state by what all micro-batches of a step gathered, in their order."""
        self._check_undeclared()
        for name, module in self.gathering:
            module.update_from(_joined([part.rows.get(name, {}) for part in micro_batches]))
        for name, before in self.before.items():
            self._move(self.norms[name], before, [part.moved.get(name) for part in micro_batches])

    def _move(
        self,
        norm: BatchNorm,
        before: Sequence[Tensor],
        moved: Sequence[tuple[Tensor, Tensor, int] | None],
    ) -> None:
        """Move running statistics as one process does: r becomes (1 - momentum) r + what is new."""
        mean, variance, batches = before
        for part in moved:
            if part is None:
                continue
            new_mean, new_variance, count = part
            kept = (1 - float(norm.momentum or 0)) ** count
            mean, variance = kept * mean + new_mean, kept * variance + new_variance
            batches = batches + count
        for kind, value in zip(_STATISTICS, (mean, variance, batches), strict=True):
            getattr(norm, kind).copy_(value)

    def _clear(self, norm: BatchNorm) -> None:
        for kind in _STATISTICS:
            getattr(norm, kind).zero_()

    def _undeclared(self) -> dict[str, Tensor]:
        """Return copies of buffers and frozen parameters that batches have no business with.

        Buffers that are not stored follow from the size of an image, such as masks.
        """
        stored = nn.Module.state_dict(self.method)
        declared = tuple(f"{name}." for name, _ in self.gathering)
        kept = {}
        tensors = [*self.method.named_buffers(), *self.method.named_parameters()]
        for name, tensor in tensors:
            if name not in stored or name.rpartition(".")[0] in self.norms:
                continue
            if not tensor.requires_grad and not name.startswith(declared):
                kept[name] = tensor.detach().clone()
        return kept

    def _check_undeclared(self) -> None:
        """Refuse, after the first step, a method whose losses change state that is not declared."""
        if self.undeclared is None:
            return
        now = dict([*self.method.named_buffers(), *self.method.named_parameters()])
        for name, before in self.undeclared.items():
            if name in now and not torch.equal(now[name], before):
                raise RunError(
                    f"the losses change {name}, and no module declares that it gathers from "
                    "batches (GathersFromBatches of harness.method), so several processes would "
                    "train different networks; declare it, or train in one process"
                )
        self.undeclared = None


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the rows of all micro-batches, one below the other."""
    found: dict[str, list[Tensor]] = {}
    for part in parts:
        for key, rows in part.items():
            found.setdefault(key, []).append(rows)
    joined = {}
    for key, rows_of_parts in found.items():
        joined[key] = rows_of_parts[0] if len(rows_of_parts) == 1 else torch.cat(rows_of_parts)
    return joined

"""What is measured together: ours, its peers, and a reference that all take turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.api.speed.networks import NetworkCase
from harness.api.speed.sides import KEEPING, MATRIX, OURS, PROMPTIR, PUBLISHED
from harness.api.speed.subject import Subject


@dataclass(frozen=True)
class Context:
    """What rows are measured with.

    Attributes:
        threads: compute threads.
        folder: for files of one row; it is removed afterwards.
        has_peer: whether the published blocks are installed.
    """

    threads: int
    folder: Path
    has_peer: bool


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        what: is timed.
        sides: ``ours`` and what takes turns with it.
        turns: without those that warm up.
        needs_bytes: memory that sides take, where it is much.
        warm_up: turns before them that do not count.
    """

    what: str
    sides: Mapping[str, Subject]
    turns: int
    needs_bytes: Mapping[str, float] = field(default_factory=dict)
    warm_up: int = 1

    def within(self, free_bytes: int | None) -> Case | None:
        """Return the case with as many peers as fit into memory; None where ours does not."""
        if free_bytes is None:
            return self
        kept = dict(self.sides)
        for name in (PUBLISHED, KEEPING, PROMPTIR):
            if sum(self.needs_bytes.get(side, 0) for side in kept) > free_bytes:
                kept.pop(name, None)
        if sum(self.needs_bytes.get(side, 0) for side in kept) > free_bytes:
            return None
        return replace(self, sides=kept)


def subject(maker: str, **values: Any) -> Subject:
    """Return a subject whose values may hold networks and paths."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, NetworkCase):
            plain[name] = asdict(value)
        else:
            plain[name] = str(value) if isinstance(value, Path) else value
    return Subject(maker, plain)


def matrix(threads: int) -> Subject:
    """Return the reference of what computes."""
    return subject("machine:matrix_product", threads=threads)


def training_sides(
    network: NetworkCase, threads: int, peers: Iterable[str], has_peer: bool
) -> dict[str, Subject]:
    """Return our training step, the peers' in fp32, and the reference."""
    sides: dict[str, Subject] = {}
    published = replace(network.published(), precision="fp32")
    for name in peers if has_peer else ():
        keep = name == KEEPING
        sides[name] = subject(
            "steps:plain_training", case=published, threads=threads, keep_memory=keep
        )
    sides[OURS] = subject("steps:our_training", case=network, threads=threads)
    sides[MATRIX] = matrix(threads)
    return sides


def restoring_sides(
    network: NetworkCase, context: Context, size: tuple[int, int], peers: Iterable[str]
) -> dict[str, Subject]:
    """Return our restoration of one image of (height, width), the peers', and the reference."""
    values = {"threads": context.threads, "size": size}
    sides: dict[str, Subject] = {}
    for name in peers if context.has_peer else ():
        keep = name == KEEPING
        sides[name] = subject("steps:restoring", case=network.published(), prepared=keep, **values)
    sides[OURS] = subject("steps:restoring", case=network, counted=True, **values)
    sides[MATRIX] = matrix(context.threads)
    return sides

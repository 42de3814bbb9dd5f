"""How time and memory grow with size, width, batch, prompts, negatives and runs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.speed.compare import Measured, Subject, measure
from benchmarks.speed.subjects import ALWAYS_PUSHING

_TURNS = 3


@dataclass(frozen=True)
class Curve:
    """Costs at values of one quantity; exponents are slopes on doubly logarithmic axes."""

    quantity: str
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    added_bytes: tuple[int, ...]

    @property
    def time_exponent(self) -> float:
        return _slope(self.values, self.seconds)

    @property
    def memory_exponent(self) -> float:
        return _slope(self.values, self.added_bytes)


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    if min(y) <= 0:
        return float("nan")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _curve(quantity: str, subjects: dict[float, Subject]) -> Curve:
    # One process after the other, so that the largest is not held next to the others.
    found: list[Measured] = [
        measure({"it": subject}, _TURNS)["it"] for subject in subjects.values()
    ]
    return Curve(
        quantity=quantity,
        values=tuple(subjects),
        seconds=tuple(m.median_s for m in found),
        added_bytes=tuple(m.added_bytes for m in found),
    )


def _training(batch: int = 5, side: int = 64, **options: str) -> Subject:
    return Subject("our_training", ("small", batch, side), tuple(options.items()))


def curves() -> list[Curve]:
    """Measure every curve, at the width of `mini` unless width is what grows."""
    sides = (64, 128, 256, 512)
    found = [
        _curve(
            "pixels, training step (batch 1)",
            {float(s * s): _training(batch=1, side=s) for s in sides},
        ),
        _curve(
            "pixels, inference",
            {float(s * s): Subject("our_inference", ("small", s, s)) for s in (*sides, 1024)},
        ),
        _curve("width, training step", {float(d): _training(dim=str(d)) for d in (8, 16, 32, 64)}),
        _curve("batch, training step", {float(b): _training(batch=b) for b in (2, 4, 8, 16)}),
        _curve(
            "prompts, training step", {float(n): _training(prompts=str(n)) for n in (5, 10, 20, 40)}
        ),
    ]
    for reach in ("detached", "prompts", "full"):
        options = {**ALWAYS_PUSHING, "cpr_gradient": reach}
        found.append(
            _curve(
                f"1 + negatives ({reach}), training step",
                {1.0 + n: _training(cpr_count=str(n), **options) for n in (1, 2, 4, 8)},
            )
        )
    with tempfile.TemporaryDirectory() as folder:
        found.append(
            _curve(
                "runs, plan of a sweep",
                {
                    2.0 * n: Subject(
                        "command",
                        (
                            *("run", "--recipe", "smoke", "--methods", "cpl,promptir"),
                            *("--dry-run", "--seeds", f"0-{n - 1}", "--out", folder),
                        ),
                    )
                    for n in (5, 50, 500)
                },
            )
        )
    return found

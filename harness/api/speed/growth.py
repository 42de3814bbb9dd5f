"""How time and memory grow with pixels, width, batch, prompts, negatives, runs and rows."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.speed.case import Context, subject
from harness.api.speed.command_rows import SMOKE_RUN
from harness.api.speed.networks import ALWAYS_PUSHING, NetworkCase
from harness.api.speed.result import Curve, Timed
from harness.api.speed.sides import OURS
from harness.api.speed.subject import Subject
from harness.api.speed.turns import measure
from harness.config.errors import HarnessError

if TYPE_CHECKING:
    from harness.api.speed.benchmark import Bench

_TURNS = 3

Points = Iterator[tuple[float, Subject]]
"""Values of a quantity, and what is timed at each."""


@dataclass(frozen=True)
class Growing:
    """A quantity that grows.

    Attributes:
        quantity: its name, and what is timed.
        points: yields its values and what is timed at each.
        expected_s: on two cores with a matrix product at 190 GFLOP/s.
        has_memory: whether the memory is that of the process that is measured.
    """

    quantity: str
    points: Callable[[Context], Points]
    expected_s: float
    has_memory: bool = True


def _training(context: Context, network: NetworkCase) -> Subject:
    return subject("steps:our_training", case=network, threads=context.threads, counted=False)


def _pixels_training(context: Context, sides_px: Sequence[int] = (64, 128, 256, 512)) -> Points:
    for side in sides_px:
        yield float(side**2), _training(context, NetworkCase(batch=1, side_px=side))


def _pixels_inference(context: Context) -> Points:
    for side in (64, 128, 256, 512, 1024):
        values = {"threads": context.threads, "size": (side, side)}
        yield float(side**2), subject("steps:restoring", case=NetworkCase(), **values)


def _width(context: Context) -> Points:
    for width in (8, 16, 32, 64):
        yield float(width), _training(context, NetworkCase(options={"dim": str(width)}))


def _batch(context: Context) -> Points:
    for batch in (2, 4, 8, 16):
        yield float(batch), _training(context, NetworkCase(batch=batch))


def _prompts(context: Context) -> Points:
    for prompts in (5, 10, 20, 40):
        yield float(prompts), _training(context, NetworkCase(options={"prompts": str(prompts)}))


def _negatives(context: Context, reach: str) -> Points:
    for count in (1, 2, 4, 8):
        options = {**ALWAYS_PUSHING, "cpr_gradient": reach, "cpr_count": str(count)}
        yield 1.0 + count, _training(context, NetworkCase("cpl-guided", options=options))


def _runs(context: Context) -> Points:
    for seeds in (5, 50, 500):
        words = [*SMOKE_RUN, "--dry-run", "--seeds", f"0-{seeds - 1}"]
        words += ["--out", str(context.folder)]
        yield 2.0 * seeds, subject("commands:command", words=words)


def _rows(context: Context) -> Points:
    from harness.api.plans import plan
    from harness.api.speed.made_up_runs import seeds_of, write_runs

    run = plan(methods=("promptir",), recipe="smoke").runs[-1]
    for rows in (100, 1_000, 10_000, 50_000):
        out = context.folder / str(rows)
        write_runs(out, seeds_of(run.method.id, run.train, 10), rows)
        yield 10.0 * rows, subject("commands:command", words=("runs", "list", "--out", str(out)))


CURVES: dict[str, Growing] = {
    "pixels-training": Growing("pixels, training step of one image", _pixels_training, 60),
    "pixels-inference": Growing("pixels, inference", _pixels_inference, 65),
    "width": Growing("width, training step", _width, 45),
    "batch": Growing("batch, training step", _batch, 40),
    "prompts": Growing("prompts, training step", _prompts, 40),
    "negatives-detached": Growing(
        "1 + negatives (detached), training step", partial(_negatives, reach="detached"), 45
    ),
    "negatives-prompts": Growing(
        "1 + negatives (prompts), training step", partial(_negatives, reach="prompts"), 50
    ),
    "negatives-full": Growing(
        "1 + negatives (full), training step", partial(_negatives, reach="full"), 50
    ),
    "runs": Growing("runs, plan of a sweep", _runs, 35, has_memory=False),
    "rows": Growing("stored rows, list of runs", _rows, 60, has_memory=False),
}
"""What grows, by the name of its figure."""


def measure_curves(bench: Bench, curves: Mapping[str, Growing]) -> None:
    """Measure curves, and add them to a benchmark; one that fails is left out."""
    for number, (name, growing) in enumerate(curves.items(), start=1):
        bench.clock.show(f"growth ({number} of {len(curves)}): {growing.quantity}")
        try:
            bench.curves.append(measure_curve(name, growing, bench.options.used_threads))
        except HarnessError as error:
            bench.left_out[f"growth of {name}"] = str(error)
        bench.clock.done_s += growing.expected_s


def measure_curve(name: str, growing: Growing, threads: int) -> Curve:
    """Measure one curve.

    One process follows the other, so that the largest is not held next to the others.
    """
    found: dict[float, Timed] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        context = Context(threads, Path(folder), has_peer=False)
        for value, side in growing.points(context):
            found[value] = measure({OURS: side}, _TURNS, _unseen).sides[OURS]
    added = [timed.added_bytes for timed in found.values()]
    known = [number for number in added if number is not None]
    has_memory = growing.has_memory and len(known) == len(added) and min(known) > 0
    seconds = [timed.spread_s.median for timed in found.values()]
    return Curve(
        name=name,
        quantity=growing.quantity,
        values=tuple(found),
        seconds=tuple(seconds),
        added_bytes=tuple(known) if has_memory else (),
        time_exponent=exponent(list(found), seconds),
        memory_exponent=exponent(list(found), known) if has_memory else None,
    )


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the slope of log y over log x by least squares; all values are positive."""
    logs = [(math.log(first), math.log(second)) for first, second in zip(x, y, strict=True)]
    mean_x = sum(first for first, _ in logs) / len(logs)
    mean_y = sum(second for _, second in logs) / len(logs)
    above = sum((first - mean_x) * (second - mean_y) for first, second in logs)
    below = sum((first - mean_x) ** 2 for first, _ in logs)
    return above / below


def _unseen(done: int, total: int) -> None:
    """Show nothing of single turns."""

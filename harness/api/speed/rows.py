"""The rows of the benchmark on a CPU: what each measures, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from harness.api.speed.case import (
    Case,
    Context,
    matrix,
    restoring_sides,
    subject,
    training_sides,
)
from harness.api.speed.command_rows import first_start, help_text, stored, stored_among_others
from harness.api.speed.networks import ALWAYS_PUSHING, NetworkCase
from harness.api.speed.photographs import write_pairs
from harness.api.speed.sides import (
    KEEPING,
    MATRIX,
    OURS,
    PLAIN,
    PROMPTIR,
    PUBLISHED,
    WITHOUT,
)
from harness.planning.request import Resources

_GIB = 2.0**30
_NEGATIVES_GIB = 4.0
"""What HARNESS_NEGATIVES_GIB is if it is not set."""
_FULL = NetworkCase(size="full", batch=2, side_px=128)
_MINI = NetworkCase(size="small", batch=5, side_px=64)
ONE_THREAD = "train-mini-1"
"""The row that is train-mini with one thread."""


class NotHereError(Exception):
    """A row says nothing on this machine; the sentence says why."""


@dataclass(frozen=True)
class Row:
    """A row of the benchmark.

    Attributes:
        about: what it measures.
        cases: prepares files where it needs any, and yields what is measured.
        expected_s: on two cores with a matrix product at 190 GFLOP/s, peers included.
        is_quick: whether it is part of the quick benchmark.
        is_full: whether it is part of the full one.
    """

    about: str
    cases: Callable[[Context], Iterator[Case]]
    expected_s: float
    is_quick: bool = False
    is_full: bool = True


def _train_full(context: Context) -> Iterator[Case]:
    sides = training_sides(_FULL, context.threads, (PUBLISHED, KEEPING), context.has_peer)
    needs = {PUBLISHED: 7.3 * _GIB, KEEPING: 7.3 * _GIB, OURS: 4.3 * _GIB}
    yield Case("training step, full, fp32, 2 x 128²", sides, 5, needs)


def _train_bf16(context: Context) -> Iterator[Case]:
    from harness.execution.single_steps import computes_bf16

    if not computes_bf16("cpu"):
        raise NotHereError("this processor has no bf16 arithmetic")
    network = NetworkCase(size="full", batch=2, side_px=128, precision="bf16")
    sides = training_sides(network, context.threads, (PUBLISHED, KEEPING), context.has_peer)
    needs = {PUBLISHED: 7.3 * _GIB, KEEPING: 7.3 * _GIB, OURS: 4.3 * _GIB}
    yield Case("training step, full, bf16 autocast, 2 x 128²", sides, 3, needs)


def _train_mini(context: Context, threads: int | None = None) -> Iterator[Case]:
    used, turns = (context.threads, 15) if threads is None else (threads, 9)
    shown = "one thread" if used == 1 else f"{used} threads"
    sides = training_sides(_MINI, used, (PUBLISHED, KEEPING), context.has_peer)
    yield Case(f"training step, mini, 5 x 64², {shown}", sides, turns)


def _inference(context: Context) -> Iterator[Case]:
    sides = restoring_sides(_FULL, context, (320, 480), (PUBLISHED, KEEPING))
    yield Case("inference, full, 480x320", sides, 3)


def _inference_small(context: Context) -> Iterator[Case]:
    sides = restoring_sides(_MINI, context, (160, 240), (KEEPING,))
    yield Case("inference, mini, 240x160", sides, 9)


def _cpl(context: Context, network: NetworkCase, turns: int, gib: float) -> Iterator[Case]:
    """Two at a time: side by side, all of them would not fit into memory."""
    for reach in ("detached", "prompts", "full"):
        for count in (1, 4):
            options = {**ALWAYS_PUSHING, "cpr_gradient": reach, "cpr_count": str(count)}
            guided = NetworkCase(
                "cpl-guided", network.size, network.batch, network.side_px, options
            )
            values = {"threads": context.threads}
            sides = {
                PROMPTIR: subject("steps:our_training", case=network, counted=False, **values),
                OURS: subject("steps:our_training", case=guided, **values),
                MATRIX: matrix(context.threads),
            }
            # Negatives whose gradient is kept hold the maps of a decoder each, in chunks beyond a
            # budget.
            each = 0.65 * gib
            held = 0.0 if reach == "detached" else max(each, min(count * each, _NEGATIVES_GIB))
            needs = {PROMPTIR: gib * _GIB, OURS: (gib + held) * _GIB}
            size = "mini" if network.size == "small" else network.size
            negatives = f"{count} negative{'s' * (count > 1)}"
            yield Case(f"CPL-guided step, {size}, {negatives}, {reach}", sides, turns, needs)


def _changes(context: Context) -> Iterator[Case]:
    for change in ("kernels", "attention", "hidden-width", "allocator", "optimiser"):
        values = {"case": _FULL, "threads": context.threads}
        sides = {
            WITHOUT: subject("steps:training_without", change=change, **values),
            OURS: subject("steps:our_training", **values),
            MATRIX: matrix(context.threads),
        }
        needs = {WITHOUT: 6 * _GIB, OURS: 4.3 * _GIB}
        yield Case(f"training step, full, without {change}", sides, 2, needs)


def _wait(context: Context) -> Iterator[Case]:
    workers = Resources().loader_workers
    values = {"recipe": "mini", "threads": context.threads, "loader_workers": workers, "steps": 10}
    sides = {OURS: subject("loading:waiting", **values), MATRIX: matrix(context.threads)}
    yield Case("ten steps of recipe mini with their data", sides, 7)


def _stream(context: Context) -> Iterator[Case]:
    write_pairs(context.folder, 40)
    values = {"folder": context.folder, "batch": 32}
    sides = {PLAIN: subject("loading:plain_loader", **values)}
    sides[OURS] = subject("loading:our_loader", **values)
    yield Case("32 samples, 128² crops of 481x321 PNG pairs", sides, 15)


def _evaluation(context: Context) -> Iterator[Case]:
    write_pairs(context.folder, 68)
    sides = {PLAIN: subject("scoring:plain_scoring", folder=context.folder)}
    sides[OURS] = subject("scoring:our_scoring", folder=context.folder, threads=context.threads)
    yield Case("scoring 68 images of 481x321 at three sigmas, no network", sides, 7)


def _scoring(context: Context) -> Iterator[Case]:
    clean = context.folder / "clean"
    clean.mkdir()
    write_pairs(clean, 17)
    for path in clean.glob("*-degraded.png"):
        path.unlink()
    values = {"folder": clean, "threads": context.threads}
    sides = {}
    if context.has_peer:
        sides[KEEPING] = subject("scoring:plain_scoring_with_network", size="small", **values)
    sides[OURS] = subject("scoring:our_scoring_with_network", recipe="mini", **values)
    sides[MATRIX] = matrix(context.threads)
    yield Case("scoring 17 images of 481x321 at three sigmas, network of mini", sides, 3)


ROWS: dict[str, Row] = {
    "train-mini": Row(
        "a training step at the width and batch of mini", _train_mini, 35, is_quick=True
    ),
    ONE_THREAD: Row("the same with one thread", partial(_train_mini, threads=1), 40, is_quick=True),
    "inference-small": Row(
        "restoring a small image with the network of mini", _inference_small, 15, is_quick=True
    ),
    "help": Row("python -m harness --help", help_text, 10, is_quick=True),
    "cached": Row("a run of which everything is stored", stored, 35, is_quick=True),
    "cached-1000": Row("the same among 1,000 other runs", stored_among_others, 45),
    "first-start": Row(
        "a first run until its first line of progress, kernels compiled", first_start, 60
    ),
    "cpl-mini": Row(
        "CPL-guided's step relative to PromptIR's, width of mini",
        lambda context: _cpl(context, _MINI, 9, 0.3),
        130,
    ),
    "wait": Row("the share of a step that waits for its data", _wait, 35),
    "stream": Row("training crops of PNG pairs", _stream, 20),
    "evaluation": Row("scoring without a network", _evaluation, 70),
    "scoring": Row("scoring with a small network", _scoring, 170),
    "inference": Row("restoring 480x320 with the full network, and memory", _inference, 200),
    "train-full": Row("a training step of the full network", _train_full, 180),
    "train-bf16": Row("the same under bf16 autocast, peers in fp32", _train_bf16, 120),
    "cpl-full": Row(
        "CPL-guided's step relative to PromptIR's, full width",
        lambda context: _cpl(context, _FULL, 3, 4.3),
        420,
    ),
    "changes": Row(
        "a full step with each change for speed taken back", _changes, 220, is_full=False
    ),
}
"""The rows on a CPU by name, in the order in which they are measured."""

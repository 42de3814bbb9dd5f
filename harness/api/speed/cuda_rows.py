"""The rows of the benchmark on a GPU: steps and restorations of the full network.

Each side has a process of its own; all are on the GPU at once, and take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.api.speed.case import Case, Context, subject
from harness.api.speed.networks import NetworkCase, Precision
from harness.api.speed.rows import Row
from harness.api.speed.sides import MATRIX, OURS, PLANAR, PUBLISHED
from harness.api.speed.subject import Subject

_TURNS, _WARM_UP = 20, 3


def _network(precision: Precision) -> NetworkCase:
    return NetworkCase(size="full", batch=8, side_px=128, precision=precision)


def on_gpu(side: Subject) -> Subject:
    """Return a subject that computes on the GPU and is timed with its events."""
    return replace(side, values={**side.values, "device": "cuda"}, device="cuda")


def _training(context: Context) -> Iterator[Case]:
    for compiled in (False, True):
        for arithmetic in ("fp32", "tf32", "bf16"):
            network = _network("bf16" if arithmetic == "bf16" else "fp32")
            gpu = {"compiled": compiled, "tf32": arithmetic == "tf32"}
            values = {"threads": context.threads, "gpu": gpu}
            sides: dict[str, Subject] = {}
            if context.has_peer:
                published = network.published()
                sides[PUBLISHED] = on_gpu(subject("steps:plain_training", case=published, **values))
            sides[OURS] = on_gpu(subject("steps:our_training", case=network, **values))
            sides[MATRIX] = on_gpu(subject("machine:matrix_product", threads=context.threads))
            how = "compiled" if compiled else "not compiled"
            yield Case(
                f"training step, full, {arithmetic}, 8 x 128², {how}",
                sides,
                _TURNS,
                warm_up=_WARM_UP,
            )


def _layout(context: Context) -> Iterator[Case]:
    """Yield the step whose weights stay planar, next to the one of the training loop."""
    network = _network("bf16")
    values = {"case": network, "threads": context.threads}
    sides = {
        PLANAR: on_gpu(subject("steps:our_training", gpu={"is_planar": True}, **values)),
        OURS: on_gpu(subject("steps:our_training", **values)),
    }
    yield Case(
        "training step, full, bf16, 8 x 128², channels_last", sides, _TURNS, warm_up=_WARM_UP
    )


def _inference(context: Context) -> Iterator[Case]:
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        network = _network(precision)
        values = {"threads": context.threads, "size": (320, 480)}
        sides: dict[str, Subject] = {}
        if context.has_peer:
            sides[PUBLISHED] = on_gpu(
                subject("steps:restoring", case=network.published(), **values)
            )
        sides[OURS] = on_gpu(subject("steps:restoring", case=network, counted=True, **values))
        sides[MATRIX] = on_gpu(subject("machine:matrix_product", threads=context.threads))
        yield Case(f"inference, full, {precision}, 480x320", sides, _TURNS, warm_up=_WARM_UP)


CUDA_ROWS: dict[str, Row] = {
    "cuda-train": Row("training steps, compiled or not, in three arithmetics", _training, 600),
    "cuda-layout": Row("the same with planar weights", _layout, 60),
    "cuda-inference": Row("restoring 480x320, and memory", _inference, 90, is_quick=True),
}
"""The rows on a GPU by name, in the order in which they are measured."""

"""One training step by operator, as torch's profiler sees it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.api.speed.networks import NetworkCase, has_peer
from harness.execution.process import worker_of
from harness.planning.request import Resources
from harness.reporting.renderers.terminal import body
from harness.reporting.table import plain_table

_SHOWN = 16


def profile_step(threads: int | None = None, size: str = "full", batch: int = 2) -> str:
    """Return tables of the operators of one training step by their own time.

    The published blocks come first, where they are installed.

    Args:
        threads: compute threads; None takes those of a run.
        size: of the recipe.
        batch: samples of 128x128 pixels.
    """
    from harness.api.speed.steps import our_training, plain_training

    used = worker_of(Resources(device="cpu", threads=threads)).threads
    network = NetworkCase(size=size, batch=batch, side_px=128)
    parts = []
    if has_peer():
        published = plain_training(asdict(network.published()), used)
        parts.append(_profile("published", published.work))
    ours = our_training(asdict(network), used, counted=False)
    parts.append(_profile("ours", ours.work))
    return "\n\n".join(parts)


def _profile(name: str, work: Any) -> str:
    import torch

    work()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        work()
    events: list[Any] = sorted(found.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total_us = sum(event.self_cpu_time_total for event in events)
    lines = []
    for event in events[:_SHOWN]:
        share, own_s = event.self_cpu_time_total / total_us, event.self_cpu_time_total / 1e6
        lines.append([event.key, f"{share:.1%}", f"{own_s:.3f}", str(event.count)])
    table = body(plain_table(("Operator", "Share", "Own time (s)", "Calls"), lines))
    return f"{name}: {total_us / 1e6:.2f} s\n{table}"

"""Tables of a benchmark, and of two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.api.speed.spread import LEAST_CHANGE, Spread
from harness.reporting.renderers.terminal import body, wrapped
from harness.reporting.table import MISSING, plain_table

if TYPE_CHECKING:
    from harness.api.speed.comparison import Comparison
    from harness.api.speed.result import BenchResult, Curve, Machine, Measurement

_HEADS = ("Row", "Timed", "Ours (s)", "Compared with", "Times as fast", "Matrix rate", "Memory")
_CHANGE_HEADS = ("Row", "Timed", "Then (s)", "Now (s)", "Relative time", "At equal rate", "Verdict")


def result_text(result: BenchResult, width: int | None) -> str:
    """Return machine, rows, curves and what was left out."""
    parts = [machine_text(result.machine)]
    if result.measurements:
        parts.append(_measurements(result, width))
    if result.curves:
        parts.append(_curves(result.curves, width))
    for row, reason in result.left_out.items():
        parts.append(wrapped(f"left out, {row}: {reason}", width))
    if not result.is_complete:
        parts.append("The benchmark was stopped; what it had measured is above.")
    return "\n\n".join(parts)


def machine_text(machine: Machine) -> str:
    """Return what was measured on, in two lines."""
    threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
    device = "" if machine.device == "cpu" else f"{machine.device}; "
    return (
        f"{device}{machine.processor}, {machine.cores} cores, {threads}; "
        f"Python {machine.python}, torch {machine.torch}\n"
        f"matrix product {machine.fp32_gflops:,.0f} GFLOP/s in fp32, "
        f"{machine.bf16_gflops:,.0f} in bf16; copying {machine.copy_gb_s:.1f} GB/s"
    )


def _measurements(result: BenchResult, width: int | None) -> str:
    lines: list[list[str]] = []
    on_gpu = result.machine.device != "cpu"
    for measurement in result.measurements:
        lines += _lines(measurement, on_gpu)
    remark = (
        "Median over turns (quartiles). Times as fast: the other's time by ours, within each turn. "
        "Matrix rate: products and convolutions of ours per second, as a share of the rate of a "
        "matrix product in the same turn. Memory: what the work adds to its process."
    )
    return f"{body(plain_table(_HEADS, lines), width=width)}\n\n{wrapped(remark, width)}"


def _lines(measurement: Measurement, on_gpu: bool) -> Iterator[list[str]]:
    """Yield a line with ours and the first peer, and one for each further peer.

    What a GPU does is shown by the second as well.
    """
    ours_s = measurement.ours.spread_s
    timed = f"{seconds(ours_s)}; {1 / ours_s.median:.3g} a second" if on_gpu else seconds(ours_s)
    share = MISSING if measurement.share is None else percent(measurement.share)
    first = [measurement.row, _timed(measurement), timed]
    memory = _mebibytes(measurement.ours.added_bytes)
    if not measurement.peers:
        yield [*first, MISSING, MISSING, share, memory]
    for number, peer in enumerate(measurement.peers):
        side = measurement.sides[peer]
        shown = f"{peer}, {side.spread_s.median:.3g} s"
        ratio = str(measurement.ratio(peer))
        if number == 0:
            yield [*first, shown, ratio, share, _both(memory, side.added_bytes)]
        else:
            yield ["", "", "", shown, ratio, "", _both("", side.added_bytes)]


def _timed(measurement: Measurement) -> str:
    waiting = measurement.waiting
    if waiting is None:
        return measurement.what
    return f"{measurement.what}; waiting: {percent(waiting)}"


def _both(ours: str, other_bytes: int | None) -> str:
    if other_bytes is None:
        return ours
    return f"{ours} of {_mebibytes(other_bytes)}".strip()


def _curves(curves: tuple[Curve, ...], width: int | None) -> str:
    lines = []
    for curve in curves:
        memory = MISSING if curve.memory_exponent is None else f"{curve.memory_exponent:.2f}"
        values = ", ".join(f"{value:g}" for value in curve.values)
        times = ", ".join(f"{value:.3g}" for value in curve.seconds)
        lines.append([curve.quantity, values, times, f"{curve.time_exponent:.2f}", memory])
    heads = ("Quantity", "Values", "Seconds", "Time exponent", "Memory exponent")
    return body(plain_table(heads, lines), width=width)


def comparison_text(comparison: Comparison, width: int | None) -> str:
    """Return what changed row by row, and how to read it."""
    lines = []
    for row in comparison.rows:
        lines.append(
            [
                row.row,
                row.what,
                f"{row.old_s.median:.3g}",
                f"{row.new_s.median:.3g}",
                f"{row.change:.2f} by {row.reference or _no_reference(comparison)}",
                f"{row.at_equal_rate:.2f}",
                row.verdict,
            ]
        )
    parts = []
    if not comparison.same_machine:
        parts.append(f"then: {machine_text(comparison.old)}\nnow: {machine_text(comparison.new)}")
    parts.append(body(plain_table(_CHANGE_HEADS, lines), width=width))
    parts.append(
        wrapped(
            "Relative time: now through then, each divided by what took turns with it. At equal "
            "rate: seconds now through then, each times its machine's matrix rate. Slower and "
            "faster: the quartiles of relative times do not meet, and the medians differ by at "
            f"least {LEAST_CHANGE:.0%}.",
            width,
        )
    )
    for which in ("old", "new"):
        names = [name for name, found in comparison.alone.items() if found == which]
        if names:
            parts.append(wrapped(f"only in the {which} benchmark: {'; '.join(names)}", width))
    return "\n\n".join(parts)


def _no_reference(comparison: Comparison) -> str:
    return "nothing" if comparison.same_machine else "matrix rate"


def seconds(spread: Spread) -> str:
    """Return median and quartiles with three digits."""
    return f"{spread.median:.3g} ({spread.low:.3g} to {spread.high:.3g})"


def percent(spread: Spread) -> str:
    """Return median and quartiles of a share."""
    return f"{spread.median:.0%} ({spread.low:.0%} to {spread.high:.0%})"


def _mebibytes(number: int | None) -> str:
    return MISSING if number is None else f"{number / 2**20:,.0f} MiB"

"""Ablations as text, LaTeX and figures: each value's difference to what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.reporting.latex import plain_table
from harness.reporting.statistics import Difference, Spread

Cells = list[list[str]]


@dataclass(frozen=True)
class ValueLine:
    """A value of an axis as it came out.

    Attributes:
        label: the value's, as its study says it.
        averages: metric -> mean over columns, None where a score is missing.
        deltas: metric -> difference to the method it is compared with, None for that one itself.
        columns: difference in the first metric per column.
        control_db: what a wrong prompt costs, mean over seeds, None without prompts.
        failed: why there is no number, empty if all is well.
    """

    label: str
    averages: dict[str, float | None]
    deltas: dict[str, Difference | None]
    columns: dict[str, float]
    control_db: float | None
    failed: str = ""


@dataclass(frozen=True)
class AxisTable:
    """One axis of a study.

    Attributes:
        study: name of the study.
        axis: name of the axis.
        title: of the study.
        label: of the axis.
        against: what differences are to, in words.
        metrics: id, label and decimals of each metric.
        columns: labels of the table's columns.
        lines: values in order.
        context: setting, recipe, seeds and images in one sentence.
        spread: what the intervals show.
    """

    study: str
    axis: str
    title: str
    label: str
    against: str
    metrics: tuple[tuple[str, str, int], ...]
    columns: tuple[str, ...]
    lines: tuple[ValueLine, ...]
    context: str
    spread: Spread

    @property
    def caption(self) -> str:
        """Say what stands in the table, and what its intervals do and do not show."""
        shown = any(d is not None and d.low is not None for v in self.lines for d in _deltas(v))
        over = {
            "images": "over photographs of this one training: not over seeds",
            "seeds": "over seeds, for these photographs",
            "seeds and images": "over seeds and photographs",
        }[self.spread]
        interval = f"in brackets the 95% bootstrap interval {over}" if shown else "no interval"
        return (
            f"{self.title}. {self.context} Differences to {self.against}, paired by image and "
            f"seed; {interval}. Columns: difference in {self.metrics[0][1]}. Control: what a wrong "
            "prompt costs."
        )


def terminal(table: AxisTable) -> str:
    """Return the table for a terminal."""
    from textwrap import fill

    from tabulate import tabulate

    heads, lines = _cells(table)
    failures = [f"{line.label}: {line.failed}" for line in table.lines if line.failed]
    text = tabulate(lines, headers=heads, disable_numparse=True)
    return "\n".join([text, fill(table.caption, 96), *failures])


def markdown(table: AxisTable) -> str:
    """Return the table as Markdown."""
    from tabulate import tabulate

    heads, lines = _cells(table)
    text = tabulate(lines, headers=heads, tablefmt="pipe", disable_numparse=True)
    failures = [f"{line.label}: {line.failed}" for line in table.lines if line.failed]
    return "\n\n".join([f"## {table.study}: {table.label}", text, table.caption, *failures]) + "\n"


def latex(table: AxisTable) -> str:
    """Return the table as a ``table`` environment."""
    heads, lines = _cells(table)
    label = f"{table.study}-{table.axis}"
    return (
        "% Needs \\usepackage{booktabs}.\n"
        + plain_table(heads, lines, table.caption, f"ablation-{label}")
        + "\n"
    )


def csv(table: AxisTable) -> str:
    """Return every number in full, one line per value and metric."""
    import csv as writer
    from io import StringIO

    stream = StringIO()
    lines = writer.writer(stream, lineterminator="\n")
    heads = "study axis value metric average delta low high spread control_db failed"
    lines.writerow(heads.split())
    for line in table.lines:
        for metric, _, _ in table.metrics:
            delta = line.deltas.get(metric)
            found = ("", "", "") if delta is None else (delta.mean, delta.low, delta.high)
            value = (table.study, table.axis, line.label, metric, line.averages.get(metric))
            lines.writerow([*value, *found, table.spread, line.control_db, line.failed])
    return stream.getvalue()


def draw(table: AxisTable, paths: Sequence[Path]) -> None:
    """Draw the differences in the first metric, with their intervals, to each of ``paths``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metric, name, _ = table.metrics[0]
    figure = Figure(figsize=(1.6 + 0.9 * len(table.lines), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    place = figure.subplots()
    place.axhline(0, color="0.6", linewidth=0.8)
    for position, line in enumerate(table.lines):
        delta = line.deltas.get(metric)
        if line.failed or line.averages.get(metric) is None:
            why = "failed" if line.failed else "missing"
            place.text(position, 0, why, ha="center", va="bottom")
            continue
        mean = 0.0 if delta is None else delta.mean
        bars = None
        if delta is not None and delta.low is not None and delta.high is not None:
            # A skewed interval may leave its mean outside.
            bars = [[max(0.0, mean - delta.low)], [max(0.0, delta.high - mean)]]
        filled = "white" if delta is None else "tab:blue"
        place.errorbar(
            position, mean, bars, fmt="o", color="tab:blue", markerfacecolor=filled, capsize=3
        )
    labels = [line.label for line in table.lines]
    slanted = max(map(len, labels)) > 8
    place.set_xticks(
        range(len(labels)),
        labels,
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
    )
    place.set_xlim(-0.6, len(labels) - 0.4)
    place.set_xlabel(table.label)
    unit = " (dB)" if metric.startswith("psnr") else ""
    place.set_ylabel(f"difference in {name}{unit}")
    over = table.spread.replace("images", "photographs")
    place.set_title(f"{table.title}\n(95% over {over})", fontsize=9)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)


def _cells(table: AxisTable) -> tuple[list[str], Cells]:
    heads = [table.label]
    for _, name, _ in table.metrics:
        heads += [name, f"Δ {name}"]
    heads += [*(f"Δ {name}" for name in table.columns), "control"]
    lines = []
    for line in table.lines:
        cells = [line.label]
        for metric, _, decimals in table.metrics:
            average, delta = line.averages.get(metric), line.deltas.get(metric)
            if line.failed:
                cells += ["failed", "--"]
                continue
            cells.append("--" if average is None else f"{average:.{decimals}f}")
            cells.append(_delta(delta, decimals))
        cells += [
            f"{line.columns[name]:+.2f}" if name in line.columns else "--" for name in table.columns
        ]
        cells.append("--" if line.control_db is None else f"{line.control_db:+.2f} dB")
        lines.append(cells)
    return heads, lines


def _delta(delta: Difference | None, decimals: int) -> str:
    if delta is None:
        return "--"
    text = f"{delta.mean:+.{decimals}f}"
    if delta.low is None or delta.high is None:
        return text
    return f"{text} [{delta.low:+.{decimals}f}, {delta.high:+.{decimals}f}]"


def _deltas(line: ValueLine) -> list[Difference]:
    return [delta for delta in line.deltas.values() if delta is not None]

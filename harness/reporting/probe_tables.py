"""Prompt analyses as text, LaTeX and figures; docs/probes.md explains every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.planning.plan import Plan
from harness.reporting.analysed_runs import AnalysedRun, analysed_runs
from harness.reporting.figures.prompts import draw_prompts
from harness.reporting.renderers import csv, latex_plain, markdown, terminal
from harness.reporting.renderers.latex_text import header
from harness.reporting.routing_table import FIELDS, routing_columns, routing_records, routing_table
from harness.reporting.table import MISSING, Table, plain_table
from harness.reporting.table_files import table_id, table_stem
from harness.reporting.table_report import write_texts
from harness.store.files import file_name

SUMMARY_NOTE = (
    "Prompt-swap gap: PSNR of an image under its own prompts minus that under the prompts which "
    "images of other kinds of degradation really receive, mean over columns. NMI: normalised "
    "mutual information of the most weighted expert with the kind of degradation, I/H(kind), and "
    "with the single task, mean over levels; in brackets that with shuffled tasks. "
    "Load entropy: entropy of how much all experts are used, over its maximum. Similarity: of the "
    "mean prompts of different kinds, mean over levels."
)
_SUMMARY_HEADS = (
    *("Method", "own prompt", "prompt-swap gap", "NMI (kinds)", "NMI (tasks)"),
    *("load entropy", "cosine", "CKA"),
)
_SHORT_SUMMARY_HEADS = (
    *("Method", "own", "swap gap", "NMI (kinds)", "NMI (tasks)", "load", "cos.", "CKA"),
)
_LONGEST_NAME = 60
"""Bytes of a run's name in the name of its figure."""

_VARIED_NOTE = (
    "Confidence: the router's largest probability; entropy: that of its probabilities, over its "
    "maximum; both are means over images and levels. Below each variant: PSNR minus that as "
    "trained."
)
_UNSELECTED_NOTE = "Prompts that no image selects, forced on all; they count nowhere above."


def report(plan: Plan, width: int | None = None) -> str:
    """Return summary and prompt swaps for a terminal; empty where nothing is analysed."""
    runs = analysed_runs(plan)
    return report_of(runs, width) if runs else ""


def write(plan: Plan, folder: Path) -> list[Path]:
    """Write analyses as Markdown and LaTeX, and a figure per run, and return the paths.

    Where a run has variants of routing, their values are written as CSV too.
    """
    runs = analysed_runs(plan)
    if not runs:
        return []
    stem = table_stem(plan, table_id(plan), "probes")
    texts = {".md": markdown_of(runs), ".tex": latex_of(runs)}
    if routing_table(runs) is not None:
        texts[".csv"] = csv.lines(FIELDS, routing_records(runs))
    paths = write_texts(folder, stem, texts)
    for run in runs:
        # Long names are cut, so the weights' id keeps two runs apart.
        name = "-".join(filter(None, [file_name(run.name, _LONGEST_NAME), run.weights_id]))
        paths += draw_prompts(run.label, run.analysis, folder / f"{stem}-{name}")
    return paths


def report_of(runs: Sequence[AnalysedRun], width: int | None = None) -> str:
    """Return the summary and the prompt swaps of several runs for a terminal."""
    parts = [terminal.body(_summary(runs), width=width), terminal.wrapped(SUMMARY_NOTE, width)]
    for run in runs:
        title = f"{run.label}: PSNR in dB of the row's images under the prompts of the column's"
        swaps = terminal.body(_swaps(run.analysis), width=width)
        parts.append(f"{terminal.wrapped(title, width)}\n{swaps}")
    routing = routing_table(runs)
    if routing is not None:
        parts.append(terminal.body(routing, width=width))
        for text in (routing.details, *routing.remarks):
            parts.append(terminal.wrapped(text, width))
    return "\n\n".join(parts)


def markdown_of(runs: Sequence[AnalysedRun]) -> str:
    """Return everything that was analysed as Markdown."""
    summary = replace(_summary(runs), heading="Probes", caption=SUMMARY_NOTE)
    parts = [markdown.render(summary, level=1)]
    routing = routing_table(runs)
    if routing is not None:
        parts.append(markdown.render(routing, level=2))
    for run in runs:
        parts.append(f"## {run.label}\n")
        for table in _sections(run.analysis):
            parts.append(markdown.render(table, level=3))
    return "\n".join(parts)


def latex_of(runs: Sequence[AnalysedRun]) -> str:
    """Return the summary and each run's prompt swaps as ``table`` environments."""
    summary = replace(
        _summary(runs, _SHORT_SUMMARY_HEADS), name="probes", caption="Probes.", details=SUMMARY_NOTE
    )
    parts = [latex_plain.plain(summary)]
    for number, run in enumerate(runs):
        caption = (
            f"{run.label}: PSNR in dB of the row's images under the prompts that the column's "
            "images receive; gap of the own ones to those of other kinds."
        )
        swaps = replace(_swaps(run.analysis), name=f"prompt-swap-{number}", caption=caption)
        parts.append(latex_plain.plain(swaps))
    routing = routing_table(runs)
    if routing is not None:
        parts.append(latex_plain.plain(routing))
    text = "\n\n".join(parts) + "\n"
    return f"{header(text)}\n\n{text}"


def _sections(analysis: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of a run, those with a heading as sections of their own."""
    yield replace(_swaps(analysis), heading="Prompt swaps")
    if analysis["prompt_swap"]["unselected"]:
        yield replace(_unselected(analysis), caption=_UNSELECTED_NOTE)
    for level, found in analysis["routing"].items():
        yield replace(_load(found["expert_load"]), heading=f"Routing at {level}")
    yield replace(_redundancy(analysis), heading="Redundancy")
    if analysis["explicit"]:
        yield replace(_confusion(analysis), heading="Decisions of the classifier")
        yield _decisions(analysis)
    if analysis["out_of_distribution"]:
        yield replace(_out_of_distribution(analysis), heading="Out-of-distribution degradations")
    varied = routing_columns(analysis)
    if varied is not None:
        yield replace(varied, heading="Routing at test: differences in dB", caption=_VARIED_NOTE)


def _summary(runs: Sequence[AnalysedRun], heads: Sequence[str] = _SUMMARY_HEADS) -> Table:
    return plain_table(heads, list(map(_summary_line, runs)))


def _summary_line(run: AnalysedRun) -> list[str]:
    import numpy as np

    swap = run.analysis["prompt_swap"]
    routing = list(run.analysis["routing"].values())
    information = [level["normalised_mutual_information"] for level in routing]
    redundancy = list(run.analysis["redundancy"].values())
    return [
        run.label,
        _number(_mean(np.diag(swap["psnr_db"])), 2, " dB"),
        _signed(_mean(swap["gap_db"]), " dB"),
        _with_chance(information, "families"),
        _with_chance(information, "tasks"),
        _number(_mean_of(routing, "load_entropy"), 2),
        _number(_mean_of(redundancy, "cosine_between_families"), 2),
        _number(_mean_of(redundancy, "cka_between_families"), 2),
    ]


def _with_chance(information: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return a mean over levels, and in brackets that of shuffled tasks."""
    by_chance = _mean_of(information, f"{name}_by_chance")
    return f"{_number(_mean_of(information, name), 2)} ({_number(by_chance, 2)})"


def _swaps(analysis: Mapping[str, Any]) -> Table:
    swap = analysis["prompt_swap"]
    lines = []
    for place, name in enumerate(analysis["columns"]):
        values = _decimals(swap["psnr_db"][place])
        lines.append([name, *values, _signed(swap["gap_db"][place])])
    return plain_table(["", *analysis["columns"], "gap"], lines)


def _unselected(analysis: Mapping[str, Any]) -> Table:
    lines = []
    for name, values in analysis["prompt_swap"]["unselected"].items():
        lines.append([f"prompt {name}", *_decimals(values)])
    return plain_table(["", *analysis["columns"]], lines)


def _load(expert_load: Mapping[str, Sequence[float]]) -> Table:
    experts = len(next(iter(expert_load.values())))
    lines = []
    for name, shares in expert_load.items():
        lines.append([name, *_decimals(shares)])
    return plain_table(["", *map("expert {}".format, range(experts))], lines)


def _redundancy(analysis: Mapping[str, Any]) -> Table:
    lines = []
    for level, found in analysis["redundancy"].items():
        cosine = _number(found["cosine_between_families"], 3)
        lines.append([level, cosine, _number(found["cka_between_families"], 3)])
    return plain_table(["between kinds", "cosine", "CKA"], lines)


def _confusion(analysis: Mapping[str, Any]) -> Table:
    found = analysis["explicit"]
    lines = []
    for name, counts in found["confusion"].items():
        lines.append([name, *map(str, counts)])
    return plain_table(["images classified as", *found["tasks"]], lines)


def _decisions(analysis: Mapping[str, Any]) -> Table:
    lines = []
    for name, found in analysis["explicit"]["psnr_db"].items():
        line = [name]
        for key in ("right", "wrong", "wrong_with_true_task"):
            line.append(_number(found[key], 2))
        lines.append(line)
    heads = ["PSNR in dB", "classified right", "classified wrong", "the same, with the true task"]
    return plain_table(heads, lines)


def _out_of_distribution(analysis: Mapping[str, Any]) -> Table:
    levels = list(analysis["routing"])
    lines = []
    for found in analysis["out_of_distribution"]:
        line = [found["kind"], found["name"]]
        line += _decimals([found["input_db"], found["restored_db"]])
        for level in levels:
            line.append(_most_used(found["expert_load"][level]))
        lines.append(line)
    heads = ["", "degradation", "input dB", "restored dB", *map("most at {}".format, levels)]
    return plain_table(heads, lines)


def _most_used(shares: Sequence[float | None]) -> str:
    known = [share for share in shares if share is not None]
    if len(known) < len(shares):
        return MISSING
    expert = max(range(len(known)), key=known.__getitem__)
    return f"{expert}: {100 * known[expert]:.0f}%"


def _decimals(values: Sequence[float | None]) -> list[str]:
    return [_number(value, 2) for value in values]


def _mean_of(levels: Sequence[Mapping[str, Any]], key: str) -> float:
    """Return the mean over levels of what they hold under ``key``."""
    return _mean([level[key] for level in levels])


def _mean(values: Iterable[float | None]) -> float:
    """Return the mean; NaN if one is unknown, since the mean of a part is another one."""
    import numpy as np

    floats = np.array(list(values), dtype=float)
    return float(floats.mean()) if len(floats) else float("nan")


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return MISSING if value is None or not math.isfinite(value) else f"{value:.{digits}f}{unit}"


def _signed(value: float | None, unit: str = "") -> str:
    return MISSING if value is None or not math.isfinite(value) else f"{value:+z.2f}{unit}"

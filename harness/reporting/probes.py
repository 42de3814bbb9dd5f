"""Probes at length as text, LaTeX and figures; docs/probes.md explains every number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from harness.reporting.latex import plain_table

Cells = list[list[str]]

SUMMARY_NOTE = (
    "Control: PSNR of an image under its own prompts minus that under the prompts which images of "
    "other kinds of degradation really receive, mean over columns. Information: what the most "
    "weighted expert says of the kind of degradation, I/H(kind), and of the single task, mean over "
    "levels; in brackets what shuffled tasks give. Use: entropy of how much all experts are used, "
    "over its maximum. Similarity: of the mean prompts of different kinds, mean over levels."
)
_SUMMARY_HEADS = (
    "Method",
    "own prompt",
    "control",
    "information (kinds)",
    "information (tasks)",
    "use",
    "cosine",
    "CKA",
)


@dataclass(frozen=True)
class Probed:
    """What ``full_probes.json`` holds of one cell."""

    label: str
    result: dict[str, Any]


def report(cells: Sequence[Probed]) -> str:
    """Return the summary and the control matrices for a terminal."""
    from tabulate import tabulate

    parts = [
        tabulate(_summary(cells), headers=_SUMMARY_HEADS, disable_numparse=True),
        fill(SUMMARY_NOTE, 96),
    ]
    for cell in cells:
        heads, lines = _control(cell)
        parts.append(
            f"{cell.label}: PSNR in dB of the row's images under the prompts of the column's\n"
            + tabulate(lines, headers=heads, disable_numparse=True)
        )
    return "\n\n".join(parts)


def markdown(cells: Sequence[Probed]) -> str:
    """Return everything that was probed as Markdown."""
    from tabulate import tabulate

    def table(heads: Sequence[str], lines: Cells) -> str:
        return tabulate(lines, headers=heads, tablefmt="pipe", disable_numparse=True)

    parts = ["# Probes", table(_SUMMARY_HEADS, _summary(cells)), SUMMARY_NOTE]
    for cell in cells:
        parts.append(f"## {cell.label}")
        parts += ["### Control", table(*_control(cell))]
        if cell.result["control"]["unused"]:
            parts.append("Prompts that no image selects, forced on all; they count nowhere above.")
            parts.append(table(*_unused(cell)))
        for level, found in cell.result["routing"].items():
            parts += [f"### Routing at {level}", table(*_use(found["use"]))]
        parts += ["### Redundancy", table(*_redundancy(cell))]
        if cell.result["explicit"]:
            parts += ["### Decisions of the classifier", table(*_confusion(cell))]
            parts.append(table(*_decisions(cell)))
        if cell.result["elsewhere"]:
            parts += ["### Degradations that training never showed", table(*_elsewhere(cell))]
    return "\n\n".join(parts) + "\n"


def latex(cells: Sequence[Probed]) -> str:
    """Return the summary and each cell's control matrix as ``table`` environments."""
    lines = _summary(cells)
    parts = [
        "% Needs \\usepackage{booktabs}.",
        plain_table(
            ("Method", "own", "control", "inf. (kinds)", "inf. (tasks)", "use", "cos.", "CKA"),
            lines,
            f"Probes. {SUMMARY_NOTE}",
            "probes",
        ),
    ]
    for number, cell in enumerate(cells):
        heads, matrix = _control(cell)
        caption = (
            f"{cell.label}: PSNR in dB of the row's images under the prompts that the column's "
            "images receive; advantage of the own ones over those of other kinds."
        )
        parts.append(plain_table(heads, matrix, caption, f"control-{number}"))
    return "\n\n".join(parts) + "\n"


def draw(cell: Probed, paths: Sequence[Path]) -> None:
    """Draw expert use per level, the control matrix and both similarities to each of ``paths``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    result, columns = cell.result, cell.result["columns"]
    levels = list(result["routing"])
    figure = Figure(figsize=(3.1 * len(levels) + 1, 10.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, len(levels), squeeze=False)
    for place in axes.ravel():
        place.set_axis_off()
    for place, level in zip(axes[0], levels, strict=True):
        use = np.array([result["routing"][level]["use"][column] for column in columns])
        experts = [str(i) for i in range(use.shape[1])]
        _heat(place, use, columns, experts, f"use of experts, {level}", (0, 1), "Blues", ".2f")
    psnr_db = np.array(result["control"]["psnr_db"])
    lost = psnr_db - np.diag(psnr_db)[:, None]
    bound = max(1.0, float(np.abs(lost).max()))
    _heat(
        axes[1, 0],
        lost,
        columns,
        columns,
        "control: dB against own",
        (-bound, bound),
        "RdBu",
        ".1f",
    )
    for row, name, shown, limits, colours in (
        (2, "cosine", "cosine", (-1.0, 1.0), "RdBu_r"),
        (3, "cka", "CKA", (0.0, 1.0), "Purples"),
    ):
        for place, level in zip(axes[row], levels, strict=True):
            values = np.array(result["redundancy"][level][name], dtype=float)
            title = f"{shown} of prompts, {level}"
            _heat(place, values, columns, columns, title, limits, colours, ".2f")
    figure.suptitle(cell.label)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


def _heat(
    place: Any,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    limits: tuple[float, float],
    colours: str,
    digits: str,
) -> None:
    place.set_axis_on()
    image = place.imshow(values, vmin=limits[0], vmax=limits[1], cmap=colours, aspect="auto")
    place.set_title(title, fontsize=9)
    place.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=7)
    place.set_yticks(range(len(rows)), rows, fontsize=7)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        place.text(
            column, row, format(value, digits), ha="center", va="center", fontsize=6, color=ink
        )


def _summary(cells: Sequence[Probed]) -> Cells:
    lines = []
    for cell in cells:
        result = cell.result
        levels = [found["information"] for found in result["routing"].values()]
        alike = result["redundancy"].values()
        lines.append(
            [
                cell.label,
                _number(float(np.mean(np.diag(result["control"]["psnr_db"]))), 2, " dB"),
                _number(_mean(result["control"]["advantage_db"]), 2, " dB", signed=True),
                *(
                    f"{_mean([at[name] for at in levels]):.2f} "
                    f"({_mean([at[f'{name}_by_chance'] for at in levels]):.2f})"
                    for name in ("families", "tasks")
                ),
                _number(_mean([f["entropy_of_use"] for f in result["routing"].values()]), 2),
                _number(_mean([at["cosine_between_families"] for at in alike]), 2),
                _number(_mean([at["cka_between_families"] for at in alike]), 2),
            ]
        )
    return lines


def _control(cell: Probed) -> tuple[list[str], Cells]:
    columns, control = cell.result["columns"], cell.result["control"]
    lines = [
        [name, *(f"{value:.2f}" for value in row), _number(advantage, 2, signed=True)]
        for name, row, advantage in zip(
            columns, control["psnr_db"], control["advantage_db"], strict=True
        )
    ]
    return ["", *columns, "advantage"], lines


def _unused(cell: Probed) -> tuple[list[str], Cells]:
    unused = cell.result["control"]["unused"]
    lines = [[f"prompt {name}", *(f"{v:.2f}" for v in row)] for name, row in unused.items()]
    return ["", *cell.result["columns"]], lines


def _use(use: dict[str, list[float]]) -> tuple[list[str], Cells]:
    count = len(next(iter(use.values())))
    lines = [[name, *(f"{share:.2f}" for share in row)] for name, row in use.items()]
    return ["", *(f"expert {i}" for i in range(count))], lines


def _redundancy(cell: Probed) -> tuple[list[str], Cells]:
    lines = [
        [level, _number(at["cosine_between_families"], 3), _number(at["cka_between_families"], 3)]
        for level, at in cell.result["redundancy"].items()
    ]
    return ["between kinds", "cosine", "CKA"], lines


def _confusion(cell: Probed) -> tuple[list[str], Cells]:
    found = cell.result["explicit"]
    lines = [[name, *map(str, row)] for name, row in found["confusion"].items()]
    return ["images taken for", *found["tasks"]], lines


def _decisions(cell: Probed) -> tuple[list[str], Cells]:
    lines = [
        [name, *(_number(at[key], 2) for key in ("right", "wrong", "wrong_if_told"))]
        for name, at in cell.result["explicit"]["psnr_db"].items()
    ]
    return ["PSNR in dB", "decided right", "decided wrong", "the same, if told"], lines


def _elsewhere(cell: Probed) -> tuple[list[str], Cells]:
    levels = list(cell.result["routing"])
    lines = []
    for at in cell.result["elsewhere"]:
        routes = []
        for level in levels:
            shares = at["use"][level]
            expert = int(np.argmax(shares))
            routes.append(f"{expert}: {100 * shares[expert]:.0f}%")
        lines.append(
            [at["kind"], at["name"], f"{at['input_db']:.2f}", f"{at['restored_db']:.2f}", *routes]
        )
    heads = [
        "",
        "degradation",
        "input dB",
        "restored dB",
        *(f"most at {level}" for level in levels),
    ]
    return heads, lines


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def _number(value: float | None, digits: int, unit: str = "", signed: bool = False) -> str:
    if value is None or np.isnan(value):
        return "--"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text + unit

"""Results: one value of one metric on one image each, stored as JSON lines.

JSON lines append safely (a line is written with one call and a cut-off last line is
recognised and dropped), are read by anything, and a run has thousands of results, not millions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from harness.config.errors import HarnessError

Origin = Literal["measured", "re-evaluated", "cited"]


@dataclass(frozen=True)
class Result:
    """One value of one metric on one image.

    Attributes:
        weights: id of the trained weights (hash of the TrainSpec).
        score: id of the ScoreSpec under which the value was measured.
        method: method with its options as asked for, e.g. ``cpl:top_k=2``.
        seed: seed of the training run.
        setting: name of the setting.
        data_set: name of the data set, e.g. ``CBSD68`` or ``synthetic``.
        column: column of the table.
        image: image within the column, with the draw of its degradation.
        metric: full metric id, e.g. ``psnr_rgb`` (dB) or ``pyiqa:lpips``.
        preprocessing: id of the rule by which the pair was made.
        protocol: id of the rule by which it was scored.
        value: the value, in the metric's unit.
        origin: measured here, re-evaluated from an author's checkpoint, or cited.
    """

    weights: str
    score: str
    method: str
    seed: int
    setting: str
    data_set: str
    column: str
    image: str
    metric: str
    preprocessing: str
    protocol: str
    value: float
    origin: Origin = "measured"


RESULT_FIELDS = tuple(field.name for field in fields(Result))
"""The names of a result's fields, in the order of the columns of an archive."""


def append(path: Path, results: Sequence[Result]) -> None:
    """Append ``results`` to ``path`` with one write and flush them to the disk.

    A line that an earlier process left unfinished is closed first, so that it cannot
    swallow the first new result.
    """
    lines = [json.dumps(asdict(result), sort_keys=True) + "\n" for result in results]
    text = "".join(lines)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read(paths: Iterable[Path]) -> list[Result]:
    """Read the results of several files; unfinished lines are skipped, other damage is an error.

    Raises:
        HarnessError: a complete line is no result; the message names file and line.
    """
    results = []
    for path in paths:
        for where, content in read_lines(path):
            if set(content) != set(RESULT_FIELDS):
                raise HarnessError(
                    f"{where}, does not have the fields of a result; "
                    "move the file away to score again"
                )
            results.append(Result(**content))
    return results


def read_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return each complete line of a file of JSON lines, with the words that name its place.

    Raises:
        HarnessError: a complete line is no JSON object; the message names file and line.
    """
    found = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        where = f"{path}, line {number}"
        try:
            content = json.loads(line)
        except json.JSONDecodeError as error:
            # Only a write that was cut off leaves a line that is not JSON.
            if line.startswith("{") and not line.rstrip().endswith("}"):
                continue
            raise HarnessError(
                f"{where}, is not a result; move the file away to score again"
            ) from error
        if not isinstance(content, dict):
            raise HarnessError(
                f"{where}, does not have the fields of a result; move the file away to score again"
            )
        found.append((where, content))
    return found


def results_of(path: Path, score_id: str | None) -> list[Result]:
    """Return the results of one score that ``path`` holds; none where there is no file."""
    if score_id is None or not path.exists():
        return []
    return [result for result in read([path]) if result.score == score_id]

"""Results: one value of one metric on one image each, stored as JSON lines.

JSON lines append safely (a cut-off last line is recognised and dropped) and are read by anything.
Each line carries a checksum of its fields.
"""

from __future__ import annotations

import functools
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from harness.config.errors import HarnessError
from harness.config.files import load_protocol, protocol_names
from harness.store.files import append_lines, not_read, read_text

Origin = Literal["measured", "re-evaluated", "cited"]

WHOLE_COLUMN = "*"
"""The image of a result that is of all images of its column at once."""


@dataclass(frozen=True)
class Result:
    """One value of one metric on one image, or on all images of a column.

    Attributes:
        weights: id of the trained weights (hash of the TrainSpec).
        score: id of the ScoreSpec under which the value was measured.
        method: method with its options as asked for, e.g. ``cpl:top_k=2``.
        seed: seed of the training run.
        setting: name of the setting.
        data_set: name of the data set, e.g. ``CBSD68`` or ``synthetic``.
        column: column of the table.
        image: image within the column, with the draw of its degradation; ``*`` for a metric of
            all images of the column, as FID.
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


_WRITTEN = {
    "seed": re.compile(r"-?\d{1,19}", re.ASCII),
    "value": re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?|nan|-?inf", re.ASCII),
}
"""How numbers are written in CSV; Python reads ``1_0`` and digits of other scripts too."""

_CHECKSUM = "crc32"
"""Key of a line's checksum; lines that were written before it existed have none."""

_LARGEST = 1e100
"""No metric has values beyond this."""

_LARGEST_PSNR_DB = 1000.0
"""Beyond what arithmetic can yield of images that differ; of equal images it is infinite."""


def append(path: Path, results: Sequence[Result]) -> None:
    """Append ``results`` to ``path``, all or none, and flush them to the disk.

    Raises:
        HarnessError: the file cannot be written; the message names it and the reason.
    """
    append_lines(path, list(map(_as_line, results)))


def read(paths: Iterable[Path]) -> list[Result]:
    """Read the results of several files line by line; unfinished lines are skipped.

    Other damage is an error. :func:`harness.store.stored_results.results_in` returns the same of
    many lines, faster.

    Raises:
        HarnessError: a complete line is no result; the message names file and line.
    """
    results = []
    for path in paths:
        results += _parsed(read_lines(path))
    return results


def parsed_lines(path: Path, data: bytes, first_line: int) -> list[Result]:
    """Return the results of a part of a file, whose first line has a number; see :func:`read`.

    Raises:
        HarnessError: a complete line is no result; the message names file and line.
    """
    try:
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()
    except UnicodeDecodeError as error:
        raise HarnessError(not_read(path, error)) from error
    return _parsed(_contents(path, text, first_line))


def read_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return each complete line of a file of JSON lines, with the words that name its place.

    Raises:
        HarnessError: a complete line is no JSON object, or the file is no text; the message names
            file and line.
    """
    return list(_contents(path, read_text(path), 1))


def _contents(path: Path, text: str, first_line: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=first_line):
        if not line:
            continue
        where = f"{path}, line {number}"
        try:
            content = json.loads(line, object_pairs_hook=_each_key_once)
        except (ValueError, RecursionError) as error:
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
        yield where, content


def _each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _parsed(contents: Iterable[tuple[str, dict[str, Any]]]) -> list[Result]:
    results = []
    for where, content in contents:
        try:
            results.append(parsed_result(_verified(content)))
        except ValueError as error:
            raise HarnessError(f"{where}, {error}; move the file away to score again") from error
    return results


def parsed_result(content: Mapping[str, Any]) -> Result:
    """Return the result that ``content`` holds, every field checked.

    Raises:
        ValueError: a field is missing, unknown, of another type, or a value that cannot be.
    """
    if set(content) != set(RESULT_FIELDS):
        raise ValueError("does not have the fields of a result")
    for name, value in content.items():
        if name not in ("seed", "value") and not (isinstance(value, str) and value):
            raise ValueError(f"has {name} {value!r}, which is no name")
    origin, seed, value = content["origin"], content["seed"], content["value"]
    if origin not in get_args(Origin):
        raise ValueError(f"has origin '{origin}', which is none of {', '.join(get_args(Origin))}")
    if type(seed) is not int:
        raise ValueError(f"has seed {seed!r}, which is no whole number")
    if not -(2**63) <= seed < 2**63:
        raise ValueError("has a seed of more than 63 bits")
    if type(value) not in (int, float):
        raise ValueError(f"has value {value!r}, which is no number")
    result = Result(**{**content, "value": float(value)})
    check_possible(result.metric, result.protocol, result.value)
    return result


def written_numbers(line: Mapping[str, Any]) -> dict[str, int | float]:
    """Return seed and value of a line of CSV.

    Raises:
        ValueError: one is missing, or not written as this project writes it.
    """
    for name, pattern in _WRITTEN.items():
        if not pattern.fullmatch(str(line[name])):
            raise ValueError(f"{name} '{line[name]}' is no number as it is written here")
    return {"seed": int(line["seed"]), "value": float(line["value"])}


def check_possible(metric: str, protocol: str, value: float) -> None:
    """Raise :class:`ValueError` for a finite value that the metric cannot have."""
    if not math.isfinite(value):
        return
    low, high = -_LARGEST, _LARGEST
    if metric.startswith("psnr_"):
        low, high = -_LARGEST_PSNR_DB, _LARGEST_PSNR_DB
        if value < 0 and protocol in _clamping_protocols():
            low = 0.0  # both images lie in [0, 1], so no error is larger than the peak
    if not low <= value <= high:
        raise ValueError(f"has {metric} {value:g}, which cannot be")


@functools.cache
def _clamping_protocols() -> frozenset[str]:
    """Return the ids of the protocols that ship and clamp restored images to [0, 1]."""
    protocols = [load_protocol(name).protocol for name in protocol_names()]
    return frozenset(protocol.id for protocol in protocols if protocol.clamp)


def _as_line(result: Result) -> str:
    content = asdict(result)
    return json.dumps({**content, _CHECKSUM: _checksum(content)}, sort_keys=True)


def _verified(content: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line without its checksum, which must fit them."""
    fields_alone = dict(content)
    found = fields_alone.pop(_CHECKSUM, None)
    if found is not None and found != _checksum(fields_alone):
        raise ValueError("is damaged: its checksum differs")
    return fields_alone


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"

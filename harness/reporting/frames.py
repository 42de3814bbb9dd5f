"""Stored results as a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError
from harness.store.archive import archives_below, read_archive
from harness.store.files import read_json_object
from harness.store.legacy.archives import is_legacy
from harness.store.legacy.names import may_be_former, present_id
from harness.store.results import RESULT_FIELDS, Result, read

if TYPE_CHECKING:
    import pandas as pd


def results_frame(folder: Path) -> pd.DataFrame:
    """Return all results of an output folder, or of archives below it, one row per value.

    Columns are the fields of :class:`~harness.store.results.Result`.

    Raises:
        HarnessError: the folder holds no results, or is of version 0.1.
    """
    import pandas as pd

    results = results_below(folder)
    if not results:
        raise HarnessError(
            f"{folder} holds no results; compute some with python -m harness run --out {folder}"
        )
    rows = [asdict(result) for result in results]
    return pd.DataFrame(rows, columns=list(RESULT_FIELDS))


def results_below(folder: Path) -> Sequence[Result]:
    """Return all results of an output folder, or of archives below it.

    Raises:
        HarnessError: there is no such folder, or it is of version 0.1.
    """
    if not folder.is_dir():
        raise HarnessError(
            f"{folder} does not exist; compute results with python -m harness run --out {folder}"
        )
    if is_legacy(folder):
        raise HarnessError(
            f"{folder} holds results of version 0.1; convert them with "
            f"python -m harness run ... --import {folder}"
        )
    results: list[Result] = []
    for path in sorted(folder.glob("*/results.jsonl")):
        results += _under_present_names(read([path]), path.parent / "spec.json")
    for archive in archives_below(folder):
        by_weights: dict[str, list[Result]] = {}
        for result in read_archive(archive):
            by_weights.setdefault(result.weights, []).append(result)
        for weights, found in by_weights.items():
            specs = sorted((archive / "runs").glob(f"*-{weights}.json"))
            results += _under_present_names(found, specs[0]) if specs else found
    return results


def _under_present_names(results: Sequence[Result], file: Path) -> Sequence[Result]:
    """Return the results of one run with the id that its method has now.

    ``file`` holds its training spec, alone or, in an archive, under the key ``spec``.
    """
    if not any(may_be_former(result.method) for result in results) or not file.is_file():
        return results
    content = read_json_object(file)
    spec = content.get("spec", content)
    return [replace(result, method=present_id(result.method, spec)) for result in results]

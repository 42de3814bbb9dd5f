"""Stored results as a data frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.errors import HarnessError
from harness.config.user_folders import no_folder
from harness.store.archive import archives_below, read_archive
from harness.store.files import read_json_object
from harness.store.legacy.archives import is_legacy
from harness.store.legacy.names import may_be_former, present_id
from harness.store.result_columns import ResultColumns
from harness.store.results import RESULT_FIELDS
from harness.store.stored_parts import checked_spec
from harness.store.stored_results import results_in, run_files, with_last_ids

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
    columns: dict[str, Any] = {}
    for field in RESULT_FIELDS:
        if field in ("seed", "value"):
            columns[field] = results.seeds if field == "seed" else results.values
            continue
        column = results.column(field)
        # Text, not categories: groups and comparisons behave as of any other frame.
        columns[field] = pd.Series(list(column.names)).array.take(column.codes)
    return pd.DataFrame(columns, copy=False)


def results_below(folder: Path) -> ResultColumns:
    """Return all results of an output folder, or of archives below it.

    Raises:
        HarnessError: there is no such folder, or it is of version 0.1.
    """
    if not folder.is_dir():
        way_out = f"compute results with python -m harness run --out {folder}"
        if folder.exists():
            way_out = "name an output folder, or one that run --export wrote"
        raise HarnessError(f"{folder} {no_folder(folder)}; {way_out}")
    if is_legacy(folder):
        raise HarnessError(
            f"{folder} holds results of version 0.1; convert them with "
            f"python -m harness run ... --import {folder}"
        )
    results: list[ResultColumns] = []
    files = run_files(folder)
    for path, found in zip(files, results_in(files), strict=True):
        results.append(_under_present_names(with_last_ids(found), path.parent / "spec.json"))
    for archive in archives_below(folder):
        for weights, found in ResultColumns.of(read_archive(archive)).by("weights").items():
            specs = sorted((archive / "runs").glob(f"*-{weights}.json"))
            results.append(_under_present_names(found, specs[0]) if specs else found)
    return ResultColumns.joined(results)


def _under_present_names(results: ResultColumns, file: Path) -> ResultColumns:
    """Return the results of one run with the id that its method has now.

    ``file`` holds its training spec, alone or, in an archive, under the key ``spec``.
    """
    names = results.distinct("method")
    if not any(map(may_be_former, names)) or not file.is_file():
        return results
    content = read_json_object(file)
    spec = checked_spec(content.get("spec", content), file)
    if all(present_id(name, spec) == name for name in names):
        return results
    return results.renamed("method", lambda method: present_id(method, spec))

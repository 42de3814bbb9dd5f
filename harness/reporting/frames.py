"""Stored results as a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError
from harness.store.archive import archives_below, read_archive
from harness.store.legacy.archives import is_legacy
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
    results = list(read(sorted(folder.glob("*/results.jsonl"))))
    for archive in archives_below(folder):
        results += read_archive(archive)
    return results

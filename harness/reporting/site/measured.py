"""What was measured, as archives and output folders hold it, grouped into what may be compared.

Rows are compared only if they are of the same images under the same preprocessing and protocol. Two
trainings of one method that differ in more than the seed are two rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.errors import HarnessError
from harness.reporting.table_files import content_id
from harness.store.archive import archives_below, read_archive
from harness.store.files import read_json_object
from harness.store.results import Result, read
from harness.store.run_folder import RunFolder


@dataclass(frozen=True)
class MeasuredRun:
    """The results of one score of one run.

    Attributes:
        id: of the run, or of its weights where the archive has no file of it.
        place: name of the archive or folder.
        results: of one score.
        spec: of the training; empty if it is not stored.
        provenance: of the training; empty if it is not stored.
    """

    id: str
    place: str
    results: tuple[Result, ...]
    spec: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def method(self) -> str:
        """Id of the method with its options."""
        return self.results[0].method

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.results[0].seed

    @property
    def training_id(self) -> str:
        """What tells trainings of one method apart, all seeds alike."""
        alike = {name: value for name, value in self.spec.items() if name not in _PER_SEED}
        return content_id({"method": self.method, "spec": alike})

    @property
    def data_sets(self) -> dict[str, str]:
        """The data set of each column."""
        return {result.column: result.data_set for result in self.results}

    @property
    def images(self) -> dict[str, list[str]]:
        """The images of each column, sorted."""
        found: dict[str, set[str]] = {}
        for result in self.results:
            found.setdefault(result.column, set()).add(result.image)
        return {column: sorted(names) for column, names in found.items()}


_PER_SEED = ("seed", "requires")
"""Parts of a spec that differ from seed to seed."""


@dataclass(frozen=True)
class MeasuredGroup:
    """Runs that may be compared: one setting, one protocol, the same images."""

    setting: str
    protocol: str
    preprocessing: str
    runs: tuple[MeasuredRun, ...]

    @property
    def by_training(self) -> dict[str, list[MeasuredRun]]:
        """The runs of each row, by the id of the training."""
        found: dict[str, list[MeasuredRun]] = {}
        for run in self.runs:
            found.setdefault(run.training_id, []).append(run)
        return found

    @property
    def results(self) -> list[Result]:
        """All results, under the id of their training instead of their method."""
        found = []
        for run in self.runs:
            for result in run.results:
                found.append(replace(result, method=run.training_id))
        return found


def measured_runs(folder: Path) -> list[MeasuredRun]:
    """Return what a folder holds: an output folder, or archives in it.

    Raises:
        HarnessError: the folder holds no results, or something in it is damaged.
    """
    found: list[MeasuredRun] = []
    for path in sorted(folder.glob("*/results.jsonl")):
        run_folder = RunFolder(path.parent)
        spec = read_json_object(run_folder.spec) if run_folder.spec.exists() else {}
        parts = {"spec": spec, "provenance": run_folder.read_provenance()}
        found += _runs_of(read([path]), folder.name, {path.parent.name: parts})
    for archive in archives_below(folder):
        files = {}
        for path in sorted((archive / "runs").glob("*.json")):
            files[path.stem] = read_json_object(path)
        found += _runs_of(read_archive(archive), archive.name, files)
    if not found:
        raise HarnessError(
            f"{folder} holds no results; name an output folder, or one that run --export wrote"
        )
    return found


def grouped(runs: Sequence[MeasuredRun]) -> list[MeasuredGroup]:
    """Return runs in groups that may be compared; the same score is counted once."""
    by_score = {run.results[0].score: run for run in reversed(runs)}
    found: dict[str, list[MeasuredRun]] = {}
    for run in reversed(by_score.values()):
        first = run.results[0]
        key = content_id(
            {
                "setting": first.setting,
                "protocol": first.protocol,
                "preprocessing": first.preprocessing,
                "data_sets": run.data_sets,
                "images": run.images,
            }
        )
        found.setdefault(key, []).append(run)
    groups = []
    for same in found.values():
        first = same[0].results[0]
        groups.append(
            MeasuredGroup(first.setting, first.protocol, first.preprocessing, tuple(same))
        )
    return groups


def _runs_of(
    results: Iterable[Result], place: str, files: Mapping[str, Mapping[str, Any]]
) -> list[MeasuredRun]:
    by_score: dict[str, list[Result]] = {}
    for result in results:
        by_score.setdefault(result.score, []).append(result)
    runs = []
    for same in by_score.values():
        weights = same[0].weights
        name = next((stem for stem in files if stem.endswith(weights)), weights)
        parts = files.get(name, {})
        runs.append(
            MeasuredRun(
                id=name,
                place=place,
                results=tuple(same),
                spec=parts.get("spec", {}),
                provenance=parts.get("provenance", {}),
            )
        )
    return runs

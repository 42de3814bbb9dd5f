"""What was measured, as archives and output folders hold it, grouped into what may be compared.

Rows are compared only if they are of the same images under the same preprocessing and protocol. Two
trainings of one method that differ in more than the seed are two rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config.errors import HarnessError
from harness.config.user_folders import no_folder
from harness.reporting.table_files import content_id
from harness.store.archive import archives_below, read_archive
from harness.store.files import read_json_object
from harness.store.prompt_files import stored_summary
from harness.store.result_columns import ResultColumns
from harness.store.results import WHOLE_COLUMN
from harness.store.run_folder import RunFolder
from harness.store.stored_parts import checked_parts, read_spec
from harness.store.stored_results import results_in, run_files, with_last_ids


@dataclass(frozen=True)
class MeasuredRun:
    """The results of one score of one run.

    Attributes:
        id: of the run, or of its weights where the archive has no file of it.
        place: name of the archive or folder.
        results: of one score.
        spec: of the training; empty if it is not stored.
        provenance: of the training; empty if it is not stored.
        higher_is_better: the direction of metrics by id, as it was stored when they were computed.
    """

    id: str
    place: str
    results: ResultColumns
    spec: Mapping[str, Any]
    provenance: Mapping[str, Any]
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Id of the method with its options."""
        return self.results[0].method

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.results[0].seed

    @property
    def steps(self) -> int | None:
        """Steps of the training; None where they are not stored, or nothing was trained."""
        steps = self.provenance.get("steps") or _mapping(self.spec.get("optimisation")).get("steps")
        return steps if isinstance(steps, int) else None

    @property
    def training_id(self) -> str:
        """What tells trainings of one method apart, all seeds alike."""
        alike = {name: value for name, value in self.spec.items() if name not in _PER_SEED}
        return content_id({"method": self.method, "spec": alike})

    @property
    def data_sets(self) -> dict[str, str]:
        """The data set of each column."""
        return dict(zip(self.results.texts("column"), self.results.texts("data_set"), strict=True))

    @property
    def images(self) -> dict[str, list[str]]:
        """The images of each column, sorted; a value of a whole column is of no image."""
        found: dict[str, list[str]] = {}
        for column, results in self.results.by("column").items():
            names = set(results.distinct("image")) - {WHOLE_COLUMN}
            found[column] = sorted(names)
        return found


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
    def results(self) -> ResultColumns:
        """All results, under the id of their training instead of their method."""
        found = []
        for run in self.runs:
            found.append(run.results.with_name("method", run.training_id))
        return ResultColumns.joined(found)


def told_apart(trainings: Mapping[str, Sequence[MeasuredRun]]) -> dict[str, list[str]]:
    """Return in words what tells each training from those of its method with as many steps.

    Args:
        trainings: the runs of all rows of a list, by the id of the training.
    """
    facts = {training: _facts(runs[0]) for training, runs in trainings.items()}
    alike: dict[tuple[str, int | None], list[str]] = {}
    for training, (first, *_) in trainings.items():
        alike.setdefault((first.method, first.steps), []).append(training)
    found = {}
    for same in alike.values():
        for training in same:
            own, others = facts[training], [facts[other] for other in same if other != training]
            found[training] = _own_words(own, others)
            if own in others:
                # What they differ in is in the spec, which the source of each row shows.
                found[training].append(f"run {trainings[training][0].id}")
    return found


def _own_words(own: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> list[str]:
    return [fact for name, fact in own.items() if any(one.get(name) != fact for one in others)]


_NAMED_VALUES = ("optimisation", "options", "checkpoint_parts")
_DIGEST_DIGITS = 8
_SINGLE_VALUES = {
    "method_version": "version",
    "plugin_sha256": "plug-in",
    "initial_sha256": "from weights",
    "checkpoint_sha256": "checkpoint",
}
"""Parts of a spec with one value, and what it is called before its first digits."""


def _facts(run: MeasuredRun) -> dict[str, str]:
    """Return what a training is, in words, by the name of each part."""
    facts = {}
    for part in _NAMED_VALUES:
        for name, value in _mapping(run.spec.get(part)).items():
            facts[name] = f"{name} {value}"
    for part, start in _SINGLE_VALUES.items():
        if run.spec.get(part) is not None:
            facts[part] = f"{start} {str(run.spec[part])[:_DIGEST_DIGITS]}"
    if words := _training_words(_mapping(run.spec.get("data"))):
        facts["data"] = f"trained on {words}"
    return facts


def _training_words(data: Mapping[str, Any]) -> str:
    """Return what a training saw; empty where the spec does not hold it."""
    folder = _mapping(data.get("train_folder"))
    if isinstance(images := folder.get("images"), list):
        return f"{len(images)} images of {folder.get('set')}"
    if isinstance(files := data.get("files"), list):
        return ", ".join(dict.fromkeys(str(_mapping(entry).get("set")) for entry in files))
    photographs = data.get("train")
    return f"{len(photographs)} embedded photographs" if isinstance(photographs, list) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a part of a spec, which archives made elsewhere may hold in another form."""
    return value if isinstance(value, Mapping) else {}


def _directions(summary: object) -> dict[str, bool]:
    """Return which values of metrics are better, as a prompt summary holds it."""
    stored = _mapping(_mapping(summary).get("higher_is_better"))
    return {metric: better for metric, better in stored.items() if isinstance(better, bool)}


def measured_runs(folder: Path) -> list[MeasuredRun]:
    """Return what a folder holds: an output folder, or archives in it.

    Raises:
        HarnessError: the folder holds no results, or something in it is damaged.
    """
    found: list[MeasuredRun] = []
    files = run_files(folder)
    for path, results in zip(files, results_in(files), strict=True):
        run_folder = RunFolder(path.parent)
        spec = read_spec(run_folder.spec) if run_folder.spec.exists() else {}
        parts = {
            "spec": spec,
            "provenance": run_folder.read_provenance(),
            "prompt_summary": stored_summary(run_folder),
        }
        found += _runs_of(results, folder.name, {path.parent.name: parts})
    for archive in archives_below(folder):
        documents = {}
        for path in sorted((archive / "runs").glob("*.json")):
            documents[path.stem] = checked_parts(read_json_object(path), path)
        found += _runs_of(ResultColumns.of(read_archive(archive)), archive.name, documents)
    if not found:
        what = "holds no results" if folder.is_dir() else no_folder(folder)
        raise HarnessError(
            f"{folder} {what}; name an output folder, or one that run --export wrote"
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
    results: ResultColumns, place: str, files: Mapping[str, Mapping[str, Any]]
) -> list[MeasuredRun]:
    runs = []
    for same in with_last_ids(results).by("score").values():
        weights = same[0].weights
        name = next((stem for stem in files if stem.endswith(weights)), weights)
        parts = files.get(name, {})
        runs.append(
            MeasuredRun(
                id=name,
                place=place,
                results=same,
                spec=parts.get("spec", {}),
                provenance=parts.get("provenance", {}),
                higher_is_better=_directions(parts.get("prompt_summary")),
            )
        )
    return runs

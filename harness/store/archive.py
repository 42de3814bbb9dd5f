"""Archives: stored results as files for a repository.

``results.csv`` holds one line per value, ``runs/`` one JSON file per run: its training spec, the
provenance of its training, and what is known of its prompts. Weights are not part of an archive; a
run that is imported from one is done as far as it was scored.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError, other_columns
from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec
from harness.config.user_folders import check_no_file
from harness.store.files import read_json_object, read_text, write_json, write_text
from harness.store.legacy.archives import legacy_sources
from harness.store.legacy.names import former_spec
from harness.store.results import RESULT_FIELDS, Result, parsed_result, written_numbers
from harness.store.run_folder import names_with, stored_spec_id
from harness.store.stored_parts import checked_parts
from harness.store.stored_results import read_ahead
from harness.store.stored_run import (
    RecordSource,
    RunRecord,
    StoredRun,
    merged_parts,
    stored_parts,
    write_parts,
    write_results,
)

RESULTS_FILE = "results.csv"


def export_runs(runs: Sequence[StoredRun], folder: Path) -> int:
    """Write what is stored of ``runs`` to ``folder``, next to what is there; return runs written.

    Raises:
        UsageError: nothing is stored.
    """
    read_ahead(run.folder.results for run in runs)
    # One run may be here several times, once for each protocol that it is scored by.
    stored = [(run, run.results()) for run in runs]
    scored = [(run, results) for run, results in stored if results]
    if not scored:
        raise UsageError(
            f"nothing of this plan is stored, so there is nothing to export to {folder}; "
            "compute it with python -m harness run"
        )
    # The same weights may have been exported as scored on other images, by another metric or by
    # another protocol.
    held = {_key(result): result for result in read_archive(folder)}
    for _, results in scored:
        held |= {_key(result): result for result in results}
    write_text(folder / RESULTS_FILE, _as_csv(list(held.values())))
    for run, _ in scored:
        write_json(_run_file(folder, run), _content(folder, run))
    return len({run.weights_id for run, _ in scored})


def import_runs(runs: Sequence[StoredRun], folder: Path) -> int:
    """Put what ``folder`` holds of ``runs`` into their folders; return runs imported.

    ``folder`` is one that :func:`export_runs` wrote, or holds several such; archives and output
    folders of version 0.1 are read too. Runs that have results already keep their own.

    Raises:
        UsageError: the folder holds no archive or is a file, or a file in it is of another run.
        HarnessError: a file of it is damaged.
    """
    check_no_file(folder, "--import")
    sources = _sources(folder)
    if not sources:
        raise UsageError(
            f"--import {folder}: no {RESULTS_FILE} there; write one with run --export FOLDER"
        )
    imported: set[str] = set()
    read_ahead(run.folder.results for run in runs)
    missing = [run for run in runs if not run.is_stored()]
    for source in sources:
        left = []
        for run in missing:
            if _import_run(run, source):
                imported.add(run.id)
            if not run.is_stored():
                left.append(run)
        missing = left
    return len(imported)


def archives_below(folder: Path, file: str = RESULTS_FILE) -> list[Path]:
    """Return ``folder`` and the folders in it, of those that hold ``file``."""
    own = [folder] if (folder / file).is_file() else []
    return own + [folder / name for name in names_with(folder, file)]


def read_archive(folder: Path) -> list[Result]:
    """Return the results of an archive, none where there is no file.

    Raises:
        UsageError: a column or a line is not that of a result.
    """
    path = folder / RESULTS_FILE
    if not path.is_file():
        return []
    results = []
    reader = csv.DictReader(StringIO(read_text(path), newline=""))
    try:
        head = tuple(reader.fieldnames or ())
        if head != RESULT_FIELDS:
            raise UsageError(
                f"{path} {other_columns(head, RESULT_FIELDS)}; restore the file from its source, "
                "or write it again with run --export FOLDER"
            )
        for line in reader:
            results.append(_parsed(line))
    except (TypeError, ValueError, csv.Error) as error:
        raise UsageError(
            f"{path}, line {reader.line_num}, is no result ({error}); "
            "restore the file from its source"
        ) from error
    return results


@dataclass(frozen=True)
class Archive:
    """A folder that :func:`export_runs` wrote, read as a source of records."""

    folder: Path
    by_weights: dict[str, list[Result]]

    @classmethod
    def read(cls, folder: Path) -> Archive:
        """Read the results of an archive; see :func:`read_archive` for errors."""
        by_weights: dict[str, list[Result]] = {}
        for result in read_archive(folder):
            by_weights.setdefault(result.weights, []).append(result)
        return cls(folder, by_weights)

    def record_of(self, run: StoredRun) -> RunRecord | None:
        """See :class:`RecordSource`.

        The same training may have had another id, where defaults were others or were written out.
        """
        if run.weights_id in self.by_weights:
            held = _under_id(run.method, self.by_weights[run.weights_id])
            if not any(result.score == run.score_id for result in held):
                return None
            path = _run_file(self.folder, run)
            if not path.exists():
                path = _any_file(self.folder / "runs", run.weights_id)
            return RunRecord(held, _parts(path, run.weights_id))
        former = former_spec(run.spec)
        if former is None or run.score is None or spec_hash(former) not in self.by_weights:
            return None
        return self._former_record(run, run.score, spec_hash(former))

    def _former_record(self, run: StoredRun, score: ScoreSpec, weights: str) -> RunRecord | None:
        """Return what is held of ``run`` under the name that its method had before, if anything.

        Args:
            run: whose record it becomes.
            score: what is scored of it.
            weights: the id that its weights had.
        """
        held = spec_hash(score.model_copy(update={"weights": weights}))
        ours = spec_hash(score)
        results = []
        for result in self.by_weights[weights]:
            if result.score == held:
                named = replace(result, weights=run.weights_id, score=ours, method=run.method)
                results.append(named)
        if not results:
            return None
        parts = _parts(_any_file(self.folder / "runs", weights), weights)
        analyses = parts.pop("prompt_analysis", {})
        if held in analyses:
            parts["prompt_analysis"] = {ours: analyses[held]}
        return RunRecord(results, parts)

    def copy_weights_of(self, run: StoredRun) -> bool:
        """See :class:`RecordSource`; an archive holds no weights."""
        return False


def _parts(path: Path, weights: str) -> dict[str, Any]:
    """Return the JSON file of a run without its spec, which has to be that of ``weights``."""
    content = checked_parts(read_json_object(path), path)
    if stored_spec_id(content.pop("spec", None)) != weights:
        raise UsageError(f"{path} does not hold what its name says; restore it from its source")
    return content


def _any_file(folder: Path, weights: str) -> Path:
    """Return a file of the run whose weights have an id; several say the same of the training."""
    found = sorted(folder.glob(f"*-{weights}.json"))
    if not found:
        raise UsageError(f"{folder} holds no file of {weights}; restore it from its source")
    return found[0]


def _under_id(method: str, held: Sequence[Result]) -> list[Result]:
    """Return the results of one training under an id: of each score those that have it.

    Where a score has none that do, those of another id are taken.
    """
    by_score: dict[str, list[Result]] = {}
    for result in held:
        by_score.setdefault(result.score, []).append(result)
    found: list[Result] = []
    for same in by_score.values():
        names = {result.method for result in same}
        chosen = method if method in names else same[0].method
        found += [replace(result, method=method) for result in same if result.method == chosen]
    return found


def _sources(folder: Path) -> list[RecordSource]:
    found: list[RecordSource] = []
    for archive in archives_below(folder):
        found.append(Archive.read(archive))
    found += legacy_sources(folder)
    return found


def _import_run(run: StoredRun, source: RecordSource) -> bool:
    record = source.record_of(run)
    if record is None:
        return False
    write_parts(run, record)
    brings_weights = not run.folder.weights.exists() and source.copy_weights_of(run)
    if brings_weights and "provenance" in record.parts:
        # What is said of a training is said of the weights that are there.
        write_json(run.folder.provenance, record.parts["provenance"])
    # Results come last: a run that has them is stored, whatever ended this process before.
    write_results(run, record)
    return run.is_stored() or brings_weights


def _run_file(folder: Path, run: StoredRun) -> Path:
    return folder / "runs" / f"{run.id}.json"


def _content(folder: Path, run: StoredRun) -> dict[str, Any]:
    """Return what is stored of a run, with what the archive has of it and its folder has not."""
    path = _run_file(folder, run)
    held = _parts(path, run.weights_id) if path.exists() else {}
    return {"spec": run.spec.model_dump(mode="json"), **merged_parts(stored_parts(run), held)}


def _as_csv(results: Sequence[Result]) -> str:
    stream = StringIO()
    writer = csv.DictWriter(stream, RESULT_FIELDS, lineterminator="\n")
    writer.writeheader()
    for result in sorted(results, key=_order):
        # Six decimals: a millionth of a decibel.
        writer.writerow({**asdict(result), "value": f"{result.value:.6f}"})
    return stream.getvalue()


def _key(result: Result) -> tuple[str, ...]:
    """Return what a result is the value of; of two with the same the later one counts."""
    return (
        *(result.weights, result.score, result.method),
        *(result.column, result.image, result.metric),
    )


def _order(result: Result) -> tuple[str, int, str, str, str, str]:
    names = result.column, result.image, result.metric, result.score
    return result.method, result.seed, *names


def _parsed(line: dict[str, Any]) -> Result:
    return parsed_result({**line, **written_numbers(line)})

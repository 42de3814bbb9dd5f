"""A run as the store knows it, and what an archive holds of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec, TrainSpec
from harness.store.files import make_folder, read_json_object, write_json
from harness.store.result_columns import ResultColumns
from harness.store.results import Result, append
from harness.store.run_folder import RunFolder
from harness.store.stored_results import results_in, results_of

_DIRECTIONS = "higher_is_better"
"""Key of a prompt summary: of metrics that are not the harness's own, which values are better."""


@dataclass(frozen=True)
class StoredRun:
    """A run that archives are written of and searched for.

    Attributes:
        method: id of the method with its options, as results name it.
        spec: what determines the weights.
        score: what is scored; None for a run that only others build on.
        folder: where the run is stored.
        requires: the runs whose weights it builds on.
    """

    method: str
    spec: TrainSpec
    score: ScoreSpec | None
    folder: RunFolder
    requires: tuple[StoredRun, ...] = ()

    @property
    def id(self) -> str:
        """The name of the run and of its folder."""
        return self.folder.path.name

    @property
    def weights_id(self) -> str:
        """The hash of the training spec."""
        return spec_hash(self.spec)

    @property
    def score_id(self) -> str | None:
        """The hash of the score spec, which results carry."""
        return None if self.score is None else spec_hash(self.score)

    def results(self) -> ResultColumns:
        """Return the results that are stored of this run's score."""
        return results_of(self.folder.results, self.score)

    def is_stored(self) -> bool:
        """Return whether the folder has results, or weights where nothing is scored."""
        if self.score is None:
            return self.folder.weights.exists()
        return bool(self.results())


@dataclass(frozen=True)
class RunRecord:
    """What an archive holds of one run.

    Attributes:
        results: all of its results.
        parts: by name (``provenance``, ``prompt_summary``, ``prompt_analysis``), the JSON value.
    """

    results: Sequence[Result]
    parts: dict[str, Any] = field(default_factory=dict)


class RecordSource(Protocol):
    """Something that runs are imported from."""

    def record_of(self, run: StoredRun) -> RunRecord | None:
        """Return what is held of ``run``, None if nothing is."""
        ...

    def copy_weights_of(self, run: StoredRun) -> bool:
        """Put the weights of ``run`` into its folder, and return whether there were any."""
        ...


def stored_parts(run: StoredRun) -> dict[str, Any]:
    """Return the JSON files of a run's folder that archives hold, by the name of the part."""
    paths = _part_paths(run.folder)
    return {name: read_json_object(path) for name, path in paths.items() if path.exists()}


def merged_parts(own: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two places hold of one training; where both say something, ``own``.

    Either may have scored images that the other has not: prompt summaries are joined by key, and
    prompt analyses by score.
    """
    found = {**others, **own}
    for name in ("prompt_summary", "prompt_analysis"):
        if name in own and name in others:
            found[name] = {**others[name], **own[name]}
    directions = [part.get("prompt_summary", {}).get(_DIRECTIONS, {}) for part in (others, own)]
    if any(directions):
        found["prompt_summary"][_DIRECTIONS] = directions[0] | directions[1]
    return found


def write_parts(run: StoredRun, record: RunRecord) -> None:
    """Write what an archive holds of ``run`` and its folder lacks, except its results."""
    make_folder(run.folder.path)
    run.folder.write_spec(run.spec)
    own, paths = stored_parts(run), _part_paths(run.folder)
    for name, part in merged_parts(own, record.parts).items():
        if part != own.get(name):
            write_json(paths[name], part)


def write_results(run: StoredRun, record: RunRecord) -> None:
    """Add the results that an archive holds of ``run``, of scores that its folder lacks."""
    (own,) = results_in([run.folder.results])
    known = set(own.distinct("score")) if own else set()
    results = [result for result in record.results if result.score not in known]
    if not results:
        return
    if run.score is not None:
        score_id, identifier = run.score_id, run.score.test.preprocessing_id
        for place, result in enumerate(results):
            if result.score == score_id:
                results[place] = replace(result, preprocessing=identifier)
    append(run.folder.results, results)


def _part_paths(folder: RunFolder) -> dict[str, Path]:
    return {
        "provenance": folder.provenance,
        "prompt_summary": folder.prompt_summary,
        "prompt_analysis": folder.prompt_analysis,
    }

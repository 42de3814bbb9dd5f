"""Archives (``rows.csv`` and ``cells/*.json``) and output folders of version 0.1."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from harness.config.errors import HarnessError, UsageError
from harness.store.files import read_json_object, read_text
from harness.store.legacy.content import (
    LEGACY_RESULT_FIELDS,
    converted_analysis,
    converted_provenance,
    converted_result,
    converted_summary,
    renamed_tensor,
)
from harness.store.legacy.identity import legacy_score_id, legacy_weights_id
from harness.store.results import read_lines
from harness.store.stored_run import RecordSource, RunRecord, StoredRun
from harness.store.weights import copy_weights, read_metadata

ROWS_FILE = "rows.csv"
"""The results of an archive of version 0.1."""

RUNS_FOLDER = "cells"
"""Where version 0.1 kept runs, in archives and in output folders."""


def legacy_sources(folder: Path) -> list[RecordSource]:
    """Return what ``folder`` holds of version 0.1: archives in it or below, or run folders."""
    found: list[RecordSource] = []
    for path in (folder / ROWS_FILE, *sorted(folder.glob(f"*/{ROWS_FILE}"))):
        if path.is_file():
            found.append(LegacyArchive.read(path))
    if _is_legacy_output(folder):
        found.append(LegacyOutput(folder))
    return found


def is_legacy(folder: Path) -> bool:
    """Return whether ``folder`` is an output folder or an archive of version 0.1."""
    return _is_legacy_output(folder) or (folder / ROWS_FILE).is_file()


def _is_legacy_output(folder: Path) -> bool:
    return any((folder / RUNS_FOLDER).glob("*/spec.json"))


def legacy_id_of(run: StoredRun) -> str:
    """Return the id that the weights of ``run`` had in version 0.1."""
    requires = {needed.spec.method: legacy_id_of(needed) for needed in run.requires}
    return legacy_weights_id(run.spec, requires)


@dataclass(frozen=True)
class LegacyArchive:
    """An archive of version 0.1, read as a source of records."""

    folder: Path
    lines: Mapping[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> LegacyArchive:
        """Read ``rows.csv``, by the ids of weights and score.

        Raises:
            UsageError: it does not have the columns of version 0.1.
        """
        lines: dict[tuple[str, str], list[dict[str, str]]] = {}
        reader = csv.DictReader(StringIO(read_text(path), newline=""))
        try:
            if tuple(reader.fieldnames or ()) != LEGACY_RESULT_FIELDS:
                raise UsageError(
                    f"{path} does not have the columns {', '.join(LEGACY_RESULT_FIELDS)}"
                )
            for line in reader:
                lines.setdefault((line["weights"], line["score"]), []).append(line)
        except csv.Error as error:
            raise UsageError(
                f"{path}, line {reader.line_num}, is no row ({error}); restore the file from its "
                "source"
            ) from error
        return cls(path.parent, lines)

    def record_of(self, run: StoredRun) -> RunRecord | None:
        """See :class:`RecordSource`."""
        if run.score is None:
            return None
        weights = legacy_id_of(run)
        score = legacy_score_id(run.score, weights)
        lines = self.lines.get((weights, score))
        if lines is None:
            return None
        path = _only(self.folder / RUNS_FOLDER, f"*-{weights}.json")
        content = {} if path is None else read_json_object(path)
        results = [converted_result(line, run) for line in lines]
        return RunRecord(results, _parts(content, run, score))

    def copy_weights_of(self, run: StoredRun) -> bool:
        """See :class:`RecordSource`; an archive holds no weights."""
        return False


@dataclass(frozen=True)
class LegacyOutput:
    """An output folder of version 0.1, read as a source of records."""

    folder: Path

    def record_of(self, run: StoredRun) -> RunRecord | None:
        """See :class:`RecordSource`."""
        weights = legacy_id_of(run)
        found = _only(self.folder / RUNS_FOLDER, f"*-{weights}")
        if found is None:
            return None
        content = {}
        for name in ("record", "probes", "full_probes"):
            path = found / f"{name}.json"
            if path.exists():
                content[name] = read_json_object(path)
        if run.score is None:
            return RunRecord([], _parts(content, run, ""))
        score = legacy_score_id(run.score, weights)
        results = []
        rows = found / "rows.jsonl"
        for _, line in read_lines(rows) if rows.exists() else []:
            if line.get("score") == score:
                results.append(converted_result(line, run))
        return RunRecord(results, _parts(content, run, score))

    def copy_weights_of(self, run: StoredRun) -> bool:
        """See :class:`RecordSource`."""
        found = _only(self.folder / RUNS_FOLDER, f"*-{legacy_id_of(run)}")
        if found is None or not (found / "weights.safetensors").exists():
            return False
        source = found / "weights.safetensors"
        metadata = dict(read_metadata(source))
        metadata["weights_id"] = run.weights_id
        metadata["method"] = run.spec.method
        metadata["options"] = json.dumps(run.spec.options, sort_keys=True)
        metadata["checkpoint_sha256"] = metadata.pop("source_sha256", "")
        copy_weights(source, run.folder.weights, metadata, renamed_tensor)
        return True


def _parts(content: Mapping[str, Any], run: StoredRun, score: str) -> dict[str, Any]:
    """Return the JSON files of a run under their present names.

    Raises:
        HarnessError: a file does not hold what version 0.1 wrote.
    """
    try:
        return _converted(content, run, score)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HarnessError(
            f"what version 0.1 stored of {run.method} seed {run.spec.seed} is damaged ({error}); "
            "restore its JSON files from their source"
        ) from error


def _converted(content: Mapping[str, Any], run: StoredRun, score: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if "record" in content:
        parts["provenance"] = converted_provenance(content["record"])
    if "probes" in content:
        parts["prompt_summary"] = converted_summary(content["probes"])
    analyses = content.get("full_probes", {})
    if score in analyses:
        parts["prompt_analysis"] = {run.score_id: converted_analysis(analyses[score])}
    return parts


def _only(folder: Path, pattern: str) -> Path | None:
    """Return the one path of ``folder`` that fits ``pattern``, None if there is none.

    Raises:
        HarnessError: there are several.
    """
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        raise HarnessError(f"{found[0]} and {found[1]} are the same run; move one of them away")
    return found[0] if found else None

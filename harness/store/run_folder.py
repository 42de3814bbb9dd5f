"""The folder of a run: what was asked for, what came out, and how it was made.

``spec.json`` holds what determines the weights; ``weights.safetensors`` the scored weights;
``checkpoint.pt`` the state of an unfinished training; ``provenance.json`` versions, timings and
memory of the training; ``validation.jsonl`` its course; ``results.jsonl`` the scores;
``prompt_summary.json`` what its prompts do; ``prompt_analysis.json`` the same at length, by score.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config.errors import HarnessError
from harness.config.hashing import spec_hash
from harness.config.run_specs import TrainSpec
from harness.store.files import file_name, read_json, read_json_object, write_json
from harness.store.stored_parts import checked_provenance

_LONGEST_METHOD = 80
"""Characters of a method's id in the name of a folder."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run under the output folder."""

    path: Path

    @classmethod
    def of(cls, out: Path, method_id: str, seed: int, weights_id: str) -> RunFolder:
        """Return the folder of a run; its name is the run's id."""
        readable = file_name(file_name(method_id)[:_LONGEST_METHOD])
        return cls(out / f"{readable}-s{seed}-{weights_id}")

    @property
    def spec(self) -> Path:
        """``spec.json``."""
        return self.path / "spec.json"

    @property
    def weights(self) -> Path:
        """``weights.safetensors``."""
        return self.path / "weights.safetensors"

    @property
    def checkpoint(self) -> Path:
        """``checkpoint.pt``."""
        return self.path / "checkpoint.pt"

    @property
    def provenance(self) -> Path:
        """``provenance.json``."""
        return self.path / "provenance.json"

    @property
    def validation(self) -> Path:
        """``validation.jsonl``: by step, validation and the mean loss terms since the last one."""
        return self.path / "validation.jsonl"

    @property
    def results(self) -> Path:
        """``results.jsonl``."""
        return self.path / "results.jsonl"

    @property
    def prompt_summary(self) -> Path:
        """``prompt_summary.json``."""
        return self.path / "prompt_summary.json"

    @property
    def prompt_analysis(self) -> Path:
        """``prompt_analysis.json``."""
        return self.path / "prompt_analysis.json"

    @property
    def claim(self) -> Path:
        """The file that names the process which computes the run, while one does."""
        return self.path / ".claim"

    def has_weights(self) -> bool:
        """Return whether a training is finished: its weights and their provenance are there.

        Provenance is written first, so only files that were removed or a run of an older version
        leave weights without it; such a run is finished again.
        """
        return self.weights.exists() and self.provenance.exists()

    def read_provenance(self) -> dict[str, Any]:
        """Return what ``provenance.json`` holds, {} where there is none.

        Raises:
            HarnessError: the file is damaged.
        """
        if not self.provenance.exists():
            return {}
        return checked_provenance(read_json_object(self.provenance), self.provenance)

    def write_spec(self, spec: TrainSpec) -> None:
        """Write ``spec.json``, or check that the one there is the same.

        Raises:
            HarnessError: the folder holds another run, or the file is damaged.
        """
        if not self.spec.exists():
            write_json(self.spec, spec.model_dump(mode="json"))
            return
        content = read_json(self.spec)
        found = stored_spec_id(content)
        if found is None:
            raise HarnessError(
                f"{self.spec} does not hold the spec of a run; move it away and run again"
            )
        if found != spec_hash(spec):
            raise HarnessError(
                f"{self.spec} describes {content['method']} ({found}), not "
                f"{spec.method} ({spec_hash(spec)}); move the folder away or use another --out"
            )


def stored_spec_id(content: Any) -> str | None:
    """Return the id of the weights that a stored spec describes, None if it is no spec."""
    try:
        return spec_hash(TrainSpec.model_validate(content))
    except (ValidationError, ValueError, RecursionError):
        return None


def names_with(out: Path, file: str) -> list[str]:
    """Return, sorted, the names of the folders in ``out`` that hold ``file``; none without it."""
    names = sorted(os.listdir(out)) if out.is_dir() else []  # noqa: PTH208  # ten times as fast
    # Of ten thousand, a Path each costs as much as asking.
    return [name for name in names if os.path.isfile(f"{out}{os.sep}{name}{os.sep}{file}")]  # noqa: PTH113

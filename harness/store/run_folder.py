"""The folder of a run: what was asked for, what came out, and how it was made.

``spec.json`` holds what determines the weights; ``weights.safetensors`` the scored weights;
``checkpoint.pt`` the state of an unfinished training; ``provenance.json`` versions, timings and
memory of the training; ``validation.jsonl`` its course; ``results.jsonl`` the scores;
``prompt_summary.json`` what its prompts do; ``prompt_analysis.json`` the same at length, by score.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError
from harness.config.hashing import canonical_json, spec_hash
from harness.config.run_specs import TrainSpec
from harness.store.files import read_json, write_json


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run under the output folder."""

    path: Path

    @classmethod
    def of(cls, out: Path, method_id: str, seed: int, weights_id: str) -> RunFolder:
        """Return the folder of a run; its name is the run's id."""
        readable = re.sub(r"[^\w.+=-]+", "_", method_id)[:80]
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
        """``validation.jsonl``."""
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
    def lock(self) -> Path:
        """The file that whoever computes the run holds a lock on."""
        return self.path / ".lock"

    def write_spec(self, spec: TrainSpec) -> None:
        """Write ``spec.json``, or check that the one there is the same.

        Raises:
            HarnessError: the folder holds another run.
        """
        if not self.spec.exists():
            write_json(self.spec, spec.model_dump(mode="json"))
            return
        stored = TrainSpec.model_validate(read_json(self.spec))
        if canonical_json(stored) != canonical_json(spec):
            raise HarnessError(
                f"{self.spec} describes {stored.method} ({spec_hash(stored)}), not "
                f"{spec.method} ({spec_hash(spec)}); move the folder away or use another --out"
            )

"""The folder of a cell: what it was asked, what came out, and how it was made.

``spec.json`` what determines the weights; ``weights.safetensors`` the scored weights;
``checkpoint.pt`` the state of an unfinished training; ``record.json`` versions, timings and
memory of the training; ``validation.jsonl`` its course; ``rows.jsonl`` the scores;
``probes.json`` what its prompts do; ``full_probes.json`` the same at length, by score.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.spec import TrainSpec, canonical_json, spec_hash
from harness.store.files import read_json, write_json


@dataclass(frozen=True)
class CellFolder:
    """Paths of one cell under the output folder."""

    path: Path

    @classmethod
    def of(cls, out: Path, method_id: str, seed: int, weights_id: str) -> CellFolder:
        """Return the folder of a cell; its name tells a person what is inside."""
        readable = re.sub(r"[^\w.+=-]+", "_", method_id)[:80]
        return cls(out / "cells" / f"{readable}-s{seed}-{weights_id}")

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
    def record(self) -> Path:
        """``record.json``."""
        return self.path / "record.json"

    @property
    def validation(self) -> Path:
        """``validation.jsonl``."""
        return self.path / "validation.jsonl"

    @property
    def rows(self) -> Path:
        """``rows.jsonl``."""
        return self.path / "rows.jsonl"

    @property
    def probes(self) -> Path:
        """``probes.json``."""
        return self.path / "probes.json"

    @property
    def full_probes(self) -> Path:
        """``full_probes.json``."""
        return self.path / "full_probes.json"

    @property
    def lock(self) -> Path:
        """The file that whoever computes the cell holds a lock on."""
        return self.path / ".lock"

    def write_spec(self, spec: TrainSpec) -> None:
        """Write ``spec.json``, or check that the one there is the same.

        Raises:
            HarnessError: the folder holds another cell.
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

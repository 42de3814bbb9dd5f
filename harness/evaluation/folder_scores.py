"""What scoring a folder of restored images is asked for, and what it returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.config.protocol_files import NamedProtocol
from harness.evaluation.metrics.definition import MetricFacts

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("restored", "clean", "protocol", "metric", "value")
"""Columns of :meth:`FolderScores.to_dataframe`."""


@dataclass(frozen=True)
class ScoringRequest:
    """What to score.

    Attributes:
        restored: folder of restored images.
        clean: folder of clean images.
        protocols: names of protocols in ``datasets/protocols``.
        metrics: more metrics under each protocol, by id or by pyiqa's name.
        pairing: how names of files belong together: ``stem``, ``prefix`` or ``rain``.
        workers: threads; 0 for one per core.
    """

    restored: Path
    clean: Path
    protocols: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    pairing: str = "stem"
    workers: int = 0


@dataclass(frozen=True)
class FileScore:
    """The values of one restored file: protocol id to metric id to value."""

    restored: Path
    clean: Path
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class FolderScores:
    """The scores of a folder.

    Attributes:
        files: one entry per pair, in natural order of names.
        protocols: what was applied; the metrics of each include those of the request, as ids.
        metrics: facts of all metrics, by id.
        restored_alone: restored images without a clean one.
        clean_alone: clean images without a restored one.
    """

    files: tuple[FileScore, ...]
    protocols: tuple[NamedProtocol, ...]
    metrics: Mapping[str, MetricFacts]
    restored_alone: tuple[Path, ...]
    clean_alone: tuple[Path, ...]

    def values(self, protocol: str, metric: str) -> list[float]:
        """Return the values of all files, by ids of protocol and metric."""
        return [file.values[protocol][metric] for file in self.files]

    def mean(self, protocol: str, metric: str) -> float:
        """Return the mean over files of one metric: decibels are averaged, never errors."""
        return float(np.mean(self.values(protocol, metric)))

    def rows(self) -> Iterator[tuple[str, str, str, str, float]]:
        """Yield names of both files, ids of protocol and metric, and the value."""
        for file in self.files:
            for protocol, values in file.values.items():
                for metric, value in values.items():
                    yield file.restored.name, file.clean.name, protocol, metric, value

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per file, protocol and metric; columns are those of ``COLUMNS``."""
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=list(COLUMNS))

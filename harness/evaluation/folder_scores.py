"""What scoring a folder of restored images is asked for, and what it returns."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.config.protocols import NamedProtocol
from harness.config.quoting import not_computed
from harness.evaluation.metrics.definition import MetricFacts
from harness.store.files import write_text

if TYPE_CHECKING:
    import pandas as pd

_MISSING = "--"
"""Stands where there is no number."""

_ALL_FILES = "*"
"""Stands for the names of files where a value is of all of them."""

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
        pair_template: names of restored files with fields, as ``{name}x4_{model}``, and after ``=``
            those of clean ones; replaces ``pairing``.
        workers: threads; 0 for one per core.
    """

    restored: Path
    clean: Path
    protocols: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    pairing: str = "stem"
    workers: int = 0
    pair_template: str = ""


@dataclass(frozen=True)
class FileScore:
    """The values of one restored file: protocol id to metric id to value.

    ``too_small`` says, by protocol id, why the file is too small to have values under it.
    """

    restored: Path
    clean: Path
    values: Mapping[str, Mapping[str, float]]
    too_small: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FolderScores:
    """The scores of a folder.

    Attributes:
        files: one entry per pair, in natural order of names.
        protocols: what was applied; the metrics of each include those of the request, as ids.
        metrics: facts of all metrics, by id.
        restored_alone: restored images without a clean one.
        clean_alone: clean images without a restored one.
        sets: by ids of protocol and metric, the value of a metric of all files at once, as FID.
    """

    files: tuple[FileScore, ...]
    protocols: tuple[NamedProtocol, ...]
    metrics: Mapping[str, MetricFacts]
    restored_alone: tuple[Path, ...]
    clean_alone: tuple[Path, ...]
    sets: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def values(self, protocol: str, metric: str) -> list[float]:
        """Return the values of all files that are large enough, by ids of protocol and metric.

        A metric of all files at once has one value.
        """
        if (protocol, metric) in self.sets:
            return [self.sets[protocol, metric]]
        scored = [file for file in self.files if protocol not in file.too_small]
        return [file.values[protocol][metric] for file in scored]

    def mean(self, protocol: str, metric: str) -> float:
        """Return the mean over files of one metric: decibels are averaged, never errors.

        NaN if a value is not finite: PSNR of an identical pair is infinite, and the mean of the
        other files would be that of other images.
        """
        values = np.asarray(self.values(protocol, metric))
        return float(values.mean()) if np.isfinite(values).all() else math.nan

    def rows(self) -> Iterator[tuple[str, str, str, str, float]]:
        """Yield names of both files, ids of protocol and metric, and the value.

        The names are ``*`` for a metric of all files at once.
        """
        for file in self.files:
            for protocol, values in file.values.items():
                for metric, value in values.items():
                    yield file.restored.name, file.clean.name, protocol, metric, value
        for (protocol, metric), value in self.sets.items():
            yield _ALL_FILES, _ALL_FILES, protocol, metric, value

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per file, protocol and metric; columns are those of ``COLUMNS``."""
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=list(COLUMNS))

    def write(self, path: Path) -> None:
        """Write what :meth:`to_dataframe` returns as CSV, values with all their digits.

        Raises:
            HarnessError: the file cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for *names, value in self.rows():
            writer.writerow([*map(not_computed, names), repr(value)])
        write_text(path, text.getvalue())

    def to_text(self) -> str:
        """Return a table of means, lowest and highest values, and what the protocols are."""
        total = len(self.files) + len(self.restored_alone)
        scored = sum(bool(file.values) for file in self.files)
        lines = [
            self._table(),
            "",
            f"{scored} of {total} restored images scored, means over images",
        ]
        for named in self.protocols:
            lines.append(f"{named.name} is {named.protocol.id}: {named.title}")
        lines += self.not_finite_sentences()
        lines += self._set_sentences()
        if any(named.protocol.quantise == "none" for named in self.protocols):
            lines.append("Files hold 8 bits; code that scores floats has slightly other values.")
        return "\n".join(lines)

    def _set_sentences(self) -> list[str]:
        """Return what to know of metrics of all files at once, if there are any."""
        labels = dict.fromkeys(self.metrics[metric].label for _, metric in self.sets)
        if not labels:
            return []
        return [
            f"{', '.join(labels)} compares all images at once and reads too high where they are "
            "few; papers use thousands."
        ]

    def unpaired_sentences(self) -> list[str]:
        """Return one sentence for each folder with files that found no partner."""
        sentences = []
        for files, what in (
            (self.restored_alone, "restored images have no clean one"),
            (self.clean_alone, "clean images have no restored one"),
        ):
            if files:
                names = shortened([file.name for file in files])
                sentences.append(f"{len(files)} {what}: {names}")
        return sentences

    def too_small_sentences(self) -> list[str]:
        """Return one sentence for each protocol that some images are too small for."""
        sentences = []
        for named in self.protocols:
            rule = named.protocol.id
            small = [file for file in self.files if rule in file.too_small]
            if small:
                names = shortened([file.restored.name for file in small])
                sentences.append(
                    f"{len(small)} of {len(self.files)} images are too small for {named.name} and "
                    f"left out of its means: {names} ({small[0].too_small[rule]})"
                )
        return sentences

    def not_finite_sentences(self) -> list[str]:
        """Return one sentence for each metric that is not finite on some files, and names them."""
        sentences = []
        for named in self.protocols:
            for full_id in named.protocol.metrics:
                names = []
                for file in self.files:
                    value = file.values.get(named.protocol.id, {}).get(full_id, 0.0)
                    if not math.isfinite(value):
                        names.append(f"{file.restored.name} ({value})")
                if names:
                    sentences.append(
                        f"{self.metrics[full_id].label} of {named.name} is not finite on "
                        f"{len(names)} of {len(self.files)} images, so it has no mean: "
                        f"{shortened(names)}"
                    )
        return sentences

    def _table(self) -> str:
        from tabulate import tabulate

        lines = []
        for named in self.protocols:
            name = named.name
            for full_id in named.protocol.metrics:
                facts = self.metrics[full_id]
                label = f"{facts.label} [{facts.unit}]" if facts.unit else facts.label
                values = self.values(named.protocol.id, full_id)
                statistics = _statistics(values, facts.decimals)
                if facts.of_set:
                    statistics = [statistics[0], _MISSING, _MISSING]
                lines.append([name, label, *statistics])
                name = ""
        heads = ["protocol", "metric", "mean", "lowest", "highest"]
        align = ["left", "left", "right", "right", "right"]
        return tabulate(lines, headers=heads, disable_numparse=True, colalign=align)


def _statistics(values: Sequence[float], decimals: int) -> list[str]:
    """Return mean, lowest and highest value as shown; no mean where one is not finite."""
    if not values:
        return [_MISSING] * 3
    mean = f"{np.mean(values):.{decimals}f}" if np.isfinite(values).all() else _MISSING
    return [mean, f"{np.min(values):.{decimals}f}", f"{np.max(values):.{decimals}f}"]


def shortened(names: Sequence[str], separator: str = ", ", most: int = 10) -> str:
    """Join at most ``most`` names, and how many more there are."""
    text = separator.join(names[:most])
    return text if len(names) <= most else f"{text}{separator}and {len(names) - most} more"

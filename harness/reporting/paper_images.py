"""What measured values need in common with those that papers print: metric and test images.

The leaderboard puts both into one list, and a paper's table prints their difference, only then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.data_sets import DataSetSpec
from harness.config.errors import HarnessError
from harness.config.files import load_data_set, load_protocol, protocol_names
from harness.config.preprocessing import streamed_id
from harness.config.protocols import NamedProtocol
from harness.config.settings import Column, Setting, TestSource
from harness.data.on_disk.found_set import FoundSet, expected_pairs
from harness.published.tables import CITED_METRICS

NamedProtocols = Mapping[str, Mapping[str, NamedProtocol]]
"""Protocols by id and name."""


@dataclass(frozen=True)
class TestImages:
    """What values are means of.

    Attributes:
        preprocessing: id of the preprocessing.
        data_sets: by column, the label of the data set.
        counts: by column, the number of images.
    """

    __test__ = False  # no test, whatever its name begins with

    preprocessing: str
    data_sets: Mapping[str, str]
    counts: Mapping[str, int]


def named_protocols() -> dict[str, dict[str, NamedProtocol]]:
    """Return the protocols that are known here by id and name: several files state one rule."""
    found: dict[str, dict[str, NamedProtocol]] = {}
    for name in protocol_names():
        named = load_protocol(name)
        found.setdefault(named.protocol.id, {})[name] = named
    return found


def cited_names(protocol: str, setting: Setting | None, known: NamedProtocols) -> dict[str, str]:
    """Return what papers call the metrics of a protocol, by full id: ``psnr`` of ``psnr_rgb``.

    Other metrics of the same kind have no such name, and nothing has one where ``protocol``, an
    id, is not known.
    """
    names: dict[str, str] = {}
    for full_id in _metrics_of(protocol, setting, known):
        kind = kind_of(full_id)
        if kind in CITED_METRICS and kind not in names.values():
            names[full_id] = kind
    return names


def kind_of(full_id: str) -> str:
    """Return the kind of a metric: ``psnr`` of ``psnr_y601``."""
    return full_id.removeprefix("pyiqa:").partition("_")[0]


def _metrics_of(protocol: str, setting: Setting | None, known: NamedProtocols) -> Sequence[str]:
    if setting is not None and setting.protocol.id == protocol:
        return setting.protocol.metrics
    # Files that state one rule name the same metrics.
    named = next(iter(known.get(protocol, {}).values()), None)
    return () if named is None else named.protocol.metrics


def difference_to_papers(images: TestImages, setting: Setting | None) -> str:
    """Return in half a sentence what images differ in from those that papers score.

    Nothing is returned for all columns of ``setting``, whole and complete, under its preprocessing
    with its own noise or the published stream's.
    """
    if setting is None:
        return "the test images of the cited rows are not known here"
    sources = {source.column: source for source in setting.test_sources}
    for column in setting.columns:
        found = _difference_of_column(images, column, sources.get(column.name))
        if found:
            return found
    rule = setting.preprocessing.id
    if images.preprocessing not in (rule, streamed_id(rule, "published")):
        return f"the preprocessing is {images.preprocessing}, not {rule}"
    return ""


def _difference_of_column(images: TestImages, column: Column, source: TestSource | None) -> str:
    try:
        spec = None if source is None else load_data_set(source.set)
    except HarnessError:
        spec = None
    if source is None or spec is None:
        return f"the data set of {column.label} is not known here"
    data_set = images.data_sets.get(column.name)
    if data_set is None:
        return f"{column.label} is not scored"
    if data_set != spec.label:
        return f"the images of {column.label} are {data_set}, not {spec.label}"
    complete = _complete_counts(spec, source.group)
    count = images.counts[column.name]
    if not complete:
        return f"no source states how many images a complete {spec.label} has"
    if count not in complete:
        return f"{column.label} has {count} images, not {' or '.join(map(str, complete))}"
    return ""


def _complete_counts(spec: DataSetSpec, group: str | None) -> list[int]:
    """Return how many pairs a complete data set or group of it has, in any of its layouts."""
    counts = set()
    for layout in spec.layouts:
        # Results do not say in which layout their images lay, and counts need no files.
        count = expected_pairs(FoundSet(spec, Path(), layout, (), (), ()), group)
        if count is not None:
            counts.add(count)
    return sorted(counts)

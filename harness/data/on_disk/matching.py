"""Matching the files of a layout by their names; every file ends in one of three lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.data_sets import Layout
from harness.data.on_disk.found_set import PairFiles
from harness.data.on_disk.gathered import Gathered
from harness.data.on_disk.listing import group_folder, images, layout_groups, matches
from harness.data.on_disk.pairing import RULES, PairingRule

WITHOUT_DEGRADED = "no degraded image"
"""How the reason begins why a clean image is in no pair."""


@dataclass(frozen=True)
class GroupFolder:
    """The folder of degraded images of one group; a layout without groups has one, named ''."""

    group: str
    folder: Path


def gather_clean(layout: Layout, folder: Path) -> Gathered:
    """Gather clean images that noise is added to."""
    gathered = Gathered()
    for group in layout_groups(layout, folder, gathered):
        clean_folder = group_folder(folder, layout.clean, group)
        for path in images(clean_folder, layout.clean_names, gathered):
            gathered.pairs.append(PairFiles(image_name(group, path), None, path, group))
    return gathered


def gather_by_names(layout: Layout, folder: Path) -> Gathered:
    """Gather pairs of files whose names belong together by the layout's rule."""
    assert layout.degraded is not None
    gathered = Gathered()
    sources: dict[Path, list[GroupFolder]] = defaultdict(list)
    for group in layout_groups(layout, folder, gathered):
        degraded = group_folder(folder, layout.degraded, group)
        if degraded.is_dir():
            clean = group_folder(folder, layout.clean, group)
            sources[clean].append(GroupFolder(group, degraded))
        else:
            gathered.reject(degraded, "this folder of degraded images is missing")
    for clean, degraded_folders in sorted(sources.items()):
        if clean.is_dir():
            _FolderMatch(layout, clean, degraded_folders, gathered).run()
        else:
            gathered.reject(clean, "this folder of clean images is missing")
    return gathered


def image_name(group: str, path: Path) -> str:
    """Return what an image is called in its set: its stem, after the group if it has one."""
    return f"{group}/{path.stem}" if group else path.stem


@dataclass
class _FolderMatch:
    """The degraded images of some folders, matched to the clean ones of one folder."""

    layout: Layout
    clean_folder: Path
    sources: Sequence[GroupFolder]
    gathered: Gathered
    matched_by_group: dict[str, set[Path]] = field(default_factory=lambda: defaultdict(set))

    @property
    def rule(self) -> PairingRule:
        return RULES[self.layout.pairing]

    def run(self) -> None:
        clean = list(images(self.clean_folder, self.layout.clean_names, self.gathered))
        candidates: dict[str, list[Path]] = defaultdict(list)
        for path in clean:
            candidates[self.rule.key(path)].append(path)
        for source in self.sources:
            for path in images(source.folder, self.layout.degraded_names, self.gathered):
                if not self._is_clean(path, source):
                    self._match(path, source.group, candidates)
        for path in clean:
            self._report_unmatched(path)
        if any(source.folder == self.clean_folder for source in self.sources):
            self.gathered.keep_others_apart(clean)

    def _is_clean(self, path: Path, source: GroupFolder) -> bool:
        """Return whether a file is a clean one of a folder that holds both kinds."""
        shared = source.folder == self.clean_folder
        return shared and matches(path, self.layout.clean_names)

    def _match(self, path: Path, group: str, candidates: dict[str, list[Path]]) -> None:
        key = self.rule.clean_key(path)
        if key is None:
            reason = f"the name does not follow the rule {self.layout.pairing}"
            self.gathered.reject(path, reason)
            return
        found = candidates.get(key, [])
        self.matched_by_group[group].update(found)
        if not found:
            name = key if self.rule.compares_suffix else f"{key}.*"
            missing = self.clean_folder / name
            self.gathered.reject(path, f"its clean image {missing} is missing")
        elif len(found) > 1:
            names = " and ".join(match.name for match in found)
            self.gathered.reject(path, f"two clean images match it: {names}")
        else:
            pair = PairFiles(image_name(group, path), path, found[0], group)
            self.gathered.pairs.append(pair)

    def _report_unmatched(self, clean: Path) -> None:
        groups = [source.group for source in self.sources]
        without = [group for group in groups if clean not in self.matched_by_group[group]]
        if len(without) == len(groups):
            self.gathered.reject(clean, f"{WITHOUT_DEGRADED} matches it")
        elif self.rule.one_each:
            for group in without:
                self.gathered.reject(clean, f"{WITHOUT_DEGRADED} of {group} matches it")

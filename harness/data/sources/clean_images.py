"""Clean images that degradations are applied to: embedded photographs, or files of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.config.data_sets import SYNTHETIC, synthetic_name
from harness.config.run_specs import CleanFolder, Photograph
from harness.data.images.cache import DecodedImages, default_folder
from harness.data.images.read import read_image
from harness.data.sources.originals import Original
from harness.data.synthetic.photographs import load

if TYPE_CHECKING:
    from harness.data.on_disk.clean_images import CleanImages


class CleanReader(Protocol):
    """Clean images by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        ...

    def read(self, name: str) -> Original:
        """Read one."""
        ...


@dataclass(frozen=True)
class EmbeddedPhotographs:
    """Photographs of installed packages."""

    names: tuple[str, ...]

    def read(self, name: str) -> Original:
        """See :class:`CleanReader`."""
        return Original((name,), f"photograph '{name}'", load(name))


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder that are read again and again, so decoded ones are kept."""

    names: tuple[str, ...]
    files: Mapping[str, Path]
    images: DecodedImages

    def read(self, name: str) -> Original:
        """See :class:`CleanReader`.

        Raises:
            HarnessError: the file is missing or damaged.
        """
        path = self.files[name]
        return Original((name,), str(path), self.images.read(path))


def reader(
    folder: CleanFolder | None, found: CleanImages | None, embedded: tuple[Photograph, ...]
) -> CleanReader:
    """Return the reader of a folder's images, or where there is none of embedded photographs."""
    if folder is None:
        return EmbeddedPhotographs(tuple(photograph.name for photograph in embedded))
    assert found is not None
    return FolderImages(folder.images, files_of(found), DecodedImages(default_folder()))


def files_of(found: CleanImages) -> dict[str, Path]:
    """Return the files of a folder by image."""
    return {pair.image: pair.clean for pair in found.pairs}


@dataclass(frozen=True)
class TestPhotographs:
    """Photographs to test on; an image is called by its photograph and the draw, ``china#0``."""

    __test__ = False  # pytest would take the name for a test class

    def data_set(self, column: str) -> str:
        """See :class:`TestImages`."""
        return SYNTHETIC

    def read(self, column: str, image: str) -> Original:
        """See :class:`TestImages`."""
        name, _, draw = image.partition("#")
        return Original((name, int(draw)), f"photograph '{name}'", load(name))


@dataclass(frozen=True)
class TestFolder:
    """Images of a folder to test on, each once per column and called by its name alone.

    Noise is drawn by the same key as for a data set on disk, so the noisy images of CBSD68 are the
    same either way.
    """

    __test__ = False

    name: str
    files: Mapping[str, Path]

    def data_set(self, column: str) -> str:
        """See :class:`TestImages`."""
        return synthetic_name(self.name)

    def read(self, column: str, image: str) -> Original:
        """See :class:`TestImages`.

        Raises:
            HarnessError: the file is missing or damaged.
        """
        path = self.files[image]
        return Original((image,), str(path), read_image(path))

"""Cards of real data sets: what they are, how their folders may lie, how many images they have.

A card is ``datasets/sets/NAME.yaml``. It holds no images: where those lie is a person's affair
(:mod:`harness.data.on_disk.locate`), and finding them there is that of :mod:`harness.data.on_disk.layouts`.
"""

from __future__ import annotations

import functools
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, model_validator

from harness.config.errors import UsageError, did_you_mean
from harness.config.files import datasets_folder
from harness.config.parsing import parse, read_yaml
from harness.config.spec import Spec

GROUP = "{group}"
ANY_GROUP = "*"

Pairing = Literal[
    "clean-only",
    "same-name",
    "same-stem",
    "prefix-before-underscore",
    "first-seven-characters",
    "rain-to-norain",
    "rain-to-clean",
    "list-file",
]
"""How a degraded file names its clean one; :mod:`harness.data.on_disk.layouts` says what each does."""


class Expected(Spec):
    """Counts of a complete set; None where no source states one."""

    pairs: int | None = Field(default=None, ge=1)
    clean: int | None = Field(default=None, ge=1)


class Layout(Spec):
    """One documented way in which the folders of a set lie.

    ``degraded`` and ``clean`` are folders below the set's own, ``.`` for that itself; both may
    hold ``{group}``, which stands for each name of ``groups`` (a weather, a sequence of frames;
    ``*`` means every subfolder that fits). Only files whose names match ``degraded_names`` and
    ``clean_names`` (shell patterns) take part. ``expected`` replaces the card's counts where this
    layout holds other files. ``list_file`` belongs to the rule ``list-file``.
    """

    name: str
    about: str = ""
    degraded: str | None = None
    clean: str
    groups: tuple[str, ...] = ()
    pairing: Pairing
    degraded_names: str = "*"
    clean_names: str = "*"
    list_file: str | None = None
    expected: Expected | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        if (self.degraded is None) != (self.pairing == "clean-only"):
            raise ValueError("'degraded' is missing exactly where the pairing is clean-only")
        if (self.list_file is None) != (self.pairing != "list-file"):
            raise ValueError("'list_file' stands exactly where the pairing is list-file")
        folders = [folder for folder in (self.degraded, self.clean) if folder is not None]
        if bool(self.groups) != any(GROUP in folder for folder in folders):
            raise ValueError(f"'groups' and {GROUP} in a folder come together")
        if ANY_GROUP in self.groups and (len(self.groups) > 1 or not folders[0].startswith(GROUP)):
            raise ValueError("the group '*' stands alone, and its folders start with {group}")
        for folder in folders:
            path = PurePosixPath(folder)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"folder '{folder}' must lie below the set's own")
        return self


class Variant(Spec):
    """A release of a set that differs in content, and the evidence it is known by.

    All evidence that is given must agree: ``clean_suffix`` of every clean file, ``size_px`` (width
    and height, or turned) of every image, ``degraded_psnr_rgb_db``, the mean over all pairs of
    the PSNR of the degraded images, to within :data:`PSNR_TOLERANCE_DB`.
    """

    name: str
    about: str
    clean_suffix: str | None = None
    size_px: tuple[int, int] | None = None
    degraded_psnr_rgb_db: float | None = None


PSNR_TOLERANCE_DB = 0.02


class DataSetSpec(Spec):
    """One real data set, or one split of it that is tested or trained on.

    ``folders`` are places below a root where people keep it, besides a folder of the set's name;
    letters may be large or small.
    """

    name: str
    label: str
    title: str
    homepage: str
    licence: str
    split: Literal["train", "test"]
    about: str
    folders: tuple[str, ...]
    expected: Expected
    layouts: tuple[Layout, ...] = Field(min_length=1)
    variants: tuple[Variant, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> DataSetSpec:
        for kind, names in (
            ("layout", [layout.name for layout in self.layouts]),
            ("variant", [variant.name for variant in self.variants]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"a {kind} name stands twice")
        return self

    def expected_of(self, layout: Layout) -> Expected:
        """Return the counts of a complete set in ``layout``."""
        return self.expected if layout.expected is None else layout.expected


def sets_folder() -> Path:
    """Return the folder of the cards of data sets."""
    return datasets_folder() / "sets"


def data_set_names() -> list[str]:
    """Return the names of all data sets that have a card, sorted."""
    return sorted(path.stem for path in sets_folder().glob("*.yaml"))


@functools.cache
def load_data_set(name: str) -> DataSetSpec:
    """Read and check the card of the data set ``name``.

    Raises:
        UsageError: no such set, or a card with an unknown key or value; names the nearest.
    """
    if name not in data_set_names():
        raise UsageError(f"unknown data set '{name}'; {did_you_mean(name, data_set_names())}")
    return read_data_set(sets_folder() / f"{name}.yaml")


def read_data_set(path: Path) -> DataSetSpec:
    """Read one card; raise :class:`UsageError` that names the file and what is wrong in it."""
    card = parse(DataSetSpec, read_yaml(path), str(path))
    if card.name != path.stem:
        raise UsageError(f"{path} names itself '{card.name}'; name and file must agree")
    return card

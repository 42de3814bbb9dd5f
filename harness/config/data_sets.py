"""Data sets on disk: what they are, how their folders may be arranged, how many images they have.

A data set is described by ``datasets/sets/NAME.yaml``, which holds no images. Where these are is
found by :mod:`harness.data.on_disk.locate`, and what is there by
:mod:`harness.data.on_disk.layouts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.config.spec import Name, Spec

GROUP = "{group}"
ANY_GROUP = "*"
ALTERNATIVE = "|"
"""Separates shell patterns of which a name matches one."""

SYNTHETIC = "synthetic"
"""The name of the data set that results on the embedded photographs carry."""


def synthetic_name(folder: str) -> str:
    """Return the name that results on the degraded images of a folder carry."""
    return f"{folder} ({SYNTHETIC})"


def is_synthetic_name(data_set: str) -> bool:
    """Return whether the images of a data set were degraded here."""
    return data_set == SYNTHETIC or data_set.endswith(f" ({SYNTHETIC})")


Pairing = Literal[
    "clean-only",
    "same-name",
    "same-stem",
    "prefix-before-underscore",
    "first-seven-characters",
    "rain-to-norain",
    "rain-to-clean",
    "one-clean",
    "list-file",
]
"""How a degraded file names its clean one; :mod:`harness.data.on_disk.pairing` has the rules."""


class Expected(Spec):
    """Counts of a complete data set; None where no source states one.

    Attributes:
        pairs: pairs of a degraded and a clean file.
        clean: distinct clean files.
        group_pairs: pairs of each group, where groups are of different size.
    """

    pairs: int | None = Field(default=None, ge=1)
    clean: int | None = Field(default=None, ge=1)
    group_pairs: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Expected:
        total = sum(self.group_pairs.values())
        if self.group_pairs and total != self.pairs:
            raise ValueError(
                f"'group_pairs' are {total} pairs together, and 'pairs' is {self.pairs}"
            )
        return self


class Layout(Spec):
    """One documented way in which the folders of a data set are arranged.

    Attributes:
        name: what reports call it.
        about: where it is documented.
        degraded: folder of degraded images below the set's own, ``.`` for that itself.
        clean: folder of clean images.
        groups: names that stand for ``{group}`` in both folders (a weather, a sequence of frames);
            ``*`` means every subfolder that fits, below what stands before ``{group}``.
        pairing: how a degraded file names its clean one.
        degraded_names: shell pattern of the degraded files that take part; ``|`` between several.
        clean_names: shell pattern of the clean files that take part, in the same way.
        list_file: file that lists the pairs; belongs to the pairing ``list-file``.
        expected: replaces the set's counts where this layout holds other files.
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

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders below the set's own, that of degraded images first."""
        return (self.clean,) if self.degraded is None else (self.degraded, self.clean)

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        if (self.degraded is None) != (self.pairing == "clean-only"):
            raise ValueError("'degraded' is missing exactly where the pairing is clean-only")
        if (self.list_file is None) != (self.pairing != "list-file"):
            raise ValueError("'list_file' is given exactly where the pairing is list-file")
        _check_groups(self.groups, self.folders)
        for folder in self.folders:
            path = PurePosixPath(folder)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"folder '{folder}' must lie below the set's own")
        return self


def _check_groups(groups: tuple[str, ...], folders: tuple[str, ...]) -> None:
    used = any(GROUP in folder for folder in folders)
    if bool(groups) != used:
        raise ValueError(f"'groups' and {GROUP} in a folder come together")
    above = folders[0].partition(GROUP)[0]
    if ANY_GROUP in groups and (len(groups) > 1 or (above and not above.endswith("/"))):
        raise ValueError("the group '*' is the only one, and its folders are called {group}")


class Variant(Spec):
    """A release of a data set that differs in content, and the evidence it is known by.

    All evidence that is given must agree.

    Attributes:
        name: what reports call it.
        about: how it came to be.
        clean_suffix: suffix of every clean file.
        size_px: width and height, or turned, of every image.
        degraded_psnr_rgb_db: mean over all pairs of the PSNR of the degraded images, to within
            :data:`PSNR_TOLERANCE_DB`.
    """

    name: str
    about: str
    clean_suffix: str | None = None
    size_px: tuple[int, int] | None = None
    degraded_psnr_rgb_db: float | None = None


PSNR_TOLERANCE_DB = 0.02


class DataSetSpec(Spec):
    """One data set, or one split of it that is tested or trained on.

    Attributes:
        name: what settings call it; its file is called so.
        label: name in results and tables.
        title: the same in full.
        homepage: where it can be had.
        licence: under which terms, in a few words.
        split: whether it is trained or tested on.
        about: one or two sentences.
        folders: paths below a data root where people keep it, besides a folder of the set's name;
            letters may be large or small.
        expected: how many files a complete set has.
        layouts: the ways in which its folders may lie; the one that fits best is taken.
        variants: releases that differ in content.
    """

    name: Name
    label: str
    title: str = ""
    homepage: str = ""
    licence: str = ""
    split: Literal["train", "test"]
    about: str = ""
    folders: tuple[str, ...] = ()
    expected: Expected = Expected()
    layouts: tuple[Layout, ...] = Field(min_length=1)
    variants: tuple[Variant, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> DataSetSpec:
        _check_unique("layout", self.layouts)
        _check_unique("variant", self.variants)
        return self

    def expected_of(self, layout: Layout) -> Expected:
        """Return the counts of a complete set in ``layout``."""
        return self.expected if layout.expected is None else layout.expected


def _check_unique(kind: str, items: Sequence[Layout | Variant]) -> None:
    names = {item.name for item in items}
    if len(names) != len(items):
        raise ValueError(f"two of its {kind}s have one name")

"""Which test images have one clean image; they are not independent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.config.data_sets import GROUP, DataSetSpec, Layout
from harness.config.files import load_data_set
from harness.config.run_specs import TestSet
from harness.data.on_disk.pairing import RULES, PairingRule

_SUFFIX = ".png"
"""Of a file that stands for an image: rules read the names of files."""


def clean_names(test: TestSet) -> dict[tuple[str, str], str]:
    """Return what the clean image of each test image is called, by column and image.

    Of files on disk that follows from the rule by which the layout pairs them, so that it is known
    of an archive, too: hazy versions of a scene, frames of it, and mixtures on it are of one clean
    image, and images of two data sets are not, though they have one name.
    """
    names: dict[tuple[str, str], str] = {}
    for column, images in test.images_by_column().items():
        for image in images:
            # A photograph is called by its name and the draw.
            names[column, image] = image.rpartition("#")[0] if test.photographs else image
    for files in test.files:
        name_of = _namer(load_data_set(files.set), files.layout)
        names |= {(files.column, image): name_of(image) for image in files.images}
    return names


def _namer(spec: DataSetSpec, layout_name: str) -> Callable[[str], str]:
    """Return from the name of a test image of a set that of its clean image."""
    layout = next((layout for layout in spec.layouts if layout.name == layout_name), None)
    rule = None if layout is None else _rule_of(layout, spec)
    folder = "" if layout is None else layout.clean

    def name_of(image: str) -> str:
        if rule is None:
            return f"{spec.name}/{image}"
        group, _, stem = image.rpartition("/")
        key = rule.clean_key(Path(f"{stem}{_SUFFIX}"))
        # Groups without folders of their own for clean images share these.
        own_folder = f"{group}/" if GROUP in folder else ""
        return f"{spec.name}/{own_folder}{stem if key is None else key}"

    return name_of


def _rule_of(layout: Layout, spec: DataSetSpec) -> PairingRule | None:
    """Return how the degraded files of a set name clean ones; None where they name themselves.

    Where each degraded file has a clean copy of its own name, and where a list names the pairs, the
    set's other layouts tell which of them are of one image.
    """
    own = RULES.get(layout.pairing)
    if layout.pairing == "clean-only" or (own is not None and not own.one_each):
        return own
    rules = [RULES[other.pairing] for other in spec.layouts if other.pairing in RULES]
    return next((rule for rule in rules if not rule.one_each and not rule.one_clean), own)

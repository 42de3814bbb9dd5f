"""Flags that say which images are trained and scored, and by which rules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from harness.planning.overrides import EvaluationOverrides
    from harness.planning.plan import Disk, Plan

_COMPARED_AT_ONCE = 1000

DataRoot = Annotated[
    Path | None, typer.Option(help="Folder of data sets: real images, not the synthetic twin.")
]
Real = Annotated[
    bool,
    typer.Option(
        "--real", help="Real images, from where HARNESS_DATA_ROOT or the configuration says."
    ),
]
TrainSets = Annotated[
    list[str] | None,
    typer.Option(
        "--train-set",
        help="FAMILY=SET, as denoise=raintrainl: train on this set instead of the card's; "
        "repeatable.",
    ),
]
ProtocolName = Annotated[
    str | None, typer.Option("--protocol", help="Score by this protocol, not the setting's own.")
]
CropMultiple = Annotated[
    int | None,
    typer.Option(min=1, help="Crop test images to multiples of this; 1 leaves them whole."),
]
Rounding = Annotated[
    str | None,
    typer.Option("--noise-rounding", help="truncate, round, none (floats), unclipped."),
]
NoiseStream = Annotated[
    Literal["keyed", "published"],
    typer.Option(
        help="Noise on real test images: keyed by image, or one stream in the order of the folder, "
        "as published code draws it."
    ),
]

TestSetName = Annotated[
    str | None,
    typer.Option(
        "--test-set",
        help="Score a set outside the setting instead of its own: unseen-noise, colour-denoising, "
        "mio-strong, or a YAML file of your own.",
    ),
]


def disk_from(data_root: Path | None, real: bool, train_sets: Sequence[str]) -> Disk | None:
    """Return where real images lie, None if a twin is asked for.

    Raises:
        UsageError: no place is known, or a flag is not FAMILY=SET.
    """
    from harness.config.data_sets import load_data_set
    from harness.config.errors import UsageError
    from harness.data.on_disk.locate import find_data_roots, how_to_name_a_root
    from harness.planning.plan import Disk

    if data_root is None and not real:
        if train_sets:
            raise UsageError(f"--train-set {train_sets[0]} is about real images; add --data-root")
        return None
    roots = find_data_roots(data_root)
    if not roots:
        raise UsageError(f"no folder of data sets is known; {how_to_name_a_root()}")
    replaced: dict[str, str] = {}
    for text in train_sets:
        family, equals, name = text.partition("=")
        if not equals or not family or family in replaced:
            raise UsageError(f"--train-set '{text}' is not FAMILY=SET, each family once")
        load_data_set(name)
        replaced[family] = name
    return Disk(roots, replaced)


def changes_from(
    rounding: str | None,
    crop_multiple: int | None,
    protocol: str | None,
    noise_stream: Literal["keyed", "published"],
    test_set: str | None,
) -> EvaluationOverrides:
    """Return what is changed in test set, preparation and protocol.

    Raises:
        UsageError: an unknown rounding.
    """
    from typing import get_args

    from harness.config.errors import UsageError, did_you_mean
    from harness.config.preprocessing import NoiseRounding
    from harness.planning.overrides import EvaluationOverrides

    known: dict[str, NoiseRounding] = {name: name for name in get_args(NoiseRounding)}
    if rounding is not None and rounding not in known:
        raise UsageError(f"--noise-rounding {rounding} is unknown; {did_you_mean(rounding, known)}")
    chosen = None if rounding is None else known[rounding]
    return EvaluationOverrides(chosen, crop_multiple, protocol, noise_stream, test_set)


def tell_hashing(done: int, total: int) -> None:
    """Say how many files of training sets are hashed, where that takes a while."""
    if total >= 1000 and (done % 500 == 0 or done == total):
        print(f"hashed {done} of {total} files, once", file=sys.stderr, flush=True)


def tell_training(plan: Plan) -> None:
    """Say what is trained on and what is not, and which test pictures stand in training too."""
    from harness.data.on_disk.duplicates import find_duplicates, read_thumbnails
    from harness.reporting.plan_tables import training_sentence

    print(training_sentence(plan), file=sys.stderr)
    trained = {pair.clean for pairs in plan.training.values() for pair in pairs}
    tested = {pair.clean for pairs in plan.files.values() for pair in pairs.values()}
    if len(trained) > _COMPARED_AT_ONCE:
        print(
            f"{len(trained)} training images are not compared with the test images; compare two "
            f"sets with: python -m harness data leaks {next(iter(plan.training))[0]} TEST_SET",
            file=sys.stderr,
        )
        return
    pictures = [
        read_thumbnails(name, [(path.name, path) for path in sorted(paths)])
        for name, paths in (("training", trained), ("test", tested))
    ]
    found = find_duplicates(*pictures)
    if found:
        names = ", ".join(sorted({leak.second.image for leak in found})[:3])
        print(
            f"{len({leak.second.path for leak in found})} test pictures stand among the training "
            f"images too, such as {names}; their scores flatter every method",
            file=sys.stderr,
        )

"""``harness data list, show, check, leaks, manifest``: data sets on this machine's disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.waiting import counting

if TYPE_CHECKING:
    from harness.config.data_sets import DataSetSpec
    from harness.data.on_disk.duplicates import Duplicate
    from harness.data.on_disk.integrity import SetReport
    from harness.data.on_disk.layouts import FoundSet
    from harness.data.on_disk.locate import DataRoots

MANIFESTS = Path("results/manifests")
_MANY = 10

DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder that holds data sets; else HARNESS_DATA_ROOT or the user's file."),
]
Names = Annotated[list[str] | None, typer.Argument(help="Data sets; without, all that are there.")]
Name = Annotated[str, typer.Argument(help="A data set; python -m harness data list names all.")]
Shown = Annotated[int, typer.Option("--show", min=1, help="How many problems to name per set.")]


def list_sets(data_root: DataRoot = None) -> None:
    """List all data sets that have a card, and where they were found."""
    from tabulate import tabulate

    from harness.config.data_sets import data_set_names, load_data_set
    from harness.data.on_disk.locate import find_data_roots, find_set, how_to_name_a_root

    roots = find_data_roots(data_root)
    lines = []
    for name in data_set_names():
        card = load_data_set(name)
        found = find_set(card, roots)
        pairs = "" if found is None else str(len(found.pairs))
        where = "" if found is None else str(found.folder)
        lines.append([name, card.split, card.expected.pairs, pairs, where])
    headers = ["data set", "split", "expected", "found", "where"]
    print(tabulate(lines, headers=headers, disable_numparse=True))
    if not roots:
        print(f"\nto find data sets, {how_to_name_a_root()}")


def show(name: Name, data_root: DataRoot = None) -> None:
    """Show the card of a data set: documented layouts, releases, and what is found."""
    from harness.config.data_sets import load_data_set
    from harness.data.on_disk.locate import find_data_roots, find_set

    card = load_data_set(name)
    print(f"{card.name}: {card.title} ({card.split})\n{card.about}")
    print(f"homepage: {card.homepage}\nlicence: {card.licence}")
    print(f"looked for below a root as: {', '.join([card.name, *card.folders])}")
    expected = card.expected
    print(f"expected: {_count(expected.pairs)} pairs, {_count(expected.clean)} distinct clean")
    print("layouts:")
    for layout in card.layouts:
        folders = f"{layout.degraded or 'noise is added'} <- {layout.clean}"
        groups = f" for {', '.join(layout.groups)}" if layout.groups else ""
        about = f" ({layout.about})" if layout.about else ""
        print(f"  {layout.name}: {folders}{groups}; pairing {layout.pairing}{about}")
    for variant in card.variants:
        print(f"release {variant.name}: {variant.about}")
    found = find_set(card, find_data_roots(data_root))
    print("not found" if found is None else _described(found))


def check(names: Names = None, data_root: DataRoot = None, show: Shown = _MANY) -> None:
    """Decode every image: missing, damaged, of another size than its partner, wrong counts."""
    from harness.config.errors import HarnessError
    from harness.data.on_disk.integrity import check_set

    wrong = 0
    found_sets, absent = _find(names, data_root)
    for found in found_sets:
        with counting(found.spec.name) as on_progress:
            report = check_set(found, on_progress)
        _print_report(report, show)
        wrong += bool(report.problems)
    for sentence in absent:
        print(sentence)
    if wrong or absent:
        parts = [f"{wrong} of {len(found_sets)} checked have problems"] if wrong else []
        parts += [f"{len(absent)} not found"] if absent else []
        raise HarnessError(f"data sets: {', '.join(parts)}; see above")


def leaks(
    first: Annotated[
        str | None, typer.Argument(help="A data set; python -m harness data list names all.")
    ] = None,
    second: Annotated[str | None, typer.Argument(help="Another one; without, only inside.")] = None,
    setting: Annotated[
        str | None,
        typer.Option(help="All training and test sets of a setting that are there, pair by pair."),
    ] = None,
    data_root: DataRoot = None,
    show: Annotated[int, typer.Option("--show", min=1, help="How many matches to name.")] = 200,
) -> None:
    """Find clean images that show the same picture: between two data sets, and inside each."""
    from itertools import combinations

    from harness.config.errors import UsageError
    from harness.data.on_disk.duplicates import find_duplicates, read_thumbnails

    if (first is None) == (setting is None):
        raise UsageError("name one or two data sets, or a setting with --setting")
    if setting is not None:
        found_sets, absent = _find(_sets_of(setting), data_root)
        for sentence in absent:
            print(sentence)
        if not found_sets:
            raise UsageError(f"none of the data sets of {setting} is there")
    else:
        names = [name for name in dict.fromkeys([first, second]) if name is not None]
        found_sets = [_find_one(name, data_root) for name in names]
    taken = {}
    for found in found_sets:
        images = [(_clean_name(found, path), path) for path in found.clean_files]
        with counting(found.spec.name) as on_progress:
            taken[found.spec.name] = read_thumbnails(found.spec.name, images, on_progress)
    for one, other in combinations(taken, 2):
        _print_leaks(find_duplicates(taken[one], taken[other]), f"{one} and {other}", show)
    for name, pictures in taken.items():
        _print_leaks(find_duplicates(pictures, pictures), f"inside {name}", show)


def _sets_of(setting: str) -> list[str]:
    from harness.config.files import load_setting

    card = load_setting(setting)
    return list(
        dict.fromkeys([s.set for s in card.training_sources] + [s.set for s in card.test_sources])
    )


manifest = typer.Typer(
    help="SHA-256 of every file of a data set, as sha256sum writes it.", no_args_is_help=True
)


@manifest.command("write")
def write(
    names: Names = None,
    data_root: DataRoot = None,
    out: Annotated[Path, typer.Option(help="Folder that the manifests go to.")] = MANIFESTS,
) -> None:
    """Write the manifests of data sets as they lie here."""
    from harness.config.errors import HarnessError
    from harness.data.on_disk.manifests import hashes, manifest_path, manifest_text
    from harness.store.files import write_text

    found_sets, absent = _find(names, data_root)
    if absent:
        raise HarnessError("; ".join(absent))
    for found in found_sets:
        with counting(found.spec.name) as on_progress:
            digests = hashes(found, on_progress)
        path = manifest_path(out, found.spec.name)
        write_text(path, manifest_text(digests))
        print(f"{found.spec.name}: {len(digests)} files in {path}")


@manifest.command("verify")
def verify(
    names: Names = None,
    data_root: DataRoot = None,
    manifests: Annotated[Path, typer.Option(help="Folder of the manifests.")] = MANIFESTS,
    show: Shown = _MANY,
) -> None:
    """Compare data sets with their manifests; without names, all that have one."""
    from harness.config.data_sets import data_set_names
    from harness.config.errors import HarnessError
    from harness.data.on_disk.manifests import compare, manifest_path

    if not names:
        names = [name for name in data_set_names() if manifest_path(manifests, name).is_file()]
        if not names:
            raise HarnessError(
                f"{manifests} holds no manifest; python -m harness data manifest write makes one"
            )
    found_sets, absent = _find(names, data_root)
    for sentence in absent:
        print(sentence)
    wrong = len(absent)
    for found in found_sets:
        name = found.spec.name
        with counting(name) as on_progress:
            differences = compare(found, manifest_path(manifests, name), on_progress)
        wrong += bool(differences)
        print(f"{name}: {'differs' if differences else 'as its manifest says'} ({found.folder})")
        for kind in ("changed", "missing", "added"):
            _print_some([f"{kind}: {file}" for file in getattr(differences, kind)], show)
    if wrong:
        raise HarnessError(f"{wrong} of {len(names)} data sets are not as their manifests say")


def _find(names: Sequence[str] | None, data_root: Path | None) -> tuple[list[FoundSet], list[str]]:
    """Return the sets that are there, and a sentence on each that was named and is not.

    Raises:
        HarnessError: nothing was named and nothing is there.
    """
    from harness.config.data_sets import data_set_names, load_data_set
    from harness.config.errors import HarnessError
    from harness.data.on_disk.locate import find_data_roots, find_set

    cards = [load_data_set(name) for name in dict.fromkeys(names or data_set_names())]
    roots = find_data_roots(data_root)
    found_sets, absent = [], []
    for card in cards:
        found = find_set(card, roots)
        if found is not None:
            found_sets.append(found)
        elif names:
            absent.append(_absent(card, roots))
    if not found_sets and not names:
        raise HarnessError(_absent(None, roots))
    return found_sets, absent


def _find_one(name: str, data_root: Path | None) -> FoundSet:
    from harness.config.errors import HarnessError

    found, absent = _find([name], data_root)
    if absent:
        raise HarnessError(absent[0])
    return found[0]


def _absent(card: DataSetSpec | None, roots: DataRoots) -> str:
    from harness.data.on_disk.locate import how_to_name_a_root, places

    what = "data sets" if card is None else f"data set '{card.name}'"
    if not roots:
        return f"{what}: nothing says where data lies; {how_to_name_a_root()}"
    where = f"{roots.folder or 'the folders'} (from {roots.origin})"
    if card is None:
        return (
            f"no data set is found below {where}; python -m harness data show NAME lists the names "
            "and layouts that its folder may have"
        )
    looked = places(card, roots)
    if not looked:
        return (
            f"{what} is not found below {where}; python -m harness data show {card.name} lists "
            "the names that its folder may have"
        )
    folders = ", ".join(map(str, looked))
    return (
        f"{what} is not found: {folders} follows none of its layouts; python -m harness data show "
        f"{card.name} lists them"
    )


def _described(found: FoundSet) -> str:
    unpaired = f", {len(found.unpaired)} unpaired" if found.unpaired else ""
    others = f", {len(found.others)} other entries" if found.others else ""
    return (
        f"found in {found.folder}, layout {found.layout.name}: {len(found.pairs)} pairs, "
        f"{len(found.clean_files)} distinct clean images{unpaired}{others}"
    )


def _print_report(report: SetReport, show: int) -> None:
    name = report.found.spec.name
    state = f"{len(report.problems)} problems" if report.problems else "complete and readable"
    print(f"{name}: {state}\n  {_described(report.found)}")
    sizes = Counter(report.sizes).most_common(3)
    if sizes:
        listed = ", ".join(f"{width}x{height} ({count})" for (width, height), count in sizes)
        more = ", …" if len(report.sizes) > len(sizes) else ""
        print(f"  sizes: {listed}{more}")
    if report.degraded_psnr_rgb_db is not None:
        print(f"  degraded images: mean PSNR {report.degraded_psnr_rgb_db:.2f} dB in RGB")
    if report.variants:
        said = ", ".join(f"{variant.name} ({variant.about})" for variant in report.variants)
        print(f"  release, as far as one sees: {said}")
    elif report.found.spec.variants:
        known = ", ".join(variant.name for variant in report.found.spec.variants)
        print(f"  release: none of those that can be told ({known})")
    for kind in ("count", "unreadable", "size", "unpaired"):
        _print_some([p.text for p in report.problems if p.kind == kind], show)
    if report.found.others:
        _print_some([f"no part of the set: {path}" for path in report.found.others], 3)


def _print_some(lines: Sequence[str], most: int) -> None:
    for line in lines[:most]:
        print(f"  - {line}")
    if len(lines) > most:
        print(f"  - … and {len(lines) - most} more of this kind")


def _clean_name(found: FoundSet, path: Path) -> str:
    return path.relative_to(found.folder).with_suffix("").as_posix()


def _print_leaks(found: Sequence[Duplicate], where: str, show: int) -> None:
    if not found:
        print(f"{where}: no picture stands twice")
        return
    pictures = len({leak.first.pixels_sha256 for leak in found})
    seconds = len({leak.second.image for leak in found})
    exact = sum(leak.exact for leak in found)
    print(
        f"{where}: {pictures} pictures stand again under {seconds} names; {exact} matches are "
        f"equal pixel for pixel, {len(found) - exact} are near"
    )
    lines = []
    for leak in found:
        how = "equal" if leak.exact else f"near, correlation {leak.correlation:.3f}"
        turned = f", {leak.turned}" if leak.turned else ""
        lines.append(f"{leak.first.image} = {leak.second.image} ({how}{turned})")
    _print_some(lines, show)


def _count(number: int | None) -> str:
    return "an unstated number of" if number is None else str(number)

"""What ``harness data`` prints about settings and data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.api.data_sets import (
    Comparison,
    Differences,
    FoundSet,
    SetReport,
    locate_data_set,
    photograph_size,
    readable,
)
from harness.config.data_sets import DataSetSpec
from harness.config.errors import HarnessError, printable
from harness.config.files import (
    data_set_names,
    load_data_set,
    load_ood_set,
    load_setting,
    ood_set_names,
    photograph_catalogue,
    setting_names,
)
from harness.config.settings import SyntheticData

_MOST_SIZES = 3
_MOST_OTHERS = 3


def print_settings() -> None:
    """Print all settings with the images of their synthetic versions, and the OOD test sets.

    Raises:
        HarnessError: a photograph is missing or damaged; says how to install it.
    """
    from tabulate import tabulate

    problems: dict[str, None] = {}
    for name in setting_names():
        setting = load_setting(name)
        if setting.synthetic is None:
            continue
        lines, missing = _photograph_lines(setting.synthetic)
        problems.update(dict.fromkeys(missing))
        state = "not ready" if missing else "ready"
        columns = [f"{column.name} ({column.task})" for column in setting.columns]
        print(f"{name} (version {setting.version}): {setting.title}")
        print(f"columns: {', '.join(columns)}")
        print(f"synthetic version: {state}; its images are read from installed packages")
        print(tabulate(lines, headers=["split", "image", "what it shows", "from", "size"]))
    print("out-of-distribution test sets, for --test-set:")
    for name in ood_set_names():
        test_set = load_ood_set(name)
        where = "synthetic and on disk" if test_set.synthetic else "on disk"
        print(f"{name} (version {test_set.version}, {where}): {test_set.title}")
    if problems:
        raise HarnessError("; ".join(problems))


def _photograph_lines(data: SyntheticData) -> tuple[list[list[str]], list[str]]:
    """Return the lines of a setting's table, and a sentence on each photograph that is missing."""
    lines: list[list[str]] = []
    problems: list[str] = []
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    for split, names in splits.items():
        for name in names:
            entry = photograph_catalogue()[name]
            try:
                width, height = photograph_size(name)
                state = f"{width}x{height}"
            except HarnessError as error:
                problems.append(str(error))
                state = "missing or damaged"
            lines.append([split, name, entry.about, entry.distribution, state])
    return lines, problems


def print_data_sets(data_root: Path | None) -> None:
    """Print a table of all data sets and where they were found."""
    from tabulate import tabulate

    lines = []
    for name in data_set_names():
        spec = load_data_set(name)
        found = locate_data_set(name, data_root)
        pairs = "" if found is None else str(len(found.pairs))
        where = "" if found is None else str(found.folder)
        lines.append([name, spec.split, spec.expected.pairs, pairs, where])
    headers = ["data set", "split", "expected", "found", "where"]
    print(tabulate(lines, headers=headers, disable_numparse=True))


def print_data_set(spec: DataSetSpec) -> None:
    """Print what a data set is, and its documented layouts and releases."""
    print(f"{spec.name}: {spec.title} ({spec.split})\n{spec.about}")
    print(f"homepage: {spec.homepage}\nlicence: {spec.licence}")
    print(f"looked for below a data root as: {', '.join([spec.name, *spec.folders])}")
    expected = spec.expected
    print(f"expected: {_count(expected.pairs)} pairs, {_count(expected.clean)} distinct clean")
    print("layouts:")
    for layout in spec.layouts:
        folders = f"{layout.degraded or 'noise is added'} <- {layout.clean}"
        groups = f" for {', '.join(layout.groups)}" if layout.groups else ""
        about = f" ({layout.about})" if layout.about else ""
        print(f"  {layout.name}: {folders}{groups}; pairing {layout.pairing}{about}")
    for variant in spec.variants:
        print(f"release {variant.name}: {variant.about}")


def _count(number: int | None) -> str:
    return "an unstated number of" if number is None else str(number)


def described(found: FoundSet) -> str:
    """Return in one line what was found of a data set."""
    unpaired = f", {len(found.unpaired)} unpaired" if found.unpaired else ""
    others = f", {len(found.others)} other entries" if found.others else ""
    return (
        f"found in {found.folder}, layout {found.layout.name}: {len(found.pairs)} pairs, "
        f"{len(found.clean_files)} distinct clean images{unpaired}{others}"
    )


def print_report(report: SetReport, show: int) -> None:
    """Print what a check of a data set found, with at most ``show`` problems of each kind."""
    name = report.found.spec.name
    state = f"{len(report.problems)} problems" if report.problems else "complete and readable"
    print(printable(f"{name}: {state}\n  {described(report.found)}"))
    _print_sizes(report)
    _print_degraded(report, show)
    _print_release(report)
    for kind in ("count", "unreadable", "size", "unpaired"):
        texts = [problem.text for problem in report.problems if problem.kind == kind]
        _print_some(texts, show)
    others = [f"no part of the set: {readable(path)}" for path in report.found.others]
    _print_some(others, _MOST_OTHERS)


def _print_degraded(report: SetReport, show: int) -> None:
    """Print how far degraded images are from clean ones, and which are identical to theirs."""
    without = f", without {len(report.identical)} identical pairs" if report.identical else ""
    if report.degraded_psnr_rgb_db is not None:
        psnr_db = report.degraded_psnr_rgb_db
        print(f"  degraded images: mean PSNR {psnr_db:.2f} dB in RGB{without}")
    elif report.identical:
        print("  degraded images: every pair is identical, so PSNR is infinite")
    lines = [f"identical to its clean image: {readable(path)}" for path in report.identical]
    _print_some(lines, show)


def _print_sizes(report: SetReport) -> None:
    sizes = []
    for (width, height), count in Counter(report.sizes).most_common(_MOST_SIZES):
        sizes.append(f"{width}x{height} ({count})")
    if sizes:
        more = ", …" if len(report.sizes) > len(sizes) else ""
        print(f"  sizes: {', '.join(sizes)}{more}")


def _print_release(report: SetReport) -> None:
    known = report.found.spec.variants
    if report.variants:
        releases = [f"{variant.name} ({variant.about})" for variant in report.variants]
        print(f"  release, by what can be measured: {', '.join(releases)}")
    elif known:
        names = ", ".join(variant.name for variant in known)
        print(f"  release: none of those that can be measured ({names})")


def print_duplicates(comparison: Comparison, show: int) -> None:
    """Print the images that two data sets share, or that are twice in one."""
    found = comparison.duplicates
    if not found:
        print(f"{comparison.where}: no image is there twice")
        return
    first = {match.first.pixels_sha256 for match in found}
    second = {match.second.image for match in found}
    exact = sum(match.exact for match in found)
    print(
        f"{comparison.where}: {len(first)} images are there again under {len(second)} names; "
        f"{exact} matches are equal pixel for pixel, {len(found) - exact} are near"
    )
    lines = []
    for match in found:
        how = "equal" if match.exact else f"near, correlation {match.correlation:.3f}"
        turned = f", {match.turned}" if match.turned else ""
        lines.append(f"{match.first.image} = {match.second.image} ({how}{turned})")
    _print_some(lines, show)


def print_differences(found: FoundSet, differences: Differences, show: int) -> None:
    """Print how a data set differs from its manifest."""
    state = "differs" if differences else "as its manifest says"
    print(printable(f"{found.spec.name}: {state} ({found.folder})"))
    kinds = {
        "changed": differences.changed,
        "missing": differences.missing,
        "added": differences.added,
    }
    for kind, files in kinds.items():
        _print_some([f"{kind}: {file}" for file in files], show)


def _print_some(lines: Sequence[str], most: int) -> None:
    for line in lines[:most]:
        print(printable(f"  - {line}"))
    if len(lines) > most:
        print(f"  - … and {len(lines) - most} more of this kind")

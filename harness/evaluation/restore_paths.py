"""Which files are restored, and where each result is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import UsageError
from harness.data.images.read import SUFFIXES
from harness.data.images.write import OutputFormat, format_of_suffix

_WILDCARDS = "*?["


@dataclass(frozen=True)
class PlannedFile:
    """One image and its result.

    Attributes:
        source: the degraded image.
        target: where the restored one is written.
        format: in which.
    """

    source: Path
    target: Path
    format: OutputFormat


def plan_files(
    inputs: Sequence[str | Path], output: Path, into: OutputFormat | None
) -> list[PlannedFile]:
    """Return the images of ``inputs`` and where they are written below ``output``.

    Args:
        inputs: files, folders and patterns with ``*``. A file is written under its own name, those
            in a folder under their path inside it.
        output: folder of the results.
        into: format of all results; None keeps that of each input.

    Raises:
        UsageError: an input does not exist, holds no image, or two would be written to one file
            or over an input.
    """
    planned: dict[Path, PlannedFile] = {}
    sources: set[Path] = set()
    for given in inputs:
        for source, relative in _files_of(given, output):
            if source.resolve() in sources:
                continue
            sources.add(source.resolve())
            chosen = into or format_of_suffix(source.suffix)
            target = output / _named(relative, chosen)
            if target in planned:
                raise UsageError(
                    f"{planned[target].source} and {source} would both be written to {target}; "
                    "restore them into two folders, or leave --format out"
                )
            planned[target] = PlannedFile(source, target, chosen)
    _check_targets(planned, sources, output)
    return sorted(planned.values(), key=lambda file: file.target)


def _files_of(given: str | Path, output: Path) -> list[tuple[Path, Path]]:
    """Return the files of one input, each with its path inside the output folder."""
    path = Path(given).expanduser()
    if path.is_dir():
        return _files_below(path, output)
    if path.exists():
        return [(path, Path(path.name))]
    if any(sign in str(given) for sign in _WILDCARDS):
        return _files_of_pattern(str(path), output)
    raise UsageError(f"--input {given} does not exist; check the path")


def _files_of_pattern(pattern: str, output: Path) -> list[tuple[Path, Path]]:
    found: list[tuple[Path, Path]] = []
    anchor = Path(Path(pattern).anchor or ".")
    for path in sorted(anchor.glob(str(Path(pattern).relative_to(Path(pattern).anchor)))):
        if path.is_file() and path.suffix.lower() in SUFFIXES and not _is_below(path, output):
            found.append((path, Path(path.name)))
    if not found:
        raise UsageError(f"--input {pattern} matches no image; check the pattern")
    return found


def _files_below(folder: Path, output: Path) -> list[tuple[Path, Path]]:
    """Return the images in a folder and those below it, without hidden ones and former results."""
    found: list[tuple[Path, Path]] = []
    # A folder that is the output folder, or inside it, holds inputs and no former results.
    holds_inputs = _is_below(folder, output)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if is_hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if holds_inputs or not _is_below(path, output):
            found.append((path, relative))
    if not found:
        endings = ", ".join(sorted(SUFFIXES))
        raise UsageError(f"--input {folder} holds no image; images end in {endings}")
    return found


def _named(relative: Path, chosen: OutputFormat) -> Path:
    """Return the path with the format's suffix, unless it has one of its suffixes already."""
    if relative.suffix.lower() in chosen.suffixes:
        return relative
    return relative.with_name(relative.stem + chosen.suffixes[0])


def _check_targets(planned: dict[Path, PlannedFile], sources: set[Path], output: Path) -> None:
    root = output.resolve()
    for file in planned.values():
        folder = file.target.parent.resolve()
        resolved = folder / file.target.name
        if resolved in sources or file.target.resolve() in sources:
            raise UsageError(
                f"{file.source} would be written to {file.target}, which is an input itself; "
                "choose another --output"
            )
        if not folder.is_relative_to(root):
            raise UsageError(
                f"{file.target} lies outside {output}, because a folder in it is a link; choose "
                "another --output"
            )
        if file.target.is_dir():
            raise UsageError(f"{file.target} is a folder; choose another --output")


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())

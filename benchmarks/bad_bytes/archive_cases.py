"""Bad archives of results: names that lead elsewhere, links, other files, rows that are none."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bad_bytes.case import Case, Change, Expected, nothing
from benchmarks.bad_bytes.payloads import CONTROL, INJECTIONS, PATHS, Runs
from benchmarks.bad_bytes.row_cases import bad_json
from benchmarks.bad_bytes.whole import METHODS

_IMPORT = (
    *("run", "--methods", METHODS, "--recipe", "quick.yaml", "--out", "new", "--threads", "1"),
    *("--import", "archive"),
)
_LEADERBOARD = ("leaderboard", "--to", "new", "--results", "archive")
_AGAINST = (
    "compare",
    "--methods",
    METHODS,
    "--recipe",
    "quick.yaml",
    "--out",
    "out",
    "--against",
    "archive",
)


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw an archive and the command that reads it."""
    words = chance.choice((_IMPORT, _IMPORT, _LEADERBOARD, _AGAINST))
    what, expected, harm = chance.choice((_csv, _csv, _run_file, _packed, _links))(chance, whole)
    if words is not _IMPORT and expected != "refused":
        expected = "any"
    return Case(f"archive: {what}", words, expected, (), nothing, harm)


def _csv(chance: random.Random, whole: Path) -> tuple[str, Expected, Change]:
    text = (whole / "archive" / "results.csv").read_text()
    way = chance.choice(("value", "field", "value", "field", *_CSV_EDITS))
    if way in ("value", "field"):
        expected, data = _other_field(text, chance, way == "value")
    else:
        expected, edit = _CSV_EDITS[way]
        data = edit(text.encode(), chance)
    return f"results.csv, {way}", expected, partial(_write, path="results.csv", data=data)


def _other_field(text: str, chance: random.Random, is_value: bool) -> tuple[Expected, bytes]:
    """Replace a field of one line."""
    lines = text.splitlines()
    place = chance.randrange(1, len(lines))
    fields = lines[place].split(",")
    expected: Expected = "any"
    if is_value:
        fields[11] = chance.choice((*_NO_VALUES, "nan", "inf", " 30", "1e400"))
        expected = "refused" if fields[11] in _NO_VALUES else "any"
    else:
        column = chance.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12])
        fields[column] = _csv_field(chance.choice((*CONTROL, *INJECTIONS, *PATHS)))
    lines[place] = ",".join(fields)
    return expected, ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


_NO_VALUES = ("x", "", "1_0", "٣", "-5.0", "1e30", "0x1p3", "1,5", "--")
_CSV_EDITS: dict[str, tuple[Expected, Callable[[bytes, random.Random], bytes]]] = {
    "cut off": ("any", lambda data, chance: data[: chance.randrange(len(data))]),
    "no head": ("refused", lambda data, chance: data.partition(b"\n")[2]),
    "an open quote": ("any", lambda data, chance: data.replace(b"nafnet", b'"nafnet', 1)),
    "bytes": ("any", lambda data, chance: data[:300] + b"\0\xff\xfe\x1b[2J" + data[300:]),
    "a line twice": ("any", lambda data, chance: data + data.splitlines()[-1] + b"\n"),
    "more fields": ("refused", lambda data, chance: data + b"," * 30 + b"\n"),
    "nothing": ("refused", lambda data, chance: b""),
    "a long line": ("refused", lambda data, chance: data + b"x" * 200_000 + b"\n"),
}


def _csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _write(work: Path, path: str, data: bytes) -> None:
    (work / "archive" / path).write_bytes(data)


def _run_file(chance: random.Random, whole: Path) -> tuple[str, Expected, Change]:
    file = chance.choice(sorted((whole / "archive" / "runs").glob("*.json")))
    data = bad_json(file.read_bytes(), chance)
    return (
        f"{file.name}: {data[:60]!r}",
        "any",
        partial(_write, path=f"runs/{file.name}", data=data),
    )


def _packed(chance: random.Random, whole: Path) -> tuple[str, Expected, Change]:
    """Put a packed file where a folder is meant, whose names lead out of it."""
    kind = chance.choice(("zip", "tar", "pickle", "gzip bomb"))
    return f"a {kind} file in its place", "refused", partial(_pack, kind=kind, seed=chance.random())


def _pack(work: Path, kind: str, seed: float) -> None:
    import gzip
    import pickle
    import shutil

    chance = random.Random(seed)
    name = chance.choice(("../../outside/diary.txt", "/tmp/x", "a/../../outside/y", "results.csv"))
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
            target.writestr(name, b"slipped")
            target.writestr("results.csv", b"0" * 10**7)
    elif kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    elif kind == "pickle":
        buffer.write(pickle.dumps(Runs()))
    else:
        buffer.write(gzip.compress(b"\0" * 10**8))
    shutil.rmtree(work / "archive")
    (work / "archive").write_bytes(buffer.getvalue())


def _links(chance: random.Random, whole: Path) -> tuple[str, Expected, Change]:
    way = chance.choice(sorted(_LINKS))
    expected, harm = _LINKS[way]
    return way, expected, harm


def _instead(work: Path, name: str, make: Any) -> None:
    path = work / "archive" / name
    if path.is_file():
        path.unlink()
    make(path)


def _more_archives(work: Path) -> None:
    """Put another archive beside it, with the same runs and other values."""
    folder = work / "archive" / "a"
    folder.mkdir()
    text = (work / "archive" / "results.csv").read_text()
    (folder / "results.csv").write_text(text.replace("measured", "x"))


def _spec_elsewhere(work: Path) -> None:
    """Let the file of a run say that it is another run, in a folder outside."""
    for path in (work / "archive" / "runs").glob("nafnet-*.json"):
        content = json.loads(path.read_text())
        content["spec"]["method"] = "../../outside/diary.txt"
        path.write_text(json.dumps(content))


_LINKS: dict[str, tuple[Expected, Change]] = {
    "results are a link to another file": (
        "refused",
        partial(_instead, name="results.csv", make=lambda path: path.symlink_to("/etc/passwd")),
    ),
    "results are endless": (
        "refused",
        partial(_instead, name="results.csv", make=lambda path: path.symlink_to("/dev/zero")),
    ),
    "results are a pipe": ("refused", partial(_instead, name="results.csv", make=os.mkfifo)),
    "results are a folder": ("any", partial(_instead, name="results.csv", make=os.mkdir)),
    "the folder holds itself": (
        "any",
        partial(_instead, name="loop", make=lambda path: path.symlink_to(".")),
    ),
    "another archive in it": ("any", _more_archives),
    "a run of another name": ("any", _spec_elsewhere),
}

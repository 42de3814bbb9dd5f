"""Bad files in an output folder: rows, specs, provenance, prompts, plans, compact copies."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bad_bytes.case import Case, Change, Expected, nothing
from benchmarks.bad_bytes.payloads import CONTROL, INJECTIONS, PATHS
from benchmarks.bad_bytes.whole import RUN, run_folder

_COMMANDS = (
    ("table", *RUN),
    ("table", *RUN),
    ("run", *RUN, "--threads", "1"),
    ("compare", *RUN),
    ("runs", "list", "--out", "out"),
    ("report", *RUN, "--to", "new", "--images", "none"),
    ("leaderboard", "--to", "new", "--results", "out"),
)
_TABLE = ("table", *RUN)
_METHODS = ("nafnet", "explicit", "degraded-input")

Edit = Callable[[bytes, random.Random], bytes]


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw a stored file, what is bad in it, and the command that reads it."""
    return chance.choice((_rows, _rows, _rows, _json, _json, _plan, _compact, _folder))(
        chance, whole
    )


# Rows


def _rows(chance: random.Random, whole: Path) -> Case:
    name = chance.choice(sorted(_ROW_EDITS))
    expected, edit = _ROW_EDITS[name]
    method = chance.choice(_METHODS)
    path = run_folder_of(whole, method) / "results.jsonl"
    data = edit((whole / path).read_bytes(), chance)
    words = chance.choice(_COMMANDS)
    if words[0] in ("run", "runs", "report", "leaderboard"):
        # They score again, or show what is there; a wrong number shows in what `table` prints.
        expected = "same" if expected == "same" else "any"
    set_up: Change = nothing
    return Case(
        f"rows of {method}: {name}",
        words,
        expected,
        ("results.jsonl", "two values", "no scores"),
        set_up,
        partial(_write, path=path, data=data),
    )


def run_folder_of(whole: Path, method: str) -> Path:
    return run_folder(whole, method).relative_to(whole)


def _write(work: Path, path: Path, data: bytes) -> None:
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).write_bytes(data)


def _line_edit(change: Callable[[dict[str, Any], random.Random], Any], checksum: bool) -> Edit:
    """Return an edit that changes one line; with a right checksum, or the one it had."""

    def edit(data: bytes, chance: random.Random) -> bytes:
        lines = data.splitlines()
        place = chance.randrange(len(lines))
        content = json.loads(lines[place])
        change(content, chance)
        if checksum:
            content = sealed(content)
        lines[place] = json.dumps(content, sort_keys=True).encode("utf-8", "surrogatepass")
        return b"\n".join(lines) + b"\n"

    return edit


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Return a line with the checksum of its fields, as the store computes it."""
    import zlib

    fields = {key: value for key, value in content.items() if key != "crc32"}
    text = json.dumps(fields, sort_keys=True)
    return {**fields, "crc32": f"{zlib.crc32(text.encode()):08x}"}


def _another_value(content: dict[str, Any], chance: random.Random) -> None:
    content["value"] = chance.choice((99.9, -5.0, 1e9, 0, 1e308, -1e300))


def _impossible_value(content: dict[str, Any], chance: random.Random) -> None:
    content["value"] = chance.choice((1e308, -1e300, "12", None, True, [1.0], {}, "NaN", 10**400))


def _not_finite(content: dict[str, Any], chance: random.Random) -> None:
    content["value"] = chance.choice((float("nan"), float("inf"), float("-inf")))


def _another_field(content: dict[str, Any], chance: random.Random) -> None:
    field = chance.choice(sorted(set(content) - {"value", "crc32"}))
    texts = (*CONTROL, *INJECTIONS, *PATHS, None, 3, True, [], {}, "", "\ud800", 2**70, -1, 1.5)
    content[field] = chance.choice(texts)


def _field_gone(content: dict[str, Any], chance: random.Random) -> None:
    del content[chance.choice(sorted(set(content) - {"crc32"}))]


def _field_more(content: dict[str, Any], chance: random.Random) -> None:
    content[chance.choice(("more", "__class__", "Value", ""))] = chance.choice((1, "x", None))


def _no_checksum(data: bytes, chance: random.Random) -> bytes:
    lines = []
    for line in data.splitlines():
        content = json.loads(line)
        del content["crc32"]
        lines.append(json.dumps(content).encode())
    return b"\n".join(lines) + b"\n"


def _written_otherwise(data: bytes, chance: random.Random) -> bytes:
    lines = []
    for line in data.splitlines():
        content = json.loads(line)
        keys = list(content)
        chance.shuffle(keys)
        lines.append(
            json.dumps(
                {key: content[key] for key in keys}, indent=None, separators=(",", ":")
            ).encode()
        )
    return b"\n".join(lines) + b"\n"


def _twice_with_another(data: bytes, chance: random.Random) -> bytes:
    content = json.loads(chance.choice(data.splitlines()))
    content["value"] += 1.0
    return data + json.dumps(sealed(content), sort_keys=True).encode() + b"\n"


def _key_twice(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines()
    place = chance.randrange(len(lines))
    lines[place] = lines[place][:-1] + b', "value": 99.5}'
    return b"\n".join(lines) + b"\n"


_ROW_EDITS: dict[str, tuple[Expected, Edit]] = {
    "cut off in its last line": ("any", lambda data, chance: data[: -chance.randrange(2, 200)]),
    "a line torn in the middle": ("refused", lambda data, chance: _torn(data, chance)),
    "another value": ("refused", _line_edit(_another_value, False)),
    "an impossible value": ("refused", _line_edit(_impossible_value, True)),
    "a value that is not finite": ("any", _line_edit(_not_finite, True)),
    "another field": ("refused", _line_edit(_another_field, False)),
    "another field with its checksum": ("any", _line_edit(_another_field, True)),
    "a field gone": ("refused", _line_edit(_field_gone, True)),
    "a field more": ("refused", _line_edit(_field_more, True)),
    "no checksums, as of old": ("same", _no_checksum),
    "keys in another order": ("same", _written_otherwise),
    "a line twice": (
        "either",
        lambda data, chance: data + chance.choice(data.splitlines()) + b"\n",
    ),
    "a row twice with another value": ("refused", _twice_with_another),
    "a key twice": ("refused", _key_twice),
    "NUL": ("refused", lambda data, chance: data + b"\0\0\0\0\n"),
    "no UTF-8": ("refused", lambda data, chance: data + b'{"value": "\xff\xfe"}\n'),
    "random bytes": ("refused", lambda data, chance: chance.randbytes(500) + b"\n" + data),
    "deep nesting": (
        "refused",
        lambda data, chance: data + b"[" * 100_000 + b"]" * 100_000 + b"\n",
    ),
    "a long number": (
        "refused",
        lambda data, chance: data + b'{"value": ' + b"9" * 10_000 + b"}\n",
    ),
    "a text": ("refused", lambda data, chance: data + b"measured by hand: 31.2\n"),
    "line ends of Windows": ("either", lambda data, chance: data.replace(b"\n", b"\r\n")),
    "empty lines": ("either", lambda data, chance: data.replace(b"\n", b"\n\n")),
    "a mark of byte order": ("either", lambda data, chance: b"\xef\xbb\xbf" + data),
    "nothing": ("any", lambda data, chance: b""),
    "another separator in a name": (
        "refused",
        lambda data, chance: data.replace(b"denoise", b"den\xe2\x80\xa8oise", 1),
    ),
}


def _torn(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines()
    place = chance.randrange(len(lines) - 1)
    lines[place] = lines[place][: chance.randrange(1, len(lines[place]) - 2)] + b"}"
    return b"\n".join(lines) + b"\n"


# JSON files

_JSON_FILES = ("spec.json", "provenance.json", "prompt_summary.json", "validation.jsonl")


def _json(chance: random.Random, whole: Path) -> Case:
    name = chance.choice(_JSON_FILES)
    path = run_folder_of(whole, "explicit") / name
    data = bad_json((whole / path).read_bytes(), chance)
    words = chance.choice(_COMMANDS)
    return Case(
        f"{name}: {data[:60]!r}", words, "any", (), nothing, partial(_write, path=path, data=data)
    )


def bad_json(data: bytes, chance: random.Random) -> bytes:
    """Return JSON of another form, with other values, or none."""
    way = chance.randrange(10)
    if way == 0:
        return chance.choice((b"", b"null", b"[]", b"3", b'"x"', b"{", b"\0", b"\xff\xfe", b"{}"))
    if way == 1:
        return data[: chance.randrange(len(data))]
    if way == 2:
        return chance.choice((b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000))
    lines = data.splitlines() if data.count(b"\n") > 1 and data.startswith(b'{"') else [data]
    place = chance.randrange(len(lines))
    try:
        content = json.loads(lines[place])
    except ValueError:
        return data[:-1]
    leaves: list[tuple[Any, Any]] = []
    _places(content, leaves)
    holder, key = chance.choice(leaves)
    others = (
        None,
        True,
        -1,
        0,
        10**30,
        10**400,
        float("nan"),
        float("inf"),
        "",
        "x",
        [],
        {},
        [[[]]],
        {"a": 1},
    )
    if way < 5:
        del holder[key]
    else:
        holder[key] = chance.choice((*others, *CONTROL, *INJECTIONS[:6], *PATHS[:6]))
    lines[place] = json.dumps(content).encode("utf-8", "surrogatepass")
    return b"\n".join(lines) + b"\n"


def _places(node: Any, found: list[tuple[Any, Any]]) -> None:
    """Collect where all values of a JSON value are."""
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(inside):
        found.append((node, key))
        if isinstance(value, dict | list) and value:
            _places(value, found)


def _plan(chance: random.Random, whole: Path) -> Case:
    data = _same_folder(bad_json((whole / "plan.json").read_bytes(), chance))
    run = run_folder_of(whole, "nafnet").name
    words = ("exec", run, "--plan", "plan.json", "--threads", "1")
    return Case(
        f"plan.json: {data[:80]!r}",
        words,
        "any",
        (),
        nothing,
        partial(_write, path=Path("plan.json"), data=data),
    )


def _same_folder(data: bytes) -> bytes:
    """Return a plan whose output folder is the right one: any other is what its author wants."""
    try:
        content = json.loads(data)
        content["request"]["out"] = "out"
    except (ValueError, TypeError, KeyError, RecursionError):
        return data
    return json.dumps(content).encode("utf-8", "surrogatepass")


# Compact copies


def _make_compact(work: Path) -> None:
    from harness.store.compact import write_compact
    from harness.store.result_lines import read_files

    paths = sorted((work / "out").glob("*/results.jsonl"))
    read = read_files(paths)
    write_compact(
        work / "out", {path.parent.name: file for path, file in zip(paths, read, strict=True)}, 0
    )


def _compact(chance: random.Random, whole: Path) -> Case:
    way = chance.choice(("cut", "bytes", "other", "empty", "name", "folder"))
    harm = partial(_harm_compact, way=way, seed=chance.random())
    return Case(
        f"compact copy: {way}",
        _TABLE,
        "same",
        (),
        _make_compact,
        harm,
        environment=(("HARNESS_DIRECT_BYTES", None),),
    )


def _harm_compact(work: Path, way: str, seed: float) -> None:
    import zlib

    chance = random.Random(seed)
    (path,) = (work / "out" / "compact").glob("*.parquet")
    data = bytearray(path.read_bytes())
    if way == "folder":
        path.unlink()
        path.mkdir()
        return
    if way == "cut":
        data = data[: chance.randrange(len(data))]
    elif way == "empty":
        data = bytearray()
    elif way == "other":
        data = bytearray(chance.randbytes(300))
    else:
        for _ in range(20):
            data[chance.randrange(len(data))] = chance.randrange(256)
    path.unlink()
    name = path.name if chance.random() < 0.3 else f"{zlib.crc32(data):08x}.parquet"
    (path.parent / name).write_bytes(bytes(data))


# Folders


def _folder(chance: random.Random, whole: Path) -> Case:
    name = chance.choice(sorted(_FOLDER_HARMS))
    expected, harm = _FOLDER_HARMS[name]
    words = chance.choice(
        (_TABLE, ("runs", "list", "--out", "out"), ("run", *RUN, "--threads", "1"))
    )
    if words[0] != "table":
        expected = "any"
    return Case(f"output folder: {name}", words, expected, (), nothing, harm)


def _replace(work: Path, name: str, make: Callable[[Path], object]) -> None:
    path = run_folder(work, "nafnet") / name
    path.unlink()
    make(path)


_FOLDER_HARMS: dict[str, tuple[Expected, Change]] = {
    "results are a folder": ("refused", partial(_replace, name="results.jsonl", make=os.mkdir)),
    "results are a pipe": ("any", partial(_replace, name="results.jsonl", make=os.mkfifo)),
    "results are endless": (
        "any",
        partial(_replace, name="results.jsonl", make=lambda path: path.symlink_to("/dev/zero")),
    ),
    "results are a link to themselves": (
        "any",
        partial(_replace, name="results.jsonl", make=lambda path: path.symlink_to(path)),
    ),
    "provenance is a pipe": ("any", partial(_replace, name="provenance.json", make=os.mkfifo)),
    "the spec is endless": (
        "any",
        partial(_replace, name="spec.json", make=lambda path: path.symlink_to("/dev/zero")),
    ),
    "the spec is a folder": ("any", partial(_replace, name="spec.json", make=os.mkdir)),
    "a run is a file": (
        "any",
        lambda work: (work / "out" / "x-s0-0123456789abcdef").write_text("x"),
    ),
    "a strange run": (
        "same",
        lambda work: (work / "out" / "\x1b[31m\n..-s0-0123456789abcdef").mkdir(),
    ),
    "an odd name": (
        "same",
        lambda work: (work / "out" / os.fsdecode(b"\xff\xfe-s0-0123")).mkdir(),
    ),
    "a run that is a link up": (
        "same",
        lambda work: (work / "out" / "loop-s0-0123456789abcdef").symlink_to(".."),
    ),
    "a claim of nobody": (
        "any",
        lambda work: (run_folder(work, "nafnet") / ".claim").write_text("\0\xff nobody"),
    ),
    "tables are a file": ("refused", lambda work: (work / "out" / "tables").write_text("x")),
}

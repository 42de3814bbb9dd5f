"""Bad YAML: settings, recipes, studies, requests, data sets, protocols and test sets."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.bad_bytes.case import Case, Change, Expected
from benchmarks.bad_bytes.payloads import PATHS, YAML_TAGS

_KINDS = {
    "settings": "setting",
    "protocols": "protocol",
    "sets": "data set",
    "out_of_distribution": "test set",
    "studies": "study",
    "recipes": "recipe",
}
_OWN = {
    "quick.yaml": ("run", "--methods", "nafnet", "--recipe", "quick.yaml", "--dry-run"),
    "request.yaml": ("run", "--config", "request.yaml", "--dry-run"),
    "study.yaml": ("ablate", "--study", "study.yaml", "--recipe", "quick.yaml", "--dry-run"),
    "own.yaml": ("data", "check", "own", "--data-root", "data"),
}
_PLACE = "PLACE_OF_THE_VALUE"

Edit = Callable[[bytes, random.Random], bytes]


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw a file, the command that reads it, and what is bad in it."""
    path, words, environment = _target(chance, whole)
    text = (whole / path).read_bytes()
    if chance.random() < 0.5:
        what, expected, data = _edited(text, chance)
    else:
        what, expected, data = _with_another_value(text, chance)
    name = Path(path).name
    set_up: Change = partial(_include, name=name) if environment else _keep
    target = f"mine/sets/{name}" if environment else path
    harm = partial(_write, path=target, data=data)
    named = () if name in ("request.yaml", "own.yaml") else (name,)
    return Case(f"{path}: {what}", words, expected, named, set_up, harm, environment=environment)


def _target(
    chance: random.Random, whole: Path
) -> tuple[str, tuple[str, ...], tuple[tuple[str, str | None], ...]]:
    if chance.random() < 0.45:
        name = chance.choice(sorted(_OWN))
        if name == "own.yaml":
            return name, _OWN[name], (("HARNESS_INCLUDE", "mine"),)
        return name, (*_OWN[name], "--out", "out"), ()
    kind = chance.choice(sorted(_KINDS))
    file = chance.choice(sorted((whole / "shipped" / kind).glob("*.yaml")))
    path = str(file.relative_to(whole))
    return path, ("validate", path, "--as", _KINDS[kind]), ()


def _keep(work: Path) -> None:
    """Leave the folder as it is."""


def _include(work: Path, name: str) -> None:
    folder = work / "mine" / "sets"
    folder.mkdir(parents=True, exist_ok=True)
    (work / name).rename(folder / name)


def _write(work: Path, path: str, data: bytes) -> None:
    (work / path).write_bytes(data)


def _edited(text: bytes, chance: random.Random) -> tuple[str, Expected, bytes]:
    name = chance.choice(sorted(_EDITS))
    expected, edit = _EDITS[name]
    return name, expected, edit(text, chance)


def _insert(text: bytes, chance: random.Random, what: bytes) -> bytes:
    place = chance.randrange(len(text))
    return text[:place] + what + text[place:]


def _laughs(text: bytes, chance: random.Random) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, chance.choice((8, 12, 30))):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return text + ("\n" + "\n".join(lines) + "\n").encode()


def _laughs_inside(text: bytes, chance: random.Random) -> bytes:
    """Put the aliases under a key that is known, where a schema would look through them."""
    value = "[x, x, x, x, x, x, x, x]"
    for level in range(12):
        value = f"[&b{level} {value}, {', '.join([f'*b{level}'] * 8)}]"
    key = chance.choice(sorted(map(str, _mapping(text))))
    return _without(text, key) + f"\n{key}: {value}\n".encode()


def _merge_laughs(text: bytes, chance: random.Random) -> bytes:
    lines = ["m0: &m0 {k: 1}"]
    for level in range(1, 25):
        lines.append(f"m{level}: &m{level} {{<<: [*m{level - 1}, *m{level - 1}]}}")
    return text + ("\n" + "\n".join(lines) + "\n").encode()


def _cyclic(text: bytes, chance: random.Random) -> bytes:
    key = chance.choice(sorted(map(str, _mapping(text))))
    value = chance.choice(("&loop [*loop]", "&loop {a: *loop}", "&loop {options: {a: [*loop]}}"))
    return _without(text, key) + f"\n{key}: {value}\n".encode()


def _deep(text: bytes, chance: random.Random) -> bytes:
    key = chance.choice(sorted(map(str, _mapping(text))))
    depth = chance.choice((300, 5000, 100_000))
    opened, closed = chance.choice((("[", "]"), ("{a: ", "}")))
    return _without(text, key) + f"\n{key}: {opened * depth}{closed * depth}\n".encode()


def _twice(text: bytes, chance: random.Random) -> bytes:
    key = chance.choice(sorted(map(str, _mapping(text))))
    form = chance.choice((f"{key}: 1", f'"{key}": 1', f"? {key}\n: 1", f"!!str {key}: 1"))
    return text.rstrip() + f"\n{form}\n".encode()


def _mapping(text: bytes) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(text)
    return found


def _without(text: bytes, key: str) -> bytes:
    content = {name: value for name, value in _mapping(text).items() if str(name) != key}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def _tagged(text: bytes, chance: random.Random) -> bytes:
    key = chance.choice(sorted(map(str, _mapping(text))))
    return _without(text, key) + f"\n{key}: {chance.choice(YAML_TAGS)}\n".encode()


def _tagged_key(text: bytes, chance: random.Random) -> bytes:
    return text + f"\n? {chance.choice(YAML_TAGS)}\n: 1\n".encode()


def _re_anchored(text: bytes, chance: random.Random) -> bytes:
    """Say the same through an anchor and a merge key."""
    content = _mapping(text)
    dumped = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    lines = [f"  {line}" for line in dumped.splitlines()]
    return ("<<: &everything\n" + "\n".join(lines) + "\n").encode()


def _odd_key(text: bytes, chance: random.Random) -> bytes:
    key = chance.choice(
        (
            "1",
            "null",
            "true",
            "1.5",
            "[a, b]",
            "{a: b}",
            "''",
            '"\\e[31m"',
            "~",
            "=",
            "2024-01-01",
            "<<",
            '"a\\0b"',
            '"\\ud800"',
            "!!binary aGk=",
            "x" * 100_000,
        )
    )
    return text + f"\n{key}: 1\n".encode()


_EDITS: dict[str, tuple[Expected, Edit]] = {
    "nothing": ("refused", lambda text, chance: b""),
    "NUL": ("refused", lambda text, chance: _insert(text, chance, b"\0")),
    "control characters": ("refused", lambda text, chance: _insert(text, chance, b"\x1b[31m")),
    "UTF-16": ("refused", lambda text, chance: text.decode().encode("utf-16")),
    "UTF-32": ("refused", lambda text, chance: text.decode().encode("utf-32")),
    "no UTF-8": ("refused", lambda text, chance: _insert(text, chance, b"\xff\xfe\xc3")),
    "random bytes": ("refused", lambda text, chance: chance.randbytes(200)),
    "cut off": ("any", lambda text, chance: text[: chance.randrange(len(text))]),
    "a line gone": ("any", lambda text, chance: _line_gone(text, chance)),
    "a byte changed": ("any", lambda text, chance: _byte_changed(text, chance)),
    "a tab": ("any", lambda text, chance: _insert(text, chance, b"\n\t")),
    "a list": ("refused", lambda text, chance: b"- a\n- b\n"),
    "a text": ("refused", lambda text, chance: b"just words\n"),
    "two documents": ("refused", lambda text, chance: text + b"\n---\na: 1\n"),
    "aliases of aliases": ("refused", _laughs),
    "aliases of aliases under a known key": ("refused", _laughs_inside),
    "merges of merges": ("refused", _merge_laughs),
    "a value that holds itself": ("refused", _cyclic),
    "deep nesting": ("refused", _deep),
    "a key twice": ("refused", _twice),
    "a tag that runs code": ("refused", _tagged),
    "a key with a tag": ("refused", _tagged_key),
    "an odd key": ("refused", _odd_key),
    "an unknown alias": ("refused", lambda text, chance: text + b"\nlabel: *nowhere\n"),
    "a directive": ("any", lambda text, chance: b"%YAML 9.9\n---\n" + text),
    "a mark of byte order": ("same", lambda text, chance: b"\xef\xbb\xbf" + text),
    "line ends of Windows": ("same", lambda text, chance: text.replace(b"\n", b"\r\n")),
    "markers of a document": ("same", lambda text, chance: b"---\n" + text + b"\n...\n"),
    "a comment": ("same", lambda text, chance: text + b"\n# \xe2\x80\xae comment\n"),
    "the same through a merge key": ("either", _re_anchored),
    "fifty megabytes": ("refused", lambda text, chance: text + b"# x\n" * 12_500_000),
}


def _line_gone(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def _byte_changed(text: bytes, chance: random.Random) -> bytes:
    changed = bytearray(text)
    changed[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(changed)


_NUMBERS_NONE_CAN_BE = (".nan", ".inf", "-.inf", "1e400", "yes", "True", "1:30", "12:30:45")
"""Values that stand for no number, though YAML 1.1 or a lenient reader makes one of them."""

_OTHERS = (
    *("null", "[]", "{}", "''", "-1", "0", "1e-320", str(10**30), "-" + "9" * 400, "9" * 5000),
    *(
        "0x10",
        "0b11",
        "1_000",
        "0777",
        "2024-01-01",
        "2024-01-01 10:00:00",
        "!!binary aGk=",
        "=",
        "!!set {a, b}",
    ),
    *(
        "!!float 3",
        "!!int '3'",
        "!!bool yes",
        "!!str 3",
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "[1, [2]]",
    ),
    *(
        "{a: {b: 1}}",
        '"\\x1b[31m"',
        '"\\0"',
        '"\\ud800"',
        '"a\\nb"',
        "x" * 10_000,
        "[" * 50 + "]" * 50,
    ),
    *("1e308", "4.5", "'3'", "3.0", "'1e3'", "[.nan]", "'nan'", "'inf'", "١٢", "²"),
)


def _with_another_value(text: bytes, chance: random.Random) -> tuple[str, Expected, bytes]:
    """Replace a random leaf of the file."""
    content = _mapping(text)
    leaves: list[tuple[Any, Any]] = []
    _collect(content, leaves)
    holder, key = chance.choice(leaves)
    before = holder[key]
    is_number = isinstance(before, int | float) and not isinstance(before, bool)
    pool = _NUMBERS_NONE_CAN_BE if is_number and chance.random() < 0.6 else _OTHERS
    value = chance.choice(pool)
    if chance.random() < 0.15:
        value = yaml.safe_dump(chance.choice(PATHS), allow_unicode=True).strip().split("\n...")[0]
        pool = ()
    holder[key] = _PLACE
    dumped = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10**6)
    expected: Expected = "refused" if pool is _NUMBERS_NONE_CAN_BE else "any"
    data = dumped.replace(_PLACE, value).encode("utf-8", "surrogatepass")
    return f"{key}: {value[:60]} instead of {str(before)[:40]}", expected, data


def _collect(node: Any, leaves: list[tuple[Any, Any]]) -> None:
    """Collect where the values are that are no mappings or lists."""
    places = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(places):
        if isinstance(value, dict | list) and value:
            _collect(value, leaves)
        else:
            leaves.append((node, key))

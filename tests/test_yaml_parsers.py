"""Files that ship are read by libyaml's parser: values and sentences are those of PyYAML's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.config import parsing
from harness.config.errors import UsageError
from harness.config.folders import datasets_folder
from harness.config.package import PACKAGE_FOLDER
from harness.config.parsing import read_yaml

SHIPPED = sorted([*datasets_folder().rglob("*.yaml"), *PACKAGE_FOLDER.rglob("*.yaml")])

VALID = {
    "numbers": "a: 1\nb: -2.5e3\nc: .inf\nd: 1_000\ne: 0x1F\nf: 1e3\n",
    "texts": "a: 'it''s'\nb: \"\\u00e9\\n\"\nc: |\n  two\n  lines\nd: >-\n  one\n  line\n",
    "truths and nothing": "a: yes\nb: off\nc: ~\nd:\ne: true\n",
    "flow": "a: [1, {b: 2, c: [3]}, 'x']\nb: {}\n",
    "aliases": "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n",
    "dates": "a: 2026-11-26\nb: 2026-11-26 10:00:00\n",
    "other letters": "σ: 'Δ 日本'\n",
}

BROKEN = {
    "open list": "a: 1\nb: [\n",
    "tab": "a: 1\n\tb: 2\n",
    "key twice": "a: 1\nb: 2\na: 3\n",
    "octal": "a: 1\nb: 017\n",
    "base of sixty": "a: 1\nb: 12:30\n",
    "control character": 'a: 1\nb: "\\x07"\n',
    "raw control character": "a: 1\nb: \x01\n",
    "alias of nothing": "a: 1\nb: *x\n",
    "holds itself": "a: &x\n  b: *x\n",
    "many values": f"a: &a [{'1, ' * 400}]\nb: [{'*a, ' * 400}]\n",
    "unknown tag": "a: 1\nb: !!python/object:os.system x\n",
    "no date": "a: 2026-13-45\n",
    "list as key": "? [1]\n: 2\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "bad indent": "a:\n    b: 1\n  c: 2\n",
    "list": "- 1\n",
    "nothing": "",
}


@pytest.fixture
def ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return what lets files of ``tmp_path`` ship, or not."""

    def decide(yes: bool) -> None:
        monkeypatch.setattr(parsing, "PACKAGE_FOLDER", tmp_path if yes else PACKAGE_FOLDER)

    return decide


def outcome(path: Path) -> str:
    """Return the values of a file with their types, or the sentence that refuses it."""
    try:
        return repr(read_yaml(path))
    except UsageError as error:
        return f"refused: {error}"


def outcome_of_both(text: str, path: Path, ships: Callable[[bool], None]) -> str:
    """Return what both parsers make of a text, which is the same."""
    path.write_text(text, encoding="utf-8")
    ships(True)
    found = outcome(path)
    ships(False)
    assert found == outcome(path)
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_that_ships_has_the_same_values(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcome(path)
    monkeypatch.setattr(parsing, "PACKAGE_FOLDER", Path("/nowhere"))
    assert outcome(path) == found
    assert not found.startswith("refused")


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_what_yaml_allows_is_read_alike(
    text: str, tmp_path: Path, ships: Callable[[bool], None]
) -> None:
    found = outcome_of_both(text, tmp_path / "file.yaml", ships)
    assert not found.startswith("refused")


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_refused_is_refused_in_the_same_words(
    text: str, tmp_path: Path, ships: Callable[[bool], None]
) -> None:
    path = tmp_path / "file.yaml"
    assert outcome_of_both(text, path, ships).startswith(f"refused: {path}")


def test_libyaml_reads_only_what_ships(tmp_path: Path, ships: Callable[[bool], None]) -> None:
    if not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without libyaml")
    path = tmp_path / "file.yaml"
    path.write_text("a:\t1\n", encoding="utf-8")
    ships(True)
    assert read_yaml(path) == {"a": 1}
    ships(False)
    with pytest.raises(UsageError, match="line 1 is not valid YAML"):
        read_yaml(path)

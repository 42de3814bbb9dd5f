"""What the documents say exists: subcommands, flags, files and imports."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import typer
import yaml

import harness
from harness.cli import app
from harness.config.parsing import parse
from harness.planning.request import RunRequest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
ROOMS = "harness|methods|datasets|docs|examples|benchmarks|results|tests"
FILE = re.compile(rf"`((?:{ROOMS})/[\w./-]+)`")
IMPORT = re.compile(r"^from ((?:harness|methods|tests)[\w.]*) import (\w+)", re.MULTILINE)
RUN_ID = re.compile(r"\b[a-z][\w-]*-s\d+-[0-9a-f]{16}\b")
LATER = ("results/runs", "results/bench", "results/manifests", "datasets/sets/my-rain-test.yaml")
"""What runs and examples make."""


def flags_by_subcommand() -> dict[str, set[str]]:
    """Return the flags of each subcommand, by its words."""
    found: dict[str, set[str]] = {}
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        found[words] = {"--help", "-h"}
        for parameter in command.params:
            found[words].update(flag for flag in parameter.opts if flag.startswith("-"))
        for name, inner in getattr(command, "commands", {}).items():
            waiting.append((f"{words} {name}".strip(), inner))
    return found


FLAGS = flags_by_subcommand()


def blocks(path: Path, language: str) -> list[str]:
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def commands(path: Path) -> list[list[str]]:
    """Return the words after ``python -m harness`` of each command line."""
    found = []
    for text in blocks(path, "bash"):
        for line in text.splitlines():
            _, named, rest = line.partition("python -m harness")
            if named:
                found.append(re.split(r"\s#|&&", rest)[0].split())
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_have_the_flags_that_documents_show(path: Path) -> None:
    for words in commands(path):
        name = words[0] if words else ""
        if len(words) > 1 and f"{name} {words[1]}" in FLAGS:
            name = f"{name} {words[1]}"
        if len(words) > 2 and f"{name} {words[2]}" in FLAGS:
            name = f"{name} {words[2]}"
        if name == "means":  # the example of CONTRIBUTING.md
            continue
        assert name in FLAGS, words
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= FLAGS[name], words


def test_every_subcommand_and_flag_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, flags in FLAGS.items():
        assert name in text
        missing = [flag for flag in flags if flag not in text]
        assert not missing, name


def test_requests_in_documents_are_requests() -> None:
    found = 0
    for path in DOCUMENTS:
        for text in blocks(path, "yaml"):
            content = yaml.safe_load(text)
            if isinstance(content, dict) and {"methods", "recipe"} <= set(content):
                parse(RunRequest, content, path.name)
                found += 1
    assert found >= 2


def test_runs_and_images_of_examples_are_those_of_the_main_line() -> None:
    """Ids follow from defaults: a stale one names no run of the plan that a page makes."""
    archive = ROOT / "results" / "reference" / "three-task" / "results.csv"
    with archive.open(encoding="utf-8", newline="") as lines:
        scored = {f"{row['column']}:{row['image']}" for row in csv.DictReader(lines)}
    named, shown = set(), set()
    for path in DOCUMENTS:
        named.update(RUN_ID.findall(path.read_text(encoding="utf-8")))
        for words in commands(path):
            if "--images" in words:
                shown.update(words[words.index("--images") + 1].split(","))
    methods = {name.rpartition("-s0-")[0] for name in named}
    assert named
    assert named <= {run.id for run in harness.plan(methods=sorted(methods)).runs}
    assert shown
    assert shown <= scored


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_documents_name_exist(path: Path) -> None:
    text = BLOCK.sub("CONTENT", path.read_text(encoding="utf-8"))
    # An example of a new file is followed by its content.
    examples = set(re.findall(r"`([\w./-]+)`:\n\nCONTENT", text))
    for name in FILE.findall(text):
        inside_example = any(example.startswith(name) for example in examples)
        assert inside_example or name.startswith(LATER) or (ROOT / name).exists(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_import_what_there_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for code in blocks(path, "python"):
        for module, name in IMPORT.findall(code):
            if "residual_cnn" in module or f"`{module.replace('.', '/')}.py`:" in text:
                continue  # a new file of an example
            imported = importlib.import_module(module)
            is_module = (
                importlib.util.find_spec(f"{module}.{name}") if _is_package(imported) else None
            )
            assert hasattr(imported, name) or is_module, f"{module}: {name}"


def _is_package(module: ModuleType) -> bool:
    return hasattr(module, "__path__")

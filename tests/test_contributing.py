"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:`([\w./-]+)`:\n\n)?```(?:python|yaml)\n(.*?)```", re.DOTALL)
ENTRIES = (
    ("methods/catalogue.py", "from methods.residual_cnn import spec as residual_cnn", "_SPECS: "),
    ("methods/catalogue.py", "*residual_cnn.SPECS,", "*degraded_input.SPECS"),
    (
        "harness/evaluation/metrics/registry.py",
        '"harness.evaluation.metrics.absolute_error",',
        '"harness.evaluation.metrics.psnr"',
    ),
    (
        "harness/reporting/columns.py",
        '"peak_memory": ExtraColumn("Memory (GiB)", peak_memory),',
        '"parameters": ExtraColumn',
    ),
    (
        "harness/reporting/figures/registry.py",
        '"histogram": "harness.reporting.figures.histogram",',
        '"routing": ',
    ),
    (
        "harness/cli/subcommands.py",
        '"means": Subcommand("harness.cli.means:means", "Print the means of all metrics."),',
        '"methods": Subcommand(',
    ),
    ("harness/launch/__init__.py", '"remote": "harness.launch.remote",', '"local": '),
)
"""Where the lines of the recipes go: a file, the line, and the text that it is put before."""


def follow(recipe: str, project: Path) -> None:
    """Write the files that a recipe shows."""
    section = TEXT.split(f"### {recipe}\n")[1].split("\n### ")[0]
    for name, content in BLOCK.findall(section):
        if name:
            path = project / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        elif recipe == "A table column":
            insert(project / "harness/reporting/columns.py", content, "EXTRA_COLUMNS = {")


def insert(path: Path, content: str, anchor: str) -> None:
    text = path.read_text()
    assert text.count(anchor) == 1, anchor
    path.write_text(text.replace(anchor, f"{content}\n{anchor}"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name in ("harness", "methods", "datasets", "results"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("runs"))
    (folder / "tests").mkdir()
    for name in ("__init__.py", "plans.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests" / name)
    return folder


def python(project: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_recipe_works(project: Path) -> None:
    recipes = re.findall(r"^### (A .*)$", TEXT, re.MULTILINE)
    assert len(recipes) == 8
    for recipe in recipes:
        follow(recipe, project)
    for name, line, anchor in ENTRIES:
        assert line in TEXT
        insert(project / name, line, anchor)
    python(project, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "two convolutions" in python(project, "harness", "methods", "residual-cnn")
    assert "My rain" in python(project, "harness", "data", "show", "my-rain")
    planned = python(project, "harness", "run", "--dry-run", "--metrics", "mae_rgb")
    assert "missing" in planned

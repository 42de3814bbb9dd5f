"""Plug-in methods: a file, an installed package, and files that cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def harness(*words: str, path: Path | None = None) -> str:
    """Run a command in a process of its own; plug-ins are state of a process."""
    paths = [str(ROOT)]
    if path is not None:
        paths.append(str(path))
    result = subprocess.run(
        [sys.executable, "-m", "harness", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def code_lines(path: Path) -> int:
    text = path.read_text().split('"""', 2)[2]
    return sum(bool(line.strip()) for line in text.splitlines())


def test_a_file_of_at_most_forty_lines_trains_and_is_in_the_table(tmp_path: Path) -> None:
    plugin = EXAMPLES / "residual_cnn.py"
    assert code_lines(plugin) <= 40
    assert "residual-cnn" in harness("methods", "--plugin", str(plugin))
    # Two workers, which must find the file too.
    printed = harness(
        *("run", "--recipe", "smoke", "--jobs", "2", "--out", str(tmp_path)),
        *("--plugin", str(plugin), "--methods", "residual-cnn:width=8,adair+cpl"),
    )
    assert "Residual CNN:width=8" in printed
    assert "AdaIR+CPL" in printed
    (path,) = tmp_path.glob("**/residual-cnn_width=8*/spec.json")
    assert json.loads(path.read_text())["options"] == {"width": 8}


def test_an_installed_package_registers_itself_and_gets_cpl(tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--target", str(site), str(EXAMPLES / "hosting_package")),
        ],
        check=True,
    )
    assert "hosting" in harness("methods", path=site)
    printed = harness(
        *("run", "--recipe", "smoke", "--out", str(tmp_path / "out")),
        *("--methods", "hosting+cpl"),
        path=site,
    )
    assert "Hosting+CPL" in printed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "holds no Method"),
    ],
)
def test_a_broken_plugin_is_listed_and_the_others_work(
    text: str, reason: str, tmp_path: Path
) -> None:
    plugin = tmp_path / "broken_method.py"
    plugin.write_text(text)
    printed = harness("methods", "--plugin", str(plugin))
    assert "promptir" in printed
    assert "broken_method cannot be used" in " ".join(printed.split())
    assert reason in printed

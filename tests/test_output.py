"""Printing never fails a command: closed pipes, poor encodings, no standard output at all."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.output import make_output_patient, terminal_width


def child(
    code: str, path: Path, command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a shell command line that names it as ``$PY``."""
    script = path / "script.py"
    script.write_text(code)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; PY='{sys.executable} {script}'; {command}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment},
    )


def code_that_prints(done: Path) -> str:
    return (
        "import sys, typer\n"
        "import harness.cli as cli\n"
        "@cli.app.command('noise')\n"
        "def noise() -> None:\n"
        "    for number in range(20000):\n"
        "        print('σ=15 去雾', number)\n"
        f"    open({str(done)!r}, 'w').write('done')\n"
        "sys.argv = ['harness', 'noise']\n"
        "cli.main()\n"
    )


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        ("$PY | head -1", "utf-8"),
        ("$PY >&-", "utf-8"),
        ("$PY | tail -1", "cp1252"),
        ("$PY | tail -1", "ascii"),
    ],
)
def test_a_command_ends_well_whatever_reads_it(command: str, encoding: str, tmp_path: Path) -> None:
    done = tmp_path / "done"
    found = child(code_that_prints(done), tmp_path, command, PYTHONIOENCODING=encoding)
    assert found.returncode == 0, found.stderr
    assert done.read_text() == "done", "what follows the printing is done as well"
    assert found.stderr == ""


def test_a_stream_that_was_closed_takes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    make_output_patient()
    print("nowhere")
    assert not sys.stdout.isatty()


def test_streams_of_tests_and_notebooks_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    make_output_patient()
    assert sys.stdout is stream


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "123")
    assert terminal_width() == 123
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    assert terminal_width() == 80

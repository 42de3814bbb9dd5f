"""Tests this project with the interpreter and the packages that run this file.

    python .ci/check.py [PYTEST ARGUMENTS]

The `smoke` recipe is run, scored and printed; then come the tests that touch what packages do:
importing every module, reading and writing, schemas, the command line, training and scoring.
Arguments for pytest replace these tests: ``tests`` for all.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("torch", "numpy", "pandas", "pydantic", "typer", "pyiqa")
METHODS = "cpl,promptir"
TESTS = (
    "test_cli.py",
    "test_claims.py",
    "test_degradations.py",
    "test_door.py",
    "test_figures.py",
    "test_images.py",
    "test_kernels.py",
    "test_metrics.py",
    "test_network_cut.py",
    "test_option_checks.py",
    "test_planning.py",
    "test_resume.py",
    "test_settings.py",
    "test_store.py",
    "test_store_engine.py",
    "test_supply.py",
    "test_tables.py",
    "test_weights_files.py",
)


def main(words: list[str]) -> None:
    """Run the checks, and end with the code of the first that fails."""
    packages = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    print(f"Python {platform.python_version()}, {packages}", flush=True)
    tests = words or [str(ROOT / "tests" / name) for name in TESTS]
    with tempfile.TemporaryDirectory() as out:
        run = ["-m", "harness", "run", "--recipe", "smoke", "--methods", METHODS, "--out", out]
        for arguments in (run, ["-m", "pytest", "-p", "no:cacheprovider", *tests]):
            ended = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False)
            if ended.returncode:
                sys.exit(ended.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])

"""The command line in processes of its own: help, a stored run, and the first start of all."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.api.speed.subject import Prepared
from harness.api.speed.turns import environment
from harness.config.errors import HarnessError


def command(words: Sequence[str]) -> Prepared:
    """Prepare ``python -m harness`` with ``words``.

    Raises:
        HarnessError: the command failed when it was run.
    """
    return _prepared(lambda: _call(["-m", "harness", *words]))


def bare_python() -> Prepared:
    """Prepare the start of Python with numpy, which tells how fast the machine starts programs."""
    return _prepared(lambda: _call(["-c", "import numpy"]))


def first_progress(folder: str) -> Prepared:
    """Prepare a training whose kernels are not compiled yet, until its first line of progress."""
    numbers = itertools.count()

    def work() -> None:
        scratch = Path(folder) / str(next(numbers))
        words = ["run", "--recipe", "smoke", "--methods", "promptir", "--device", "cpu"]
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *words, "--out", str(scratch / "runs")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(XDG_CACHE_HOME=str(scratch / "cache")),
        ) as process:
            assert process.stderr is not None
            try:
                if not any(line.startswith("[promptir") for line in process.stderr):
                    raise HarnessError("a training ended before its first line of progress")
            finally:
                process.kill()

    return _prepared(work)


def _prepared(work: Callable[[], None]) -> Prepared:
    return Prepared(work, is_repeated=False, has_memory=False)


def _call(words: Sequence[str]) -> None:
    found = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment(), check=False
    )
    if found.returncode:
        last = found.stderr.strip().splitlines()[-1:]
        raise HarnessError(f"python {' '.join(words)} failed: {''.join(last)}")

"""The benchmark for everyone: how fast this machine trains, restores, scores and starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.api.speed.limits import StepProfiles
from harness.api.speed.options import BenchOptions as BenchOptions
from harness.api.speed.options import check_options, options_of
from harness.api.speed.result import BenchResult as BenchResult
from harness.api.speed.result import load_bench as load_bench
from harness.config.errors import UsageError
from harness.store.files import check_writable


def print_line(line: str) -> None:
    """Print a line on what is being measured to standard error."""
    print(f"[bench] {line}", file=sys.stderr, flush=True)


def bench(
    options: BenchOptions | None = None,
    *,
    on_line: Callable[[str], None] = print_line,
    **values: Any,
) -> BenchResult:
    """Measure speed and memory on this machine, and return what was found.

    Ours takes turns with its peers and with a plain matrix product, each in a process of its own;
    results are medians and quartiles of the ratios of each turn. The published blocks are a peer
    where the extra ``noncommercial`` is installed. Ctrl-C returns what was measured until then.

    Example::

        found = harness.bench(amount="quick")
        print(found)
        found.write("speed.json")
        print(found.compare(harness.api.load_bench("older.json")))

    Args:
        options: what is measured.
        on_line: receives a line on what is being measured and how long the rest takes.
        values: fields of :class:`BenchOptions` instead.

    Raises:
        UsageError: no such row, device or option, or a number out of its range.
    """
    chosen = options_of(values) if options is None else options
    check_bench(chosen)
    from harness.api.speed.benchmark import run_bench

    return run_bench(chosen, on_line)


def check_bench(
    options: BenchOptions, json_file: Path | None = None, figures: Path | None = None
) -> None:
    """Refuse what cannot be measured or written, before anything is.

    Args:
        options: what is to be measured.
        json_file: the file that the result will be written to.
        figures: the folder that figures will be written to.

    Raises:
        UsageError: no such row, device or option, or a number out of its range.
        HarnessError: a folder cannot be written.
    """
    from harness.api.speed.benchmark import rows_of

    check_options(options)
    rows_of(options)
    if json_file is not None:
        if json_file.is_dir():
            raise UsageError(f"--json {json_file} is a folder; name a file")
        check_writable(json_file.parent, "--json")
    if figures is not None:
        check_writable(figures, "--figures")


def bench_rows() -> dict[str, str]:
    """Return what each row measures, by name: those of a CPU, then those of a GPU."""
    from harness.api.speed.cuda_rows import CUDA_ROWS
    from harness.api.speed.rows import ROWS

    return {name: row.about for name, row in {**ROWS, **CUDA_ROWS}.items()}


def profile_step(threads: int | None = None) -> StepProfiles:
    """Return one training step of the full network by operator, with the machine's limits.

    The published blocks come first, where they are installed. ``str()`` of it is what
    ``bench --profile`` prints, and ``write(path)`` writes it as JSON.
    """
    from harness.api.speed.operators import profile_step as profile

    return profile(threads)

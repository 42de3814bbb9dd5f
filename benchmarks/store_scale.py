"""How stored results are read at scale: python -m benchmarks.store_scale [--folder DIR]

Folders of made up runs (10,000 of 100 rows, 100 of 10,000, 4 of 250,000; with ``--large`` 20 of
500,000) are read in processes of their own. Of each are printed the seconds that passed, those of
the processor, and the process's largest memory in MB:

- lines: each line by itself into an object, as results were read once, of a tenth of the runs, and
  a data frame of those objects; figures are ten times what was measured, memory is not;
- first: rows taken apart in blocks, and compact files made;
- read, frame, table, list: from compact files.

``--engines`` reads the same folders with DuckDB and pyarrow alone, from lines and from Parquet.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.speed.made_up_runs import (
    COLUMNS,
    DATA_SET,
    METRICS,
    PREPROCESSING,
    PROTOCOL,
    SETTING,
    image_names,
    write_runs,
)

if TYPE_CHECKING:
    from harness.config.run_specs import TrainSpec

SEEDS = 10
"""Runs of each method."""


@dataclass(frozen=True)
class Shape:
    """How many runs a folder has, and how many rows each."""

    runs: int
    rows: int

    @property
    def total(self) -> int:
        """All rows."""
        return self.runs * self.rows

    @property
    def name(self) -> str:
        """As tables say it."""
        return f"{self.runs:,} x {self.rows:,}"


SHAPES = (Shape(10_000, 100), Shape(100, 10_000), Shape(4, 250_000))
LARGE = Shape(20, 500_000)
SHARE = 10
"""One in so many runs is read line by line."""


def methods(shape: Shape) -> list[str]:
    """Return the ids of the methods."""
    return [f"cpl:top_k={i + 1}" for i in range(-(-shape.runs // SEEDS))]


def runs_of(shape: Shape) -> Iterator[tuple[str, TrainSpec]]:
    """Yield each run's method, and what it was trained by."""
    import harness

    spec = harness.plan(methods=["cpl"], recipe="smoke").runs[-1].train
    for number in range(shape.runs):
        options = {**spec.options, "top_k": number // SEEDS + 1}
        changes = {"seed": number % SEEDS, "options": options}
        yield methods(shape)[number // SEEDS], spec.model_copy(update=changes)


def read_lines(folder: Path, shape: Shape) -> None:
    from harness.store.results import read

    read(_some(folder))


def frame_of_lines(folder: Path, shape: Shape) -> None:
    import pandas as pd

    from harness.store.results import read

    pd.DataFrame([asdict(result) for result in read(_some(folder))])


def read_all(folder: Path, shape: Shape) -> None:
    from harness.reporting.frames import results_below

    assert len(results_below(folder)) == shape.total


def frame(folder: Path, shape: Shape) -> None:
    import harness

    assert len(harness.load_results(folder)) == shape.total


def table(folder: Path, shape: Shape) -> None:
    from harness.config.settings import Column
    from harness.evaluation.metrics import metric_facts
    from harness.reporting.apart import seconds_apart
    from harness.reporting.benchmark_table import benchmark_table_of
    from harness.reporting.frames import results_below
    from harness.reporting.summary import MethodRow, SummaryRequest, summarise

    seeds = tuple(range(min(SEEDS, shape.runs)))
    request = SummaryRequest(
        title="Made up",
        setting=SETTING,
        images_are="made up",
        data_sets=dict.fromkeys(COLUMNS, DATA_SET),
        preprocessing=PREPROCESSING,
        protocol=PROTOCOL,
        recipe="none",
        columns=tuple(Column(name=name, task=name) for name in COLUMNS),
        metrics=tuple(metric_facts(name) for name in METRICS),
        methods=tuple(MethodRow(name, name, False) for name in methods(shape)),
        seeds=seeds,
        images=dict.fromkeys(COLUMNS, image_names(shape.rows)),
    )
    results = results_below(folder)
    summary = summarise(results, request)
    found = benchmark_table_of(summary, None, seconds_apart(summary, results.by("method")))
    assert found.to_text()
    scored = sum(entry.scored for key, entry in summary.entries.items() if key[1] != "average")
    assert scored == shape.total


def list_runs(folder: Path, shape: Shape) -> None:
    import contextlib
    import io

    from harness.cli.runs import list_runs as listing

    with contextlib.redirect_stdout(io.StringIO()) as text:
        listing(folder)
    assert text.getvalue().splitlines()[-1].startswith(f"{shape.runs} runs")


def duckdb_lines(folder: Path, shape: Shape) -> None:
    _duckdb(f"read_json('{folder}/*/results.jsonl', format='newline_delimited')", shape)


def duckdb_parquet(folder: Path, shape: Shape) -> None:
    _duckdb(f"read_parquet('{folder}/compact/*.parquet')", shape)


def pyarrow_lines(folder: Path, shape: Shape) -> None:
    import pyarrow as pa
    from pyarrow import json as lines

    pa.set_cpu_count(1)
    tables = [lines.read_json(path) for path in sorted(folder.glob("*/results.jsonl"))]
    assert pa.concat_tables(tables).num_rows == shape.total


def pyarrow_parquet(folder: Path, shape: Shape) -> None:
    from pyarrow import parquet

    paths = sorted((folder / "compact").glob("*.parquet"))
    tables = [parquet.read_table(path, use_threads=False) for path in paths]
    assert sum(map(len, tables)) == shape.total


MEASURES: dict[str, Callable[[Path, Shape], None]] = {
    "lines": read_lines,
    "lines, frame": frame_of_lines,
    "first": read_all,
    "read": read_all,
    "frame": frame,
    "table": table,
    "list": list_runs,
}
ENGINES: dict[str, Callable[[Path, Shape], None]] = {
    "duckdb, lines": duckdb_lines,
    "pyarrow, lines": pyarrow_lines,
    "duckdb, parquet": duckdb_parquet,
    "pyarrow, parquet": pyarrow_parquet,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where folders are made and stay")
    parser.add_argument("--large", action="store_true", help="ten million rows alone")
    parser.add_argument("--engines", action="store_true", help="the two engines as well")
    parser.add_argument(
        "--only", default="", help="measures, separated by semicolons, as 'lines, frame;table'"
    )
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        _measure_here(*asked.child)
        return
    measures = [*MEASURES, *(ENGINES if asked.engines else ())]
    measures = asked.only.split(";") if asked.only else measures
    with tempfile.TemporaryDirectory() as made:
        for shape in (LARGE,) if asked.large else SHAPES:
            root = asked.folder or Path(made)
            _measure_shape(root / f"{shape.runs}x{shape.rows}", shape, measures)
            if asked.folder is None:
                shutil.rmtree(root / f"{shape.runs}x{shape.rows}")


def _measure_shape(folder: Path, shape: Shape, measures: list[str]) -> None:
    if not folder.exists():
        write_runs(folder, runs_of(shape), shape.rows)
        time.sleep(3)  # rows that have just been written are told by their checksums
    for name in measures:
        if name == "first":
            shutil.rmtree(folder / "compact", ignore_errors=True)
        words = [sys.executable, "-m", "benchmarks.store_scale", "--child"]
        words += [name, str(folder), str(shape.runs), str(shape.rows)]
        ended = subprocess.run(words, check=True, capture_output=True, text=True)
        found = json.loads(ended.stdout)
        scale = SHARE if name.startswith("lines") else 1
        print(
            f"{shape.name:>16}  {name:16} {scale * found['wall_s']:8.2f} s "
            f"{scale * found['cpu_s']:8.2f} s of the processor {found['peak_mb']:7.0f} MB",
            flush=True,
        )


def _measure_here(name: str, folder: str, runs: str, rows: str) -> None:
    """Print what one measure took in this process, imports included."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    {**MEASURES, **ENGINES}[name](Path(folder), Shape(int(runs), int(rows)))
    found = {
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found))


def _some(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*/results.jsonl"))
    return paths[: max(1, len(paths) // SHARE)]


def _duckdb(source: str, shape: Shape) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    found = connection.execute(f"SELECT * FROM {source}").fetchnumpy()
    assert len(found["value"]) == shape.total


if __name__ == "__main__":
    main()

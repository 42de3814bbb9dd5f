"""``harness bench``: how fast this machine trains, restores, scores and starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.output import print_written, terminal_width
from harness.config.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from harness.api import BenchOptions, BenchResult


@dataclass(frozen=True)
class BenchFlags:
    """What is measured."""

    quick: Annotated[
        bool, typer.Option("--quick", help="The mini rows, about three minutes; the default.")
    ] = False
    full: Annotated[
        bool, typer.Option("--full", help="All rows, about half an hour on two cores.")
    ] = False
    rows: Annotated[
        str | None, typer.Option(help="Rows by name instead, comma-separated; --list names them.")
    ] = None
    growth: Annotated[
        bool, typer.Option("--growth", help="How cost grows: curves, exponents and figures.")
    ] = False
    turns: Annotated[
        int | None, typer.Option(help="Turns of every row.", show_default="each row's own")
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(help="Compute threads; without it OMP_NUM_THREADS, or the cores."),
    ] = None
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="cpu or cuda.")] = "cpu"

    def options(self) -> BenchOptions:
        """Return them as the options of a benchmark.

        Raises:
            UsageError: both amounts are asked for.
        """
        from harness.api import BenchOptions

        if self.quick and self.full:
            raise UsageError("--quick and --full exclude each other; leave one out")
        rows = () if self.rows is None else tuple(map(str.strip, self.rows.split(",")))
        return BenchOptions(
            rows=tuple(dict.fromkeys(rows)),
            amount=self._amount(),
            growth=self.growth,
            turns=self.turns,
            threads=self.threads,
            device=self.device,
        )

    def _amount(self) -> Literal["quick", "full"] | None:
        if self.quick:
            return "quick"
        return "full" if self.full else None


def bench(
    flags: BenchFlags,
    compare: Annotated[
        Path | None,
        typer.Option(help="JSON of an older benchmark: exits with 1 if something became slower."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File that what is found is written to.")
    ] = None,
    figures: Annotated[
        Path, typer.Option(help="With --growth: folder for a figure of each curve.")
    ] = Path("results/bench"),
    profile: Annotated[
        bool, typer.Option("--profile", help="Print one training step by operator instead.")
    ] = False,
    list_rows: Annotated[
        bool, typer.Option("--list", help="Print the rows and measure nothing.")
    ] = False,
) -> None:
    """Measure how fast this machine trains, restores, scores and starts.

    Ours takes turns with its peers and a plain matrix product; shown are medians and quartiles of
    the ratios of each turn. Ctrl-C prints what was measured until then.
    """
    from harness.api import bench as measure
    from harness.api import bench_rows, check_bench, load_bench

    if list_rows:
        for name, about in bench_rows().items():
            print(f"{name:<16}  {about}")
        return
    options = flags.options()
    check_bench(options, json_file, figures if flags.growth else None)
    if profile:
        if compare or flags.rows or flags.growth:
            raise UsageError(
                "--profile is of one step alone; leave --compare, --rows and --growth out"
            )
        _profile(flags.threads, json_file)
        return
    old = None if compare is None else load_bench(compare)
    result = measure(options)
    written = _write(result, json_file, figures)
    print(result.text(terminal_width()))
    print_written(written)
    if not result.is_complete:
        raise Interrupted("stopped; the table above holds what was measured")
    if old is not None:
        _compare(result, old)


def _profile(threads: int | None, json_file: Path | None) -> None:
    from harness.api import profile_step

    found = profile_step(threads)
    print(found)
    if json_file is not None:
        found.write(json_file)
        print_written([json_file])


def _write(result: BenchResult, json_file: Path | None, figures: Path) -> list[Path]:
    written = result.draw(figures) if result.curves else []
    if json_file is not None:
        result.write(json_file)
        written.append(json_file)
    return written


def _compare(result: BenchResult, old: BenchResult) -> None:
    """Print what changed, and exit with 1 if something became slower by more than the noise."""
    comparison = result.compare(old)
    print(f"\n{comparison.text(terminal_width())}")
    slower = [f"{row.row} ({row.what})" for row in comparison.slower]
    print(f"\nslower by more than the noise: {'; '.join(slower) or 'nothing'}")
    if slower:
        raise typer.Exit(1)

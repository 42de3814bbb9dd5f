"""What a benchmark found: typed, written as JSON and read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from harness.api.speed.sides import MATRIX, MATRIX_GFLOP, OURS, REFERENCES
from harness.api.speed.spread import Spread, paired
from harness.config.errors import UsageError
from harness.config.parsing import parse
from harness.config.spec import Spec
from harness.config.user_folders import no_file
from harness.store.files import read_json_object, write_json

if TYPE_CHECKING:
    from harness.api.speed.comparison import Comparison

FORMAT = 1
"""Version of the JSON; a file of another one is refused."""


class Machine(Spec):
    """What was measured on, with its rates at that time.

    Attributes:
        processor: model, with the instructions that matter.
        device: ``cpu``, or the name of the GPU.
        cores: that this process may use.
        threads: compute threads of a measurement.
        torch: version.
        python: version.
        fp32_gflops: rate of a matrix product in fp32.
        bf16_gflops: the same in bfloat16.
        copy_gb_s: rate of copying memory, reading and writing counted.
    """

    processor: str
    device: str = "cpu"
    cores: int = Field(ge=1)
    threads: int = Field(ge=1)
    torch: str
    python: str
    fp32_gflops: float = Field(gt=0)
    bf16_gflops: float = Field(gt=0)
    copy_gb_s: float = Field(gt=0)


class Timed(Spec):
    """The turns of one side.

    Attributes:
        seconds: of each turn.
        added_bytes: memory that the work added to its process; None where the system keeps no
            count.
        waited_s: of each turn, the seconds in which a training step waited for its data.
    """

    seconds: tuple[float, ...] = Field(min_length=1)
    added_bytes: int | None = None
    waited_s: tuple[float, ...] = ()

    @property
    def spread_s(self) -> Spread:
        """Median and quartiles of the seconds."""
        return Spread.of(self.seconds)


class Measurement(Spec):
    """Ours and what took turns with it.

    Attributes:
        row: the row that it belongs to.
        what: what was timed; with ``row`` it is the same thing in another file.
        sides: ``ours``, peers, and a reference that tells how fast the machine was in each turn.
        gflop: products and convolutions of one repetition of ours; None where not counted.
        fp32_gflops: the machine's rate when it was measured.
    """

    row: str
    what: str
    sides: dict[str, Timed]
    gflop: float | None = None
    fp32_gflops: float = Field(gt=0)

    @property
    def ours(self) -> Timed:
        """The turns of this project."""
        return self.sides[OURS]

    @property
    def peers(self) -> list[str]:
        """The names of what ours is compared with."""
        return [name for name in self.sides if name not in (OURS, *REFERENCES)]

    def ratio(self, side: str) -> Spread:
        """Return by turn the time of ``side`` relative to ours: above 1 ours is faster."""
        return paired(self.sides[side].seconds, self.ours.seconds)

    def relative(self, reference: str) -> Spread:
        """Return by turn the time of ours relative to that of ``reference``."""
        return paired(self.ours.seconds, self.sides[reference].seconds)

    @property
    def share(self) -> Spread | None:
        """The rate of ours as a share of that of a matrix product in the same turn.

        Products and convolutions count as operations. None where they were not counted.
        """
        if self.gflop is None or MATRIX not in self.sides:
            return None
        return self.ratio(MATRIX).times(self.gflop / MATRIX_GFLOP)

    @property
    def waiting(self) -> Spread | None:
        """The share of a step in which it waited for data; None where that was not measured."""
        ours = self.ours
        return paired(ours.waited_s, ours.seconds) if ours.waited_s else None


class Curve(Spec):
    """How cost grows with one quantity; exponents are slopes on doubly logarithmic axes.

    Attributes:
        name: of its figure's file.
        quantity: what grows, and what is timed.
        values: of the quantity.
        seconds: median over turns at each value.
        added_bytes: memory that the work added at each value; empty where it says nothing.
        time_exponent: by least squares over all values.
        memory_exponent: the same of memory; None where it says nothing.
    """

    name: str
    quantity: str
    values: tuple[float, ...] = Field(min_length=2)
    seconds: tuple[float, ...]
    added_bytes: tuple[int, ...] = ()
    time_exponent: float
    memory_exponent: float | None = None


class BenchResult(Spec):
    """All that one benchmark measured.

    Attributes:
        format: version of the JSON.
        version: of this project.
        command: what measured it.
        date: day on which it was measured, as 2026-11-24.
        machine: what it was measured on.
        measurements: in the order in which they were made.
        curves: of ``--growth``.
        left_out: by row, why it was not measured.
        is_complete: false where the benchmark was stopped.
    """

    format: int = FORMAT
    version: str
    command: str
    date: str
    machine: Machine
    measurements: tuple[Measurement, ...] = ()
    curves: tuple[Curve, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    is_complete: bool = True

    def write(self, path: Path | str) -> None:
        """Write it as JSON."""
        write_json(Path(path), self.model_dump(mode="json"))

    def compare(self, old: BenchResult) -> Comparison:
        """Say row by row whether this one is slower or faster than an older one."""
        from harness.api.speed.comparison import compare_results

        return compare_results(old, self)

    def draw(self, folder: Path | str) -> list[Path]:
        """Draw a figure of each curve, PNG and PDF, and return the files."""
        from harness.reporting.figures.growth import draw_growth
        from harness.reporting.figures.style import paper_style, save

        paths: list[Path] = []
        for curve in self.curves:
            with paper_style():
                figure = draw_growth(curve)
            paths += save(figure, Path(folder) / f"growth-{curve.name}")
        return paths

    def text(self, width: int | None = None) -> str:
        """Return tables for a terminal of ``width`` characters."""
        from harness.api.speed.tables import result_text

        return result_text(self, width)

    def __str__(self) -> str:
        return self.text()


def load_bench(path: Path | str) -> BenchResult:
    """Read what :meth:`BenchResult.write` wrote.

    Raises:
        UsageError: there is no such file, or it holds something else; says what.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(
            f"{path} {no_file(path)}; python -m harness bench --json FILE measures and writes one"
        )
    content = read_json_object(path)
    found = content.get("format")
    if found != FORMAT:
        raise UsageError(
            f"{path} is no result of harness bench in format {FORMAT} (its format is {found!r}); "
            "measure again with this version"
        )
    result = parse(BenchResult, content, str(path))
    for measurement in result.measurements:
        _check(measurement, path)
    return result


def _check(measurement: Measurement, path: Path) -> None:
    """Refuse a measurement without ours, or with sides of other numbers of turns."""
    turns = {len(side.seconds) for side in measurement.sides.values()}
    for side in measurement.sides.values():
        if side.waited_s:
            turns.add(len(side.waited_s))
    seconds = [min(side.seconds) for side in measurement.sides.values()]
    if OURS not in measurement.sides or len(turns) != 1 or min(seconds) <= 0:
        raise UsageError(
            f"{path}: row {measurement.row} has no '{OURS}', turns that do not match, or a time of "
            "0 s; measure again"
        )

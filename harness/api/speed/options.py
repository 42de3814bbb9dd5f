"""What a benchmark is asked to measure, and the refusal of what cannot be meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from harness.config.errors import UsageError, did_you_mean
from harness.execution.process import usable_device, worker_of
from harness.planning.request import Resources

FEWEST_TURNS, MOST_TURNS = 2, 1000
"""Of fewer turns there are no quartiles."""


@dataclass(frozen=True)
class BenchOptions:
    """What is measured.

    Attributes:
        rows: names of rows; empty takes those of ``amount``.
        amount: ``quick`` (three minutes on two cores) or ``full``; None is quick, where neither
            rows nor growth are asked for.
        growth: whether the curves of growth are measured.
        turns: of each row; None takes the row's own number.
        threads: compute threads; None takes ``OMP_NUM_THREADS``, or the cores.
        device: ``cpu`` or ``cuda``.
    """

    rows: tuple[str, ...] = ()
    amount: Literal["quick", "full"] | None = None
    growth: bool = False
    turns: int | None = None
    threads: int | None = None
    device: str = "cpu"

    @property
    def command(self) -> str:
        """The command that measures this."""
        words = ["python -m harness bench"]
        if self.amount is not None:
            words.append(f"--{self.amount}")
        if self.rows:
            words.append(f"--rows {','.join(self.rows)}")
        if self.growth:
            words.append("--growth")
        for name, value in (("turns", self.turns), ("threads", self.threads)):
            if value is not None:
                words.append(f"--{name} {value}")
        if self.device != "cpu":
            words.append(f"--device {self.device}")
        return " ".join(words)

    @property
    def used_threads(self) -> int:
        """Compute threads, as a run takes them."""
        return worker_of(Resources(device="cpu", threads=self.threads)).threads


def options_of(values: Mapping[str, Any]) -> BenchOptions:
    """Return the options of keyword arguments; ``rows`` may be one name or several.

    Raises:
        UsageError: there is no such option.
    """
    known = [field.name for field in fields(BenchOptions)]
    for name in values:
        if name not in known:
            raise UsageError(f"bench has no option '{name}'; {did_you_mean(name, known)}")
    rows = values.get("rows", ())
    if isinstance(rows, str):
        rows = [name.strip() for name in rows.split(",")]
    return BenchOptions(**{**values, "rows": tuple(dict.fromkeys(rows))})


def check_options(options: BenchOptions) -> None:
    """Refuse what cannot be measured; rows are checked where they are known.

    Raises:
        UsageError: a number out of its range, options that exclude each other, or a device that
            cannot be used.
    """
    if options.rows and options.amount is not None:
        raise UsageError(f"--rows names what is measured; leave --{options.amount} out")
    if options.amount not in (None, "quick", "full"):
        raise UsageError(f"a benchmark is quick or full, not '{options.amount}'")
    if options.turns is not None and not FEWEST_TURNS <= options.turns <= MOST_TURNS:
        raise UsageError(
            f"--turns {options.turns} is not between {FEWEST_TURNS}, the fewest with quartiles, "
            f"and {MOST_TURNS}"
        )
    if options.threads is not None and not 1 <= options.threads <= 1024:
        raise UsageError(f"--threads {options.threads} is not between 1 and 1024")
    if options.device not in ("cpu", "cuda"):
        raise UsageError(f"--device {options.device} cannot be measured; choose cpu or cuda")
    if options.growth and options.device != "cpu":
        raise UsageError("--growth is measured on the CPU; leave --device out")
    usable_device(options.device)

"""Progress of a long job, as bars in a terminal or as lines of text."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.training.progress import duration as duration


class Progress(Protocol):
    """Shows the progress of one run."""

    def step(self, done: int, total: int, loss: float, validation: str) -> None:
        """Show that ``done`` of ``total`` training steps are done."""
        ...

    def images(self, what: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are ``what`` (scored, probed)."""
        ...

    def log(self, text: str) -> None:
        """Log one line."""
        ...

    def close(self) -> None:
        """End the display."""
        ...


@dataclass
class PlainProgress:
    """Whole lines, at most one every ``every_s`` seconds: for files, pipes and workers."""

    label: str
    every_s: float = 15.0
    _began: float = field(default_factory=time.monotonic)
    _first: int | None = None
    _last_s: float = 0.0
    _what: str = "trained"

    def step(self, done: int, total: int, loss: float, validation: str) -> None:
        """Print step, loss, validation and time left."""
        if not self._is_due("trained", done) and done < total:
            return
        self.log(
            f"step {done}/{total}  loss {loss:.4f}  {validation}  {self._left(done, total)} left"
        )

    def images(self, what: str, done: int, total: int) -> None:
        """Print how many are done and the time left, and when all are."""
        is_due = self._is_due(what, done)
        if done == total:
            self.log(f"{what} {total} images")
        elif is_due:
            self.log(f"{what} {done}/{total} images  {self._left(done, total)} left")

    def _is_due(self, what: str, done: int) -> bool:
        """Return whether the last line is long enough ago; ``what`` is done since it changed."""
        now = time.monotonic()
        if self._first is None or what != self._what:
            # One step tells no rate; the first line comes after the first interval.
            self._what, self._first = what, done
            self._began = self._last_s = now
        if now - self._last_s < self.every_s:
            return False
        self._last_s = now
        return True

    def _left(self, done: int, total: int) -> str:
        """Return the time left at the rate so far."""
        rate = (time.monotonic() - self._began) / max(1, done - (self._first or 0))
        return duration(rate * (total - done))

    def log(self, text: str) -> None:
        """Print one line to standard error, where it cannot mix with a table."""
        print(f"[{self.label}] {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Do nothing."""


class BarProgress:
    """A live bar with loss, validation and time left."""

    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._label = label
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self._bars.start()
        self._tasks: dict[str, Any] = {}

    def step(self, done: int, total: int, loss: float, validation: str) -> None:
        """Move the training bar."""
        self._move(f"{self._label}  train", done, total, f"loss {loss:.4f}  {validation}")

    def images(self, what: str, done: int, total: int) -> None:
        """Move the bar of what is done with images."""
        self._move(f"{self._label}  {what}", done, total, "")

    def _move(self, name: str, done: int, total: int, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, note=note)
        self._bars.update(self._tasks[name], completed=done, note=note)

    def log(self, text: str) -> None:
        """Print one line above the bars."""
        self._bars.console.print(f"[{self._label}] {text}", markup=False, highlight=False)

    def close(self) -> None:
        """Stop the display."""
        self._bars.stop()


class NoProgress:
    """Shows nothing: of several processes that compute one run, the first one shows."""

    def step(self, done: int, total: int, loss: float, validation: str) -> None:
        """Do nothing."""

    def images(self, what: str, done: int, total: int) -> None:
        """Do nothing."""

    def log(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def progress_for(label: str, live: bool, shown: bool = True) -> Progress:
    """Return bars where a person watches a terminal, plain lines otherwise, or neither."""
    if not shown:
        return NoProgress()
    return BarProgress(label) if live and sys.stderr.isatty() else PlainProgress(label)

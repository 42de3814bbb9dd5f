"""An attempt at a command: a fork that counts its calls of the file system and dies at one."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import mmap
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "replace", "rename", "link", "unlink", "mkdir")
PHASES = ("planning", "training", "saving", "scoring", "probing", "tables")
_NEED_SPACE = ("write", "fsync", "mkdir", "link")
_MOST_CALLS = 4000


class Shared:
    """What an attempt says of itself where a kill cannot take it away."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4 * (4 + len(PHASES) + _MOST_CALLS))
        kinds = ctypes.c_uint32
        self.values = (kinds * 4).from_buffer(self._memory)
        self.in_phases = (kinds * len(PHASES)).from_buffer(self._memory, 4 * 4)
        self.kinds = (kinds * _MOST_CALLS).from_buffer(self._memory, 4 * (4 + len(PHASES)))

    def begin(self) -> None:
        self.values[:] = [0] * 4
        self.in_phases[:] = [0] * len(PHASES)

    def count(self, kind: int) -> None:
        """Count a call in all, and in the phase."""
        if self.values[0] == _MOST_CALLS:
            raise AssertionError(f"more than {_MOST_CALLS} calls in one attempt")
        self.kinds[self.values[0]] = kind
        self.values[0] += 1
        self.in_phases[self.values[1]] += 1

    def calls(self) -> dict[str, list[int]]:
        """Return the numbers of the calls that were made, by name."""
        found: dict[str, list[int]] = {}
        for number in range(1, self.values[0] + 1):
            name = CALLS[self.kinds[number - 1]]
            found.setdefault(name, []).append(number)
        return found

    def calls_in(self) -> dict[str, int]:
        """Return how many calls were made in each phase."""
        return dict(zip(PHASES, self.in_phases, strict=True))

    @property
    def phase(self) -> str:
        return PHASES[self.values[1]]

    @property
    def call(self) -> str:
        when = "after" if self.values[3] else "before"
        return f"{when} {CALLS[self.values[2]]}"

    def enter(self, phase: str) -> int:
        before = int(self.values[1])
        self.values[1] = PHASES.index(phase)
        return before

    def leave(self, before: int) -> None:
        self.values[1] = before


@dataclass
class Hook:
    """Counts calls of the file system in an attempt, and kills it at one of them.

    Attributes:
        shared: what the parent reads.
        at: number of the call; 0 for none.
        phase: in which the call is counted; empty counts all.
        after: whether it dies after the call, not before it.
        full: whether the disk is full from that call on, in place of a kill.
        stop_in: phase in which SIGTERM comes, once.
    """

    shared: Shared
    at: int = 0
    phase: str = ""
    after: bool = False
    full: bool = False
    stop_in: str = ""

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        number = CALLS.index(name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            values = self.shared.values
            self.shared.count(number)
            if self.full and values[0] >= self.at and name in _NEED_SPACE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            chosen = self._is_at() and not self.full
            if chosen:
                values[2], values[3] = number, self.after
            if chosen and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*arguments, **keywords)
            finally:
                if chosen:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    def _is_at(self) -> bool:
        if not self.phase:
            return self.shared.values[0] == self.at
        is_in = self.shared.phase == self.phase
        return is_in and self.shared.calls_in()[self.phase] == self.at

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self.counted(name, getattr(os, name)))
        hook, raw, opened = self, io.FileIO, io.open

        class File(raw):  # type: ignore[valid-type, misc]
            """A file without a buffer, whose every write is one of the system."""

            def write(self, data: Any, /) -> Any:
                return hook.counted("write", super().write)(data)

        def open_file(file: Any, mode: str = "r", buffering: int = -1, *more: Any) -> Any:
            if buffering == 0 and set(mode) & set("wax+"):
                return File(file, mode.replace("b", ""))
            return opened(file, mode, buffering, *more)

        io.FileIO = File  # type: ignore[misc]
        io.open = open_file  # type: ignore[assignment]

    def mark_phases(self) -> None:
        """Have the functions of each phase say when they begin and end."""
        from harness.cli import run
        from harness.execution import execute, scoring, training_run
        from harness.reporting import table_report
        from harness.training import loop

        for module, name, phase in (
            (training_run, "train", "training"),
            (training_run, "save_weights", "saving"),
            (loop, "save_state", "saving"),
            (loop, "save_weights", "saving"),
            (scoring, "evaluate", "scoring"),
            (scoring, "summarise_prompts", "probing"),
            (run, "plan_of", "planning"),
            (execute, "run_status", "planning"),
            (table_report, "write_texts", "tables"),
        ):
            setattr(module, name, self._marked(getattr(module, name), phase))

    def _marked(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            before = self.shared.enter(phase)
            self._stop(phase)
            try:
                found = function(*arguments, **keywords)
                if hasattr(found, "__next__"):  # it goes on where it is asked for more
                    return self._marked_items(found, phase)
                return found
            finally:
                self.shared.leave(before)

        return call

    def _stop(self, phase: str) -> None:
        if phase == self.stop_in:
            self.stop_in = ""
            os.kill(os.getpid(), signal.SIGTERM)

    def _marked_items(self, items: Iterator[Any], phase: str) -> Iterator[Any]:
        before = self.shared.enter(phase)
        try:
            yield from items
        finally:
            self.shared.leave(before)


def run_command(folder: Path, words: tuple[str, ...], hook: Hook) -> None:
    """Be the command, to the end of this process."""
    from harness.cli import main

    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["harness", *words, "--recipe", "recipe.yaml", "--out", "out", "--threads", "1"]
    hook.mark_phases()
    hook.install()
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)

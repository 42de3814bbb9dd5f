"""Sides that take turns, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from harness.api.speed.result import Timed
from harness.api.speed.subject import Subject
from harness.config.errors import HarnessError
from harness.config.package import PACKAGE_FOLDER

OnTurn = Callable[[int, int], None]
"""Receives how many turns are done, of how many; those that warm up count."""


class NotMeasuredError(HarnessError):
    """A side could not be measured; the sentence says why, and other rows go on."""


@dataclass(frozen=True)
class Turns:
    """What all sides took.

    Attributes:
        sides: by name.
        gflop: by name, of those that were counted.
    """

    sides: dict[str, Timed]
    gflop: dict[str, float]


def measure(sides: Mapping[str, Subject], turns: int, on_turn: OnTurn, warm_up: int = 1) -> Turns:
    """Time every side once per turn, after ``warm_up`` turns that do not count.

    They take turns because a shared machine is faster in one minute than in the next: a ratio is
    taken inside each turn.

    Raises:
        NotMeasuredError: a side failed, or its process was killed.
    """
    with contextlib.ExitStack() as ended:
        processes = {}
        for name, subject in sides.items():
            processes[name] = ended.enter_context(_process(name, subject))
        gflop = {}
        for name, process in processes.items():
            found = process.answer()
            if found["gflop"] is not None:
                gflop[name] = found["gflop"]
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for turn in range(warm_up + turns):
            for name, process in processes.items():
                process.say("go")
                answers[name].append(process.answer())
            on_turn(turn + 1, warm_up + turns)
    timed = {}
    for name, of_side in answers.items():
        timed[name] = _timed(of_side[warm_up:])
    return Turns(timed, gflop)


def _timed(answers: list[dict[str, Any]]) -> Timed:
    return Timed(
        seconds=tuple(answer["seconds"] for answer in answers),
        added_bytes=answers[-1]["added_bytes"],
        waited_s=tuple(answer["waited_s"] for answer in answers if "waited_s" in answer),
    )


@dataclass
class _Process:
    """The process of one side."""

    name: str
    popen: subprocess.Popen[str]
    errors: IO[str] = field(repr=False)

    def say(self, line: str) -> None:
        """Send a line; one that is gone is found when its answer is read."""
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(line + "\n")
            self.popen.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            NotMeasuredError: it failed or is gone.
        """
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise NotMeasuredError(self._gone())
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise NotMeasuredError(f"{self.name} failed: {found['error']}")
        return found

    def _gone(self) -> str:
        code = self.popen.wait()
        if code == -signal.SIGKILL:
            return f"{self.name} was killed by the system, most likely for lack of memory"
        self.errors.seek(0)
        last = self.errors.read().strip().splitlines()[-1:]
        return f"{self.name} ended with {code}: {''.join(last) or 'it printed nothing'}"

    def end(self) -> None:
        """End the process and those that it started."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)
        else:
            self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def _process(name: str, subject: Subject) -> Iterator[_Process]:
    """Start the process of a side, and end it with all that it started."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.api.speed.subject"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(),
            # Ctrl-C is for the process that measures.
            start_new_session=True,
        )
        process = _Process(name, popen, errors)
        try:
            process.say(json.dumps(asdict(subject)))
            yield process
        finally:
            process.end()


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that finds this package, whatever its folder is."""
    paths = [str(PACKAGE_FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}

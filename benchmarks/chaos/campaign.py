"""A campaign against one command: kills, and what it leaves compared with one never killed."""

from __future__ import annotations

import collections
import hashlib
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.hook import PHASES, Hook, Shared, run_command

RECIPE = """
base: smoke
summary: a training of seconds, to be killed
train: {steps: 6, warmup_steps: 1, decay_steps: 6, validate_every_steps: 3}
auxiliary: {steps: 2}
test: {images: 1, draws: 1, centre_px: 64}
runtime: {checkpoint_every_steps: 2}
"""
STUDY = """
title: "A study to be killed"
base: promptir
axes:
  size:
    label: "prompts"
    values:
      - {label: "own", options: {}}
      - {label: "other", method: restormer}
"""
COMMANDS = {
    "run": ("run", "--methods", "explicit"),
    "ablate": ("ablate", "--study", "study.yaml", "--jobs", "1"),
}
_UNCHANGED = (".safetensors", ".csv", ".md", ".tex")
"""Files that are compared byte by byte; others hold times."""


@dataclass
class Chaos:
    """One command, killed again and again.

    Attributes:
        name: of the command.
        folder: where the attempts have their folders.
        chance: draws everything.
        words: the command; without them that of its name.
        shared: what an attempt says of itself.
        phases, calls: kills by phase, and those between two calls by call.
        resumed: attempts that went on after a kill.
        compared: folders that were compared with that of the command that was never killed.
        differences: what differed.
        expected, whole_calls, calls_in, whole_s: what the command that was never killed left, the
            numbers of its calls by name, how many there were by phase, and how long it took.
    """

    name: str
    folder: Path
    chance: random.Random
    words: tuple[str, ...] = ()
    shared: Shared = field(default_factory=Shared)
    phases: collections.Counter[str] = field(default_factory=collections.Counter)
    calls: collections.Counter[str] = field(default_factory=collections.Counter)
    resumed: int = 0
    compared: int = 0
    differences: list[str] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    whole_calls: dict[str, list[int]] = field(default_factory=dict)
    calls_in: dict[str, int] = field(default_factory=dict)
    whole_s: float = 0.0

    def __post_init__(self) -> None:
        self.words = self.words or COMMANDS[self.name]

    @property
    def kills(self) -> int:
        return sum(self.phases.values())

    def begin(self) -> None:
        """Run the command that is never killed, whose content all others are compared with."""
        whole = self.new_folder("whole")
        began = time.monotonic()
        if self._attempt(whole) != 0:
            raise SystemExit(f"{self.name} failed: {(whole / 'stderr').read_text()}")
        self.whole_s, self.whole_calls = time.monotonic() - began, self.shared.calls()
        self.calls_in = {name: count for name, count in self.shared.calls_in().items() if count}
        self.expected = content_of(whole)

    def kill(self, kills: int, in_a_row: int = 8) -> None:
        """Kill the command so many times, and let it end after every few."""
        number = 0
        while self.kills < kills:
            folder, spent = self.new_folder(f"killed-{number}"), 0
            for attempt in range(in_a_row):
                self.resumed += attempt > 0
                if self.kills == kills or not self._killed(folder, spent):
                    break
                spent += sum(map(len, self.shared.calls().values()))
            self._finish(folder)
            number += 1

    def _killed(self, folder: Path, spent: int) -> bool:
        """Make one attempt, and return whether it was killed before it ended.

        What attempts with ``spent`` calls have done is not done again, and less is left to kill.
        """
        total = sum(map(len, self.whole_calls.values()))
        last = max(total - spent, 8)
        draw = self.chance.random()
        after = self.chance.random() < 0.5
        if draw < 0.35:
            kind = self.chance.choice(sorted(self.whole_calls))
            numbers = [n for n in self.whole_calls[kind] if n <= last] or [last]
            status = self._attempt(
                folder, Hook(self.shared, self.chance.choice(numbers), "", after)
            )
        elif draw < 0.75:
            phase = self.chance.choice(sorted(self.calls_in))
            number = self.chance.randint(1, self.calls_in[phase])
            status = self._attempt(folder, Hook(self.shared, number, phase, after=after))
        else:
            share = self.chance.random() * last / total
            status = self._attempt(folder, after_s=share * self.whole_s)
        if status == 0:
            return False
        if status != -signal.SIGKILL:
            self.differences.append(f"{folder.name}: {(folder / 'stderr').read_text()}")
            return False
        self.phases[self.shared.phase] += 1
        if draw < 0.75:
            self.calls[self.shared.call] += 1
        return True

    def _finish(self, folder: Path) -> None:
        """Let the command end, and compare what it leaves."""
        self.resumed += 1
        if self._attempt(folder) != 0:
            self.differences.append(f"{folder.name}: {(folder / 'stderr').read_text()}")
            return
        found, expected = content_of(folder), self.expected
        self.compared += 1
        for name in sorted(set(expected) | set(found)):
            if expected.get(name) != found.get(name):
                self.differences.append(f"{folder.name}: {name}")

    def new_folder(self, name: str) -> Path:
        folder = self.folder / self.name / name
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(RECIPE)
        (folder / "study.yaml").write_text(STUDY)
        return folder

    def _attempt(self, folder: Path, hook: Hook | None = None, after_s: float = 0.0) -> int:
        """Run the command in a fork, and return its exit status, negative for a signal."""
        self.shared.begin()
        process = os.fork()
        if process == 0:
            run_command(folder, self.words, hook or Hook(self.shared))
        if after_s:
            end = time.monotonic() + after_s
            while time.monotonic() < end:
                done, status = os.waitpid(process, os.WNOHANG)
                if done:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.005)
            os.kill(process, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def report(self) -> str:
        """Return the counts as lines."""
        lines = [
            f"{self.name}: {self.kills} kills, {sum(self.calls.values())} of them between calls; "
            f"resumed {self.resumed} times; {self.compared} folders compared, "
            f"differences {len(self.differences)}",
            "  by phase: " + ", ".join(f"{name} {self.phases[name]}" for name in PHASES),
            "  by call:  " + ", ".join(f"{n} {count}" for n, count in sorted(self.calls.items())),
        ]
        return "\n".join(lines + [f"  DIFFERS {text}" for text in self.differences])


def content_of(folder: Path) -> dict[str, str]:
    """Return what a command left: all names of files, and the content of those that hold no times.

    Rows of results are compared as a whole, in any order; one that is there twice shows.
    """
    found = {"stdout": hashlib.sha256((folder / "stdout").read_bytes()).hexdigest()}
    for path in sorted((folder / "out").rglob("*")):
        content = b""
        if path.suffix in _UNCHANGED or path.name == "spec.json":
            content = path.read_bytes()
        elif path.name == "results.jsonl":
            content = b"\n".join(sorted(path.read_bytes().splitlines()))
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def warm(folder: Path) -> None:
    """Import everything that the commands need once, so that forks need not."""
    import torch

    from harness.api import ablation_tables, load_studies, make_request, plan, run, table

    torch.set_num_threads(1)
    (folder / "warm.yaml").write_text(RECIPE)
    (folder / "study.yaml").write_text(STUDY)
    named = {"recipe": str(folder / "warm.yaml"), "out": folder / "warm"}
    made = plan(methods=["explicit", "restormer"], **named)
    run(made, device="cpu", threads=1)
    table(made).write(folder / "warm" / "tables")
    study = load_studies([str(folder / "study.yaml")], make_request(None, named), None)[0]
    ablation_tables(study, plan(methods=["promptir", "restormer"], **named), {})

"""How long many runs take on many workers, in the order in which launchers begin them.

    python -m benchmarks.launch_order [--archive results/reference/three-task] [--seed 0]

Times are drawn from the trainings of an archive: a method, then one of its measured times. A
launcher does not know a run's time, it expects the method's median. Every tenth run needs another
run first, as `explicit` needs a classifier; the two make a chain. With failures a worker is lost
after an exponentially distributed time, stays away for ten minutes, and its run goes on elsewhere
from its last checkpoint. The lower bound, which no order can beat, is the longest chain, or all
work divided by the workers.

What may begin next is decided by the class that the local launcher uses; Dask follows the same
rule through priorities.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.execution.execute import RunOutcome
from harness.launch.waiting import WaitingRuns

CHECKPOINT_S = 30.0
AWAY_S = 600.0
CHAINED = 10  # every tenth run needs another


@dataclass(frozen=True)
class SimulatedRun:
    """A run, as far as the order of runs depends on it."""

    id: str
    time_s: float
    expected_s: float
    requires: tuple[SimulatedRun, ...] = ()

    @property
    def weights_id(self) -> str:
        return self.id


def measured_times(archive: Path) -> dict[str, list[float]]:
    """Return the times of all trainings of an archive, by method."""
    found: dict[str, list[float]] = defaultdict(list)
    for path in sorted((archive / "runs").glob("*.json")):
        content = json.loads(path.read_text())
        wall_s = content.get("provenance", {}).get("wall_s")
        if wall_s:
            found[path.name.rpartition("-s")[0]].append(wall_s)
    return found


def drawn_runs(count: int, times: dict[str, list[float]], rng: random.Random) -> list[SimulatedRun]:
    """Return runs in the order of a table: those that are needed first."""

    def draw(name: str) -> SimulatedRun:
        method = rng.choice(sorted(times))
        return SimulatedRun(name, rng.choice(times[method]), statistics.median(times[method]))

    runs = [draw(str(number)) for number in range(count)]
    needed = []
    for number in range(0, count, CHAINED):
        before = draw(f"needed by {number}")
        needed.append(before)
        runs[number] = replace(runs[number], requires=(before,))
    return [*needed, *runs]


def launch_order(runs: Sequence[SimulatedRun]) -> list[SimulatedRun]:
    """Return runs by the expected time of the longest chain that begins with each."""
    behind_s: dict[str, float] = {}
    for run in runs:
        for needed in run.requires:
            behind_s[needed.id] = max(run.expected_s, behind_s.get(needed.id, 0.0))
    return sorted(runs, key=lambda run: -(run.expected_s + behind_s.get(run.id, 0.0)))


def lower_bound_s(runs: Sequence[SimulatedRun], workers: int) -> float:
    """Return what no order can beat: the longest chain, or all work divided by the workers."""
    chains_s = [run.time_s + sum(one.time_s for one in run.requires) for run in runs]
    return max(*chains_s, sum(run.time_s for run in runs) / workers)


def makespan_s(
    runs: Sequence[SimulatedRun], workers: int, rng: random.Random, lost_after_s: float | None
) -> float:
    """Return when the last run ends; ``lost_after_s`` is the mean time until a worker is lost."""
    waiting: Any = WaitingRuns(runs)  # type: ignore[arg-type]  # it reads two fields of a run
    cut_off: list[tuple[SimulatedRun, float]] = []
    free = workers
    now_s, last_s = 0.0, 0.0
    events: list[tuple[float, int, SimulatedRun | None, float]] = []
    number = 0
    while True:
        while free:
            if cut_off:
                run, left_s = cut_off.pop(0)
            elif (taken := waiting.take()) is not None:
                run, left_s = taken[0], taken[0].time_s
            else:
                break
            free -= 1
            number += 1
            lost_s = rng.expovariate(1 / lost_after_s) if lost_after_s else float("inf")
            if lost_s < left_s:
                stored_s = lost_s - lost_s % CHECKPOINT_S
                heapq.heappush(events, (now_s + lost_s, number, run, left_s - stored_s))
            else:
                heapq.heappush(events, (now_s + left_s, number, run, 0.0))
        if not events:
            return last_s
        now_s, _, ended, left_s = heapq.heappop(events)
        if ended is None:  # a worker is back
            free += 1
        elif left_s > 0:
            cut_off.append((ended, left_s))
            number += 1
            heapq.heappush(events, (now_s + AWAY_S, number, None, 0.0))
        else:
            free += 1
            last_s = now_s
            waiting.end(ended, RunOutcome(ended.id))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, default=Path("results/reference/three-task"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=5)
    given = parser.parse_args()
    times = measured_times(given.archive)
    every_s = [time_s for of_method in times.values() for time_s in of_method]
    print(
        f"{len(every_s)} measured trainings of {len(times)} methods, {min(every_s):.0f} to "
        f"{max(every_s):.0f} s, mean {statistics.mean(every_s):.0f} s\n"
    )
    print("| runs | workers | lower bound | long first | order of the table | workers lost |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    lost_after_s = 20 * statistics.mean(every_s)
    for count in (100, 1000, 10000):
        for workers in (1, 8, 10, 80, 100, 1000):
            ratios: dict[str, list[float]] = defaultdict(list)
            for draw in range(given.draws):
                rng = random.Random(f"{given.seed} {count} {workers} {draw}")
                runs = drawn_runs(count, times, rng)
                bound_s = lower_bound_s(runs, workers)
                ratios["bound"].append(bound_s)
                first = launch_order(runs)
                ratios["first"].append(makespan_s(first, workers, rng, None) / bound_s)
                ratios["table"].append(makespan_s(runs, workers, rng, None) / bound_s)
                ratios["lost"].append(makespan_s(first, workers, rng, lost_after_s) / bound_s)
            mean = {name: statistics.mean(values) for name, values in ratios.items()}
            print(
                f"| {count:,} | {workers:,} | {mean['bound'] / 3600:.2f} h | {mean['first']:.3f} | "
                f"{mean['table']:.3f} | {mean['lost']:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

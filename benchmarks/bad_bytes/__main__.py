"""Gives the command line bad inputs and judges what comes of each.

    python -m benchmarks.bad_bytes [--seed 0] [--cases 1000] [--only yaml,rows] [--number N]

Each case runs the command line in a fork of this process, inside a folder with a home and a folder
for temporary files of its own. It passes if it ends with 1 or 2 and a sentence that names the file,
flag or value, or with 0 and the result of the whole input or a note; if nothing outside its output
folder changed and no payload left its mark; and if it took less than 20 s and 2 GiB. A case is
drawn from the seed, its kind and its number alone, so ``--only KIND --number N`` repeats it.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bad_bytes import KINDS, shares
from benchmarks.bad_bytes.judge import fault_of
from benchmarks.bad_bytes.sandbox import Box
from benchmarks.bad_bytes.whole import make_whole, warm


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--only", default="", help=f"of {', '.join(KINDS)}; comma-separated")
    parser.add_argument("--number", type=int, help="this one case of each kind")
    given = parser.parse_args()
    kinds = given.only.split(",") if given.only else list(KINDS)
    warm()
    with tempfile.TemporaryDirectory() as folder:
        whole = make_whole(Path(folder))
        faults = 0
        for kind, count in shares(kinds, given.cases).items():
            numbers = range(count) if given.number is None else [given.number]
            faults += _campaign(kind, given.seed, numbers, Box(Path(folder) / "box", whole))
    raise SystemExit(int(faults > 0))


def _campaign(kind: str, seed: int, numbers: range | list[int], box: Box) -> int:
    """Run cases of one kind, print what is wrong, and return how many are."""
    ends: collections.Counter[str] = collections.Counter()
    slowest_s, faults, began = 0.0, 0, time.monotonic()
    for number in numbers:
        case = KINDS[kind](random.Random(f"{seed} {kind} {number}"), box.whole)
        ended = box.run(case)
        slowest_s = max(slowest_s, ended.used_s)
        ends[f"exit {ended.code}"] += 1
        fault = fault_of(case, ended, box)
        if len(numbers) == 1:
            print(f"{case}\n{ended}")
        if fault:
            faults += 1
            words = ascii(" ".join(case.words))[:300]
            print(f"FAULT {kind} {number} (seed {seed}): {ascii(case.what)[:200]}\n  {words}")
            print(f"  {fault}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{kind}: {number + 1} of {len(numbers)}", end="", file=sys.stderr, flush=True)
    ways = ", ".join(f"{name}: {count}" for name, count in sorted(ends.items()))
    took_s = time.monotonic() - began
    print(
        f"{kind}: {len(numbers)} cases, {faults} faults ({ways}; slowest {slowest_s:.1f} s, "
        f"all {took_s:.0f} s)",
        flush=True,
    )
    return faults


if __name__ == "__main__":
    main()

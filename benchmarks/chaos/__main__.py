"""Kills `run` and `ablate` at any moment, and compares what they leave with a run never killed.

    python -m benchmarks.chaos [--kills 200] [--seed 0] [--only run|ablate]

Each attempt is a fork of this process that runs the command line. Three quarters of the attempts
are killed by SIGKILL between two calls of the file system (before or after an open, a write, an
fsync, a rename, a link, an unlink or a new folder): the Nth of its kind or the Nth of a phase, each
kind and each phase as likely as the others. The rest is killed after a time. The attempt that
follows goes on. When one ends by itself, weights, rows, tables, what was printed and the names of
all files are compared with those of the command that was never killed.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from benchmarks.chaos.campaign import COMMANDS, Chaos, warm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200, help="of both commands together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(COMMANDS), help="one of the commands")
    given = parser.parse_args()
    names = [given.only] if given.only else list(COMMANDS)
    with tempfile.TemporaryDirectory() as folder:
        warm(Path(folder))
        differences = 0
        for name in names:
            chaos = Chaos(name, Path(folder), random.Random(f"{given.seed} {name}"))
            chaos.begin()
            chaos.kill(given.kills // len(names))
            print(chaos.report(), flush=True)
            differences += len(chaos.differences)
    raise SystemExit(int(differences > 0))


if __name__ == "__main__":
    main()

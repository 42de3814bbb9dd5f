"""Whether several processes train what one trains, for every method that ships.

    python -m benchmarks.joint_methods [--processes 2] [--batch 6] [--methods cpl,airnet]

Each method takes two steps of ``batch / 2`` micro-batches at its smallest size, in one process and
in several. Compared are losses, gradients and the state afterwards, to the rounding of sums. The
exit code is 1 where a method differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from tests.joint_training import (
    assert_same_training,
    joint_plan,
    outcome_of,
    together,
    two_steps,
)
from tests.networks import TRAINED

SHIPPED = [*(spec.name for spec in TRAINED), "cpl-guided@dcpt"]


def main() -> int:
    """Train methods in both ways, and print for each whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=6, help="an even number")
    parser.add_argument("--methods", default=",".join(SHIPPED))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    methods = asked.methods.split(",")
    differ = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        job = {"folder": folder, "methods": methods, "batch": asked.batch, "steps": 2}
        together(asked.processes, place / "asked.json", [job])
        plan = joint_plan(place, methods, asked.batch)
        for method in methods:
            try:
                assert_same_training(outcome_of(place, method), two_steps(plan, method))
            except AssertionError as error:
                differ += 1
                print(f"{method}: differs, {error}")
            else:
                print(f"{method}: same")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())

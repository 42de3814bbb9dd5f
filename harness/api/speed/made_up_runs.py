"""Folders of made up results, as this project stores them, to time how they are read."""

from __future__ import annotations

import random
from pathlib import Path

from harness.config.run_specs import TrainSpec
from harness.store.files import write_json
from harness.store.results import Result, append
from harness.store.run_folder import RunFolder

_COLUMNS = ("dehaze", "derain", "denoise25")


def write_runs(out: Path, spec: TrainSpec, runs: int, rows: int) -> None:
    """Write ``runs`` folders of finished runs that differ in their seeds, with ``rows`` each.

    Args:
        out: output folder; other runs in it stay.
        spec: what a run that exists was trained by.
        runs: number of folders.
        rows: results of each.
    """
    for number in range(runs):
        rng = random.Random(number)
        weights, score = f"{rng.getrandbits(64):016x}", f"{rng.getrandbits(64):016x}"
        seed = 1000 + number
        folder = RunFolder.of(out, spec.method, seed, weights)
        folder.path.mkdir(parents=True)
        write_json(folder.spec, spec.model_copy(update={"seed": seed}).model_dump(mode="json"))
        write_json(folder.provenance, {"wall_s": 60.0, "parameters": 1000, "steps": 12})
        folder.weights.write_bytes(b"")
        found = []
        for row in range(rows):
            found.append(_result(row, weights, score, spec.method, seed, rng))
        append(folder.results, found)


def _result(
    row: int, weights: str, score: str, method: str, seed: int, rng: random.Random
) -> Result:
    return Result(
        weights=weights,
        score=score,
        method=method,
        seed=seed,
        setting="three-task",
        data_set="synthetic",
        column=_COLUMNS[row % len(_COLUMNS)],
        image=f"image{row // len(_COLUMNS):04d}#0",
        metric="psnr_rgb",
        preprocessing="crop16-uint8",
        protocol="rgb-float-uniform7",
        value=rng.gauss(30, 3),
    )

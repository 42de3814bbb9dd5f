"""Folders of made up results, as this project stores them, to time how they are read."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

from harness.config.run_specs import TrainSpec
from harness.store.files import write_json
from harness.store.results import Result, append
from harness.store.run_folder import RunFolder

COLUMNS = ("dehaze", "derain", "denoise25")
METRICS = ("psnr_rgb", "ssim_rgb_uniform7")
SETTING, DATA_SET = "three-task", "synthetic"
PREPROCESSING, PROTOCOL = "crop16-uint8", "rgb-float-uniform7"

_CLEAN_IMAGES = 500
_AT_ONCE = 50_000
"""Rows that are in memory and written at once."""


def write_runs(out: Path, trained: Iterable[tuple[str, TrainSpec]], rows: int) -> None:
    """Write folders of finished runs.

    Args:
        out: output folder; other runs in it stay.
        trained: of each run the method, as tables call it, and what it was trained by.
        rows: results of each run.
    """
    for number, (method, spec) in enumerate(trained):
        rng = random.Random(number)
        weights, score = f"{rng.getrandbits(64):016x}", f"{rng.getrandbits(64):016x}"
        folder = RunFolder.of(out, method, spec.seed, weights)
        folder.path.mkdir(parents=True)
        write_json(folder.spec, spec.model_dump(mode="json"))
        write_json(folder.provenance, {"wall_s": 60.0, "parameters": 1000, "steps": 12})
        folder.weights.write_bytes(b"")
        run = Result(
            weights=weights,
            score=score,
            method=method,
            seed=spec.seed,
            setting=SETTING,
            data_set=DATA_SET,
            column="",
            image="",
            metric="",
            preprocessing=PREPROCESSING,
            protocol=PROTOCOL,
            value=0.0,
        )
        results = _results(run, rows, rng)
        while found := list(islice(results, _AT_ONCE)):
            append(folder.results, found)


def seeds_of(method: str, spec: TrainSpec, runs: int) -> Iterator[tuple[str, TrainSpec]]:
    """Yield a method with so many seeds, from 1000 up."""
    for seed in range(1000, 1000 + runs):
        yield method, spec.model_copy(update={"seed": seed})


def image_names(rows: int) -> list[str]:
    """Return the images of each column; ``#`` numbers the degradations of a clean one."""
    count = -(-rows // (len(COLUMNS) * len(METRICS)))
    return [f"image{i % _CLEAN_IMAGES:04d}#{i // _CLEAN_IMAGES}" for i in range(count)]


def _results(run: Result, rows: int, rng: random.Random) -> Iterator[Result]:
    """Yield so many results, each like ``run`` but for where and what it was measured."""
    for column, image, metric in islice(product(COLUMNS, image_names(rows), METRICS), rows):
        value = rng.gauss(30, 3) if metric == METRICS[0] else rng.random()
        yield replace(run, column=column, image=image, metric=metric, value=value)

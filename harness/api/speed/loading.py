"""Training batches: crops of files, ours and a plain loader, and what a step waits for them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.api.plans import plan as plan_of
from harness.api.speed.photographs import pairs_in
from harness.api.speed.subject import Prepared
from harness.config.seeding import generator
from harness.data.images.cache import DecodedImages
from harness.data.images.crops import crop_alike, to_unit, turn
from harness.execution.networks import initial_network
from harness.execution.process import prepare_process
from harness.execution.single_steps import batches_ahead, optimiser_of

CROP_PX = 128


def plain_loader(folder: str, batch: int) -> Prepared:
    """Prepare a batch as PromptIR's loader makes it (utils/dataset_utils.py): decode both, cut."""
    from PIL import Image

    pairs = pairs_in(folder)
    rng = np.random.default_rng(0)

    def tensor(pixels: np.ndarray) -> Tensor:
        # torchvision's ToTensor: planes first, then the division.
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div(255)

    def work() -> None:
        degraded, clean = [], []
        for _ in range(batch):
            pair = pairs[int(rng.integers(len(pairs)))]
            both = [np.array(Image.open(path).convert("RGB")) for path in pair]
            top, left = (int(rng.integers(n - CROP_PX + 1)) for n in both[0].shape[:2])
            mode = int(rng.integers(1, 8))
            cut = [turn(i[top : top + CROP_PX, left : left + CROP_PX], mode) for i in both]
            degraded.append(tensor(cut[0]))
            clean.append(tensor(cut[1]))
        torch.stack(degraded)
        torch.stack(clean)

    return Prepared(work)


def our_loader(folder: str, batch: int) -> Prepared:
    """Prepare a batch that is cut from decoded images, which are mapped into memory."""
    pairs = pairs_in(folder)
    images = DecodedImages(Path(folder) / "decoded")
    for pair in pairs:
        for path in pair:
            images.read(path)
    steps = iter(range(10**9))

    def work() -> None:
        step = next(steps)
        degraded, clean = [], []
        for slot in range(batch):
            rng = generator("bench", step, slot)
            both = [images.read(path) for path in pairs[int(rng.integers(len(pairs)))]]
            crops = crop_alike(both, CROP_PX, rng, augmentation="dihedral")
            degraded.append(crops[0])
            clean.append(crops[1])
        torch.from_numpy(to_unit(degraded))
        torch.from_numpy(to_unit(clean))

    return Prepared(work)


def waiting(recipe: str, threads: int, loader_workers: int | None, steps: int) -> Prepared:
    """Prepare training steps on the synthetic images, timing what each waits for its batch.

    Args:
        recipe: of PromptIR's training, whose first steps are taken.
        threads: compute threads.
        loader_workers: processes that make batches ahead; None has a thread do it, and 0 nobody.
        steps: of one repetition.
    """
    prepare_process(threads)
    plan = plan_of(methods=("promptir",), recipe=recipe)
    run = plan.runs[-1]
    method = initial_network(run)
    optimiser = optimiser_of(method, run.train, "cpu")
    made = batches_ahead(plan.source.stream(run.train, 1), loader_workers)

    def work() -> float:
        waited_s = 0.0
        for _ in range(steps):
            began = time.perf_counter()
            samples = next(made)
            waited_s += time.perf_counter() - began
            optimiser.step(samples)
        return waited_s

    return Prepared(work, is_repeated=False)

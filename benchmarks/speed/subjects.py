"""What is measured: each function prepares something and returns the work to be timed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.execution.process import cores, keep_freed_memory, prepare_process
from harness.method import Batch, BuildContext
from harness.registry import MethodChoice, catalogue, instantiate, resolve_options

# CPL-guided with negatives from the first step, and a margin that is never reached, so that no
# gradient vanishes.
ALWAYS_PUSHING = {
    "method": "cpl-guided",
    "cpr_negatives": "other-task",
    "cpr_start": "0",
    "cpr_form": "margin",
    "cpr_margin": "1",
}
TASKS = ("denoise15", "denoise25", "denoise50", "dehaze", "derain")
Work = Callable[[], object]


def _network(method: str, size: str, options: dict[str, str]) -> Any:
    spec = catalogue().specs[method]
    asked = MethodChoice(method, spec, options)
    chosen = resolve_options(asked, size, TASKS, micro_batch=len(TASKS))
    torch.manual_seed(0)
    return instantiate(spec, BuildContext(chosen, TASKS, {}))


def _ours(method: str, size: str, options: dict[str, str], keep_memory: bool = True) -> Any:
    if keep_memory:
        prepare_process(cores())
    else:
        torch.set_num_threads(cores())
    network = _network(method, size, options)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _published(size: str, keep_memory: bool) -> Any:
    from benchmarks.speed.published import publish

    torch.set_num_threads(cores())
    if keep_memory:
        keep_freed_memory()
    return publish(_network("promptir", size, {"unused_convolutions": "false"}))


def _images(batch: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def _training(network: Any, batch: int, side: int, precision: str, fused: bool) -> Work:
    network.train()
    clean = _images(batch, side, side)
    noisy = (clean + 0.1 * torch.randn(clean.shape)).clamp(0, 1)
    samples = Batch(noisy, clean, tuple(TASKS[i % len(TASKS)] for i in range(batch)), 0, 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-4, fused=fused)
    rng = torch.Generator()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with (
            torch.autocast("cpu", torch.bfloat16)
            if precision == "bf16"
            else contextlib.nullcontext()
        ):
            losses = network.losses(samples, rng.manual_seed(0))
            loss = torch.stack([term.float() for term in losses.values()]).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=fused)
        optimiser.step()

    return step


def published_training(size: str, batch: int, side: int, keep_memory: bool = False) -> Work:
    """The published blocks under a plain training loop."""
    return _training(_published(size, keep_memory), batch, side, "fp32", fused=False)


def our_training(
    size: str,
    batch: int,
    side: int,
    method: str = "promptir",
    precision: str = "fp32",
    **options: str,
) -> Work:
    """Ours under the settings of harness/training/loop.py."""
    return _training(_ours(method, size, options), batch, side, precision, fused=True)


def published_inference(size: str, height: int, width: int, keep_memory: bool = False) -> Work:
    """The published blocks without gradients."""
    return _inference(_published(size, keep_memory), height, width)


CHANGES = ("kernels", "attention", "hidden-width", "allocator", "optimiser")


def our_training_without(change: str, size: str, batch: int, side: int) -> Work:
    """Ours with one of ``CHANGES`` taken back, to see what it gains."""
    import os

    from methods import blocks
    from methods.attention import attend_plainly

    if change == "kernels":
        os.environ["HARNESS_KERNELS"] = "off"
    elif change == "attention":
        blocks.attend = attend_plainly  # type: ignore[assignment]
    elif change == "hidden-width":
        blocks.GatedFeedForward.width_multiple = 1
    network = _ours("promptir", size, {}, keep_memory=change != "allocator")
    return _training(network, batch, side, "fp32", fused=change != "optimiser")


def our_inference(size: str, height: int, width: int, **options: str) -> Work:
    """Ours without gradients."""
    return _inference(_ours("promptir", size, options), height, width)


def _inference(network: Any, height: int, width: int) -> Work:
    network.eval()
    image = _images(1, height, width)

    def restore() -> Tensor:
        with torch.no_grad():
            restored: Tensor = network.restore(image)
        return restored

    return restore


def published_loader(folder: str, batch: int) -> Work:
    """Samples as PromptIR's loader makes them (utils/dataset_utils.py): decode both, cut both."""
    import numpy as np
    from PIL import Image

    from harness.data.images.crops import turn

    pairs = _pairs(folder)
    rng = np.random.default_rng(0)

    def sample() -> tuple[Tensor, Tensor]:
        degraded, clean = (
            np.array(Image.open(path).convert("RGB")) for path in pairs[rng.integers(len(pairs))]
        )
        top, left = (rng.integers(n - 128 + 1) for n in clean.shape[:2])
        mode = int(rng.integers(1, 8))
        cut = [turn(i[top : top + 128, left : left + 128], mode) for i in (degraded, clean)]
        # torchvision's ToTensor: planes first, then the division.
        first, second = (
            torch.from_numpy(np.ascontiguousarray(c.transpose(2, 0, 1))).float().div(255)
            for c in cut
        )
        return first, second

    def work() -> object:
        drawn = [sample() for _ in range(batch)]
        return torch.stack([d for d, _ in drawn]), torch.stack([c for _, c in drawn])

    return work


def our_loader(folder: str, batch: int) -> Work:
    """Samples cut from decoded images that are mapped into memory."""
    from harness.config.seeding import generator
    from harness.data.images.cache import DecodedImages
    from harness.data.images.crops import crop_alike, to_unit

    pairs = _pairs(folder)
    images = DecodedImages(Path(folder) / "decoded")
    for pair in pairs:
        for path in pair:
            images.read(path)
    step = 0

    def work() -> object:
        nonlocal step
        step += 1
        rngs = [generator("bench", step, slot) for slot in range(batch)]
        chosen = [pairs[int(rng.integers(len(pairs)))] for rng in rngs]
        degraded, clean = [], []
        for pair, rng in zip(chosen, rngs, strict=True):
            both = [images.read(path) for path in pair]
            crops = crop_alike(both, 128, rng, augmentation="dihedral")
            degraded.append(crops[0])
            clean.append(crops[1])
        return torch.from_numpy(to_unit(degraded)), torch.from_numpy(to_unit(clean))

    return work


def _pairs(folder: str) -> list[tuple[Path, Path]]:
    clean = sorted(Path(folder).glob("*-clean.png"))
    return [(path.with_name(path.name.replace("-clean", "-degraded")), path) for path in clean]


SIGMAS = (15, 25, 50)


def scikit_image_evaluation(folder: str) -> Work:
    """One image at a time: decode, add noise, measure with scikit-image in float32."""
    import numpy as np
    from PIL import Image
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    paths = [clean for _, clean in _pairs(folder)]

    def work() -> object:
        scores = []
        for sigma in SIGMAS:
            for path in paths:
                pixels = np.array(Image.open(path).convert("RGB"))
                noise = np.random.randn(*pixels.shape)  # noqa: NPY002, the published call
                noisy = np.clip(pixels + noise * sigma, 0, 255)
                restored = noisy.astype(np.uint8).astype(np.float32) / 255
                clean = pixels.astype(np.float32) / 255
                psnr = peak_signal_noise_ratio(clean, restored, data_range=1)
                ssim = structural_similarity(clean, restored, data_range=1, channel_axis=-1)
                scores.append((psnr, ssim))
        return scores

    return work


def our_evaluation(folder: str) -> Work:
    """The same pairs through the harness: two made and measured at once, in float64."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from harness.config.files import load_setting
    from harness.config.seeding import generator
    from harness.data.images.cache import DecodedImages
    from harness.data.synthetic.degradations.noise import Noise
    from harness.data.synthetic.degrade import degrade
    from harness.evaluation.metrics.registry import resolve_metrics
    from harness.evaluation.protocols import score_pairs

    prepare_process(cores())
    paths = [clean for _, clean in _pairs(folder)]
    images = DecodedImages(Path(folder) / "decoded")
    protocol = load_setting("three-task").protocol
    metrics = resolve_metrics(protocol.metrics)
    workers = cores()

    def make(task: tuple[int, Path]) -> tuple[np.ndarray, np.ndarray]:
        sigma, path = task
        clean = images.read(path).astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        noise = Noise(kind="noise", sigma_255=(sigma, sigma))
        noisy = degrade(clean, noise, [generator("bench", path.name, sigma)], "truncate")
        return tuple(np.ascontiguousarray(i[0].transpose(1, 2, 0)) for i in (noisy, clean))

    tasks = [(sigma, path) for sigma in SIGMAS for path in paths]

    def work() -> object:
        scores = []
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(tasks), 4 * workers):
                pairs = list(pool.map(make, tasks[start : start + 4 * workers]))
                restored, clean = ([p[i] for p in pairs] for i in (0, 1))
                scores += score_pairs(restored, clean, protocol, [metrics] * len(pairs), pool)
        return scores

    return work


def command(*arguments: str) -> Work:
    """The command line in a process of its own."""
    import subprocess
    import sys

    def work() -> object:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments], check=True, capture_output=True
        )

    return work

"""The rows of the table: what is compared, what is asked for, what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.speed.compare import Measured, Ratio, Subject, measure
from benchmarks.speed.subjects import ALWAYS_PUSHING, CHANGES
from harness.training.device import computes_bf16


@dataclass(frozen=True)
class Outcome:
    """One line: a ratio (or seconds) against what is asked for; ``met`` by its median."""

    row: str
    what: str
    against: str
    asked: str
    measured: str
    met: bool
    figures: dict[str, Any] = field(default_factory=dict)


def _options(**options: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(options.items())


def _faster(
    row: str, what: str, least: float, peer: Subject, ours: Subject, turns: int
) -> tuple[Outcome, dict[str, Measured]]:
    entrants = {"published": peer, "ours": ours}
    if peer.maker in ("published_training", "published_inference"):
        # How much is the allocator's setting alone, which the published code does not touch.
        entrants["published-keeping-memory"] = replace(peer, options=_options(keep_memory=True))
    found = measure(entrants, turns)
    ratio = Ratio.of(found["published"].seconds, found["ours"].seconds)
    measured = f"{ratio}; ours {found['ours'].median_s:.3g} s"
    figures: dict[str, Any] = {"ratio": ratio.as_json(), **_seconds(found)}
    if "published-keeping-memory" in found:
        alike = Ratio.of(found["published-keeping-memory"].seconds, found["ours"].seconds)
        measured += f"; under the same allocator setting {alike}"
        figures["ratio_with_the_same_allocator_setting"] = alike.as_json()
    outcome = Outcome(
        row=row,
        what=what,
        against=f"published, {found['published'].median_s:.3g} s",
        asked=f"at least {least}",
        measured=measured,
        met=ratio.median >= least,
        figures=figures,
    )
    return outcome, found


def _seconds(found: dict[str, Measured]) -> dict[str, Any]:
    return {
        name: {"seconds": list(m.seconds), "added_bytes": m.added_bytes}
        for name, m in found.items()
    }


def train_full() -> list[Outcome]:
    """A training step of the full network in fp32."""
    peer = Subject("published_training", ("full", 2, 128))
    ours = Subject("our_training", ("full", 2, 128))
    return [_faster("train-full", "training step, full, fp32, 2 x 128²", 2.3, peer, ours, 5)[0]]


def train_bf16() -> list[Outcome]:
    """The same under bf16 autocast, against the published blocks in fp32."""
    if not computes_bf16("cpu"):
        return [
            Outcome(
                row="train-bf16",
                what="the same under bf16 autocast",
                against="published",
                asked="at least 3.5",
                measured="not measured: this processor has no bf16 arithmetic",
                met=False,
            )
        ]
    peer = Subject("published_training", ("full", 2, 128))
    ours = Subject("our_training", ("full", 2, 128), _options(precision="bf16"))
    return [_faster("train-bf16", "the same under bf16 autocast", 3.5, peer, ours, 2)[0]]


def train_mini() -> list[Outcome]:
    """A training step at the width and batch of the `mini` recipe."""
    peer = Subject("published_training", ("small", 5, 64))
    ours = Subject("our_training", ("small", 5, 64))
    return [_faster("train-mini", "training step, mini, 5 x 64²", 2.5, peer, ours, 15)[0]]


def inference() -> list[Outcome]:
    """Inference of the full network on 480x320: time and added memory."""
    peer = Subject("published_inference", ("full", 320, 480))
    ours = Subject("our_inference", ("full", 320, 480))
    time, found = _faster("inference", "inference, full, 480x320", 2.5, peer, ours, 3)
    share = found["ours"].added_bytes / found["published"].added_bytes
    memory = Outcome(
        row="inference",
        what="memory of the same",
        against=f"published, {found['published'].added_bytes / 2**20:.0f} MiB",
        asked="at most 0.6",
        measured=f"{share:.2f}; ours {found['ours'].added_bytes / 2**20:.0f} MiB",
        met=share <= 0.6,
        figures={"ratio": share},
    )
    return [time, memory]


def changes() -> list[Outcome]:
    """A full training step with each change taken back, one at a time."""
    outcomes = []
    for change in CHANGES:
        found = measure(
            {
                "without": Subject("our_training_without", (change, "full", 2, 128)),
                "ours": Subject("our_training", ("full", 2, 128)),
            },
            2,
        )
        ratio = Ratio.of(found["without"].seconds, found["ours"].seconds)
        outcomes.append(
            Outcome(
                row="changes",
                what=f"training step, full, without {change}",
                against=f"ours, {found['ours'].median_s:.3g} s",
                asked="-",
                measured=str(ratio),
                met=True,
                figures={"ratio": ratio.as_json(), **_seconds(found)},
            )
        )
    return outcomes


_CPL_LIMITS = {"detached": (1.3, 2.1), "prompts": (1.55, 3.0), "full": (1.8, 4.0)}


def _cpl(row: str, size: str, batch: int, side: int, turns: int) -> list[Outcome]:
    outcomes = []
    for reach, limits in _CPL_LIMITS.items():
        for count, most in zip((1, 4), limits, strict=True):
            options = _options(**ALWAYS_PUSHING, cpr_gradient=reach, cpr_count=str(count))
            # Two at a time: side by side, all of them would not fit into memory.
            found = measure(
                {
                    "promptir": Subject("our_training", (size, batch, side)),
                    "cpl": Subject("our_training", (size, batch, side), options),
                },
                turns,
            )
            ratio = Ratio.of(found["cpl"].seconds, found["promptir"].seconds)
            memory = found["cpl"].added_bytes / found["promptir"].added_bytes
            outcomes.append(
                Outcome(
                    row=row,
                    what=f"CPL-guided step, {size}, {count} negative{'s' * (count > 1)}, {reach}",
                    against=f"our PromptIR, {found['promptir'].median_s:.3g} s",
                    asked=f"at most {most}",
                    measured=f"{ratio}; memory x {memory:.2f}",
                    met=ratio.median <= most,
                    figures={"ratio": ratio.as_json(), "memory_ratio": memory, **_seconds(found)},
                )
            )
    return outcomes


def cpl_mini() -> list[Outcome]:
    """CPL-guided's step against PromptIR's at the width of `mini`."""
    return _cpl("cpl-mini", "small", 5, 64, 9)


def cpl_full() -> list[Outcome]:
    """CPL-guided's step against PromptIR's at full width."""
    return _cpl("cpl-full", "full", 2, 128, 2)


@contextmanager
def _photographs(count: int) -> Iterator[str]:
    """Write ``count`` rainy and clean PNG pairs of 481x321, cut from the embedded photographs."""
    import numpy as np
    from PIL import Image

    from harness.config.files import load_setting
    from harness.data.synthetic.photographs import load

    data = load_setting("three-task").synthetic
    names = [*data.train, *data.validation, *data.test]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        written = 0
        while written < count:
            image = load(names[int(rng.integers(len(names)))])
            height, width = (321, 481) if written % 3 else (481, 321)
            if image.shape[0] < height or image.shape[1] < width:
                continue
            top, left = (
                int(rng.integers(n - m + 1))
                for n, m in zip(image.shape[:2], (height, width), strict=True)
            )
            clean = image[top : top + height, left : left + width]
            streaks = (rng.random(clean.shape[:2]) < 0.02)[..., None] * 90
            degraded = np.minimum(clean.astype(np.int64) + streaks, 255).astype(np.uint8)
            for kind, pixels in (("clean", clean), ("degraded", degraded)):
                Image.fromarray(pixels).save(Path(folder, f"{written:03}-{kind}.png"))
            written += 1
        yield folder


def stream() -> list[Outcome]:
    """Training crops from PNG pairs."""
    with _photographs(40) as folder:
        peer = Subject("published_loader", (folder, 32))
        ours = Subject("our_loader", (folder, 32))
        what = "32 samples, 128² crops of 481x321 PNG pairs"
        return [_faster("stream", what, 10, peer, ours, 15)[0]]


def evaluation() -> list[Outcome]:
    """68 images at three noise levels, PSNR and SSIM, no model."""
    with _photographs(68) as folder:
        peer = Subject("scikit_image_evaluation", (folder,))
        ours = Subject("our_evaluation", (folder,))
        what = "evaluation, 68 images of 481x321, three sigmas"
        outcome, _ = _faster("evaluation", what, 4, peer, ours, 7)
        return [outcome]


def cached() -> list[Outcome]:
    """`run` once more with everything stored."""
    from benchmarks.speed import subjects

    with tempfile.TemporaryDirectory() as folder:
        line = ("run", "--recipe", "smoke", "--methods", "cpl,promptir", "--out", folder)
        subjects.command(*line)()
        found = measure({"run": Subject("command", line)}, 9)["run"]
    low, high = min(found.seconds), max(found.seconds)
    return [
        Outcome(
            row="cached",
            what="repeated run, everything stored",
            against="-",
            asked="at most 1.5 s",
            measured=f"{found.median_s:.2f} s ({low:.2f} to {high:.2f})",
            met=found.median_s <= 1.5,
            figures=_seconds({"run": found}),
        )
    ]


ROWS: dict[str, Callable[[], list[Outcome]]] = {
    "train-mini": train_mini,
    "cpl-mini": cpl_mini,
    "inference": inference,
    "train-full": train_full,
    "train-bf16": train_bf16,
    "cpl-full": cpl_full,
    "changes": changes,
    "stream": stream,
    "evaluation": evaluation,
    "cached": cached,
}

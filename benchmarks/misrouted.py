"""Which test images a trained router gives another prompt than most of their column, and its cost.

python -m benchmarks.misrouted --recipe examples/recipes/curve-6000.yaml --seed 1 \
    --clean-images train=RainTrainL/norain --clean-images test=CBSD68 --columns dehaze,derain

The training must lie in the output folder with its weights. Each image is restored whole under the
prompts that it is given; an image with another prompt than most is restored under that one too, and
under all prompts, weighed by the router's probabilities.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import harness
from harness.evaluation.probes.observe import Observer
from harness.execution.networks import trained_network
from harness.execution.process import prepare_process
from harness.method import Prompted
from harness.planning.plan import Plan


@dataclass(frozen=True)
class Routed:
    """An image, the prompt that it is given, and how well it is restored.

    Attributes:
        photograph: name of the clean image.
        prompt: with the largest weight at the deepest level.
        probability: of that prompt, by the router.
        psnr_db: under the prompts that the image is given.
        usual_db: under the prompt that most images of its column are given.
        mixed_db: under all prompts, weighed by the router's probabilities.
    """

    photograph: str
    prompt: int
    probability: float
    psnr_db: float
    usual_db: float
    mixed_db: float


def routed_images(plan: Plan, columns: Sequence[str]) -> Iterator[tuple[str, int, list[Routed]]]:
    """Yield each column, the prompt of most of its images, and all that have another one.

    Raises:
        SystemExit: the plan's method has no prompts, or its training is not in the output folder.
    """
    run = plan.runs[-1]
    if not run.folder.weights.exists():
        raise SystemExit(f"{run.folder.path} holds no weights; train it with the same words")
    network = trained_network(run).eval()
    if not isinstance(network, Prompted):
        raise SystemExit(f"{run.method.id} has no prompts")
    observer = Observer(network, run.method.spec.needs_task_labels, torch.device("cpu"))
    pairs = plan.source.pairs(plan.test)
    for column in columns:
        names = [image for name, image in pairs.names() if name == column]
        given = [observer.observe(pairs.make(column, image)) for image in names]
        level = next(iter(given[0].weights))
        counts = Counter(one.expert(level) for one in given)
        usual = counts.most_common(1)[0][0]
        others = []
        for one in given:
            if one.expert(level) != usual:
                forced = [one.alone(usual), one.probabilities]
                sure = float(one.probabilities[level].max())
                prompt, name = one.expert(level), one.pair.photograph
                psnr_db = (one.psnr_db, *observer.psnr_under(one.pair, forced))
                others.append(Routed(name, prompt, sure, *psnr_db))
        print(f"{column}: {counts[usual]} of {len(names)} images have prompt {usual}", flush=True)
        yield column, len(names), others


def main() -> None:
    """Print each image that is given another prompt than most of its column."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--method", default="cpl-guided")
    parser.add_argument("--setting", default="three-task")
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clean-images", action="append", default=[], metavar="PART=FOLDER")
    parser.add_argument("--columns", required=True)
    parser.add_argument("--out", type=Path, default=Path("results/runs"))
    arguments = parser.parse_args()
    prepare_process(1)
    plan = harness.plan(
        methods=[arguments.method],
        setting=arguments.setting,
        recipe=arguments.recipe,
        seeds=[arguments.seed],
        clean_images=dict(part.split("=", 1) for part in arguments.clean_images),
        out=arguments.out,
    )
    for column, images, others in routed_images(plan, arguments.columns.split(",")):
        for one in others:
            print(
                f"  {one.photograph}: prompt {one.prompt} (probability {one.probability:.2f}), "
                f"{one.psnr_db:.2f} dB; {one.usual_db:.2f} under the usual prompt, "
                f"{one.mixed_db:.2f} under all"
            )
        lost_db = sum(one.usual_db - one.psnr_db for one in others) / images
        print(f"  {column} loses {lost_db:.2f} dB on average by it", flush=True)


if __name__ == "__main__":
    main()

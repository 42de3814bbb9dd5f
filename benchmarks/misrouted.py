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
from harness.cli.flags import named_values
from harness.evaluation.probes.observe import Observed, Observer
from harness.execution.networks import trained_network
from harness.execution.process import prepare_process
from harness.method import Prompted
from harness.planning.plan import Plan

_MIXED = "dense"
"""The variant of routing at test that weighs all prompts by the router's probabilities."""


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


@dataclass(frozen=True)
class RoutedColumn:
    """The images of a column.

    Attributes:
        name: of the column.
        usual: the prompt that most of its images are given.
        images: how many there are.
        others: images that are given another prompt.
    """

    name: str
    usual: int
    images: int
    others: tuple[Routed, ...]

    @property
    def lost_db(self) -> float:
        """What the column loses on average by its images with another prompt."""
        return sum(one.usual_db - one.psnr_db for one in self.others) / self.images


def routed_columns(plan: Plan, names: Sequence[str]) -> Iterator[RoutedColumn]:
    """Yield how the images of each column are routed by the plan's last run.

    Raises:
        SystemExit: a column is unknown, the training is not in the output folder, or its method has
            no router that chooses for all levels.
    """
    known = [column.name for column in plan.columns]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"--columns {','.join(unknown)}: the setting has {', '.join(known)}")
    run = plan.runs[-1]
    if not run.folder.weights.exists():
        raise SystemExit(f"{run.folder.path} holds no weights; train it with the same words")
    network = trained_network(run).eval()
    if not isinstance(network, Prompted):
        raise SystemExit(f"{run.method.id} has no prompts")
    observer = Observer(network, run.method.spec.needs_task_labels, torch.device("cpu"))
    pairs = plan.source.pairs(plan.test)
    for name in names:
        images = [image for column, image in pairs.names() if column == name]
        yield _routed(name, observer, [observer.observe(pairs.make(name, one)) for one in images])


def _routed(name: str, observer: Observer, images: Sequence[Observed]) -> RoutedColumn:
    for image in images:
        if not image.probabilities:
            raise SystemExit("prompts are not chosen by a router")
        if len({image.expert(level) for level in image.weights}) > 1:
            raise SystemExit("each level has a router of its own, so no prompt is that of an image")
    level = next(iter(images[0].weights))
    usual = Counter(image.expert(level) for image in images).most_common(1)[0][0]
    others = []
    for image in images:
        if image.expert(level) != usual:
            (usual_db,) = observer.psnr_under(image.pair, [image.alone(usual)])
            mixed_db = observer.observe(image.pair, varied=True).psnr_db_by(_MIXED)
            sure = float(image.probabilities[level].max())
            psnr_db = (image.psnr_db, usual_db, mixed_db)
            others.append(Routed(image.pair.photograph, image.expert(level), sure, *psnr_db))
    return RoutedColumn(name, usual, len(images), tuple(others))


def main() -> None:
    """Print each image that is given another prompt than most of its column."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--method", default="cpl-guided")
    parser.add_argument("--setting", default="three-task")
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clean-images", action="append", default=[], metavar="SPLIT=DIR")
    parser.add_argument("--columns", required=True)
    parser.add_argument("--out", type=Path, default=Path("results/runs"))
    arguments = parser.parse_args()
    prepare_process(1)
    plan = harness.plan(
        methods=[arguments.method],
        setting=arguments.setting,
        recipe=arguments.recipe,
        seeds=[arguments.seed],
        clean_images=named_values(arguments.clean_images, "--clean-images", "SPLIT=DIR"),
        out=arguments.out,
    )
    for column in routed_columns(plan, arguments.columns.split(",")):
        usual = column.images - len(column.others)
        print(f"{column.name}: {usual} of {column.images} images have prompt {column.usual}")
        for one in column.others:
            print(
                f"  {one.photograph}: prompt {one.prompt} (probability {one.probability:.2f}), "
                f"{one.psnr_db:.2f} dB; {one.usual_db:.2f} under the usual prompt, "
                f"{one.mixed_db:.2f} under all"
            )
        print(f"  {column.name} loses {column.lost_db:.2f} dB on average by it", flush=True)


if __name__ == "__main__":
    main()

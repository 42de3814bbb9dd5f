"""Which prompts an image is restored with: what the router chose, or what was asked for.

Where an image is restored in tiles, its prompts are chosen once and forced on all of them, so that
no two tiles are restored with different ones. The choice is made on crops at full resolution,
evenly spread over the image: a smaller version would have less noise than the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.evaluation.probes.definitions import relative_entropy
from harness.evaluation.restore import decode_batch, to_batch
from harness.evaluation.tiling import ALIGNMENT_PX, Stored, as_unit
from harness.method import Decoded, Override, Prompted, Routing

CROP_PX = 512
_CROPS_A_SIDE = 3

ExpertLoad = Mapping[str, Mapping[str, Sequence[float]]]
"""Level -> task -> mean share of each prompt in the weights of the task's images."""


@dataclass(frozen=True)
class LevelChoice:
    """The prompts of one level.

    Attributes:
        weights: what each prompt was multiplied with.
        probabilities: the router's softmax; None where no router was asked.
    """

    weights: tuple[float, ...]
    probabilities: tuple[float, ...] | None

    @property
    def prompt(self) -> int:
        """Index of the prompt with the largest weight."""
        return self.weights.index(max(self.weights))

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights as shares that sum to one."""
        total = sum(self.weights)
        return tuple(weight / total for weight in self.weights) if total else self.weights

    @property
    def entropy(self) -> float:
        """Entropy of the router's probabilities, or of the shares: 0 sure, 1 all alike."""
        return relative_entropy(self.probabilities or self.shares)


@dataclass(frozen=True)
class PromptChoice:
    """The prompts of an image.

    Attributes:
        chosen_by: in words, who chose.
        seen: in words, what the choice was made on.
        levels: per level, from the deepest up.
    """

    chosen_by: str
    seen: str
    levels: Mapping[str, LevelChoice]

    def override(self, device: torch.device) -> dict[str, Tensor]:
        """Return what forces these prompts on one image."""
        forced = {}
        for level, choice in self.levels.items():
            forced[level] = torch.tensor([choice.weights], device=device)
        return forced

    def as_json(self, load: ExpertLoad) -> dict[str, Any]:
        """Return plain values; ``load`` says how the run's own tasks are routed."""
        levels: dict[str, Any] = {}
        for level, choice in self.levels.items():
            levels[level] = {
                "prompt": choice.prompt,
                "weights": list(choice.weights),
                "probabilities": choice.probabilities and list(choice.probabilities),
                "entropy": choice.entropy,
                "tasks_routed_alike": nearest_tasks(choice, load.get(level, {})),
            }
        return {"chosen_by": self.chosen_by, "seen": self.seen, "levels": levels}

    def sentence(self, load: ExpertLoad) -> str:
        """Return one line on the prompts of each level; levels with the same are one part."""
        alike_levels: dict[LevelChoice, list[str]] = {}
        for level, choice in self.levels.items():
            alike_levels.setdefault(choice, []).append(level)
        parts: list[str] = []
        for choice, levels in alike_levels.items():
            text = (
                f"{', '.join(levels)}: prompt {choice.prompt} ({choice.shares[choice.prompt]:.0%}"
            )
            if choice.probabilities is not None:
                text += f", probability {choice.probabilities[choice.prompt]:.2f}"
            text += f", entropy {choice.entropy:.2f}"
            alike = nearest_tasks(choice, load.get(levels[0], {}))
            parts.append(text + (f", as {'/'.join(alike)})" if alike else ")"))
        return f"{'; '.join(parts)} [{self.chosen_by}, {self.seen}]"


def nearest_tasks(choice: LevelChoice, load: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the tasks whose images are routed most like this one, all that are equally near."""
    distances: dict[str, float] = {}
    for task, shares in load.items():
        if len(shares) == len(choice.shares):
            pairs = zip(shares, choice.shares, strict=True)
            distances[task] = sum(abs(first - second) for first, second in pairs)
    least = min(distances.values(), default=0.0)
    return [task for task, distance in distances.items() if distance < least + 1e-3]


def choice_of(decoded: Decoded, chosen_by: str, seen: str = "the whole image") -> PromptChoice:
    """Return the prompts of the first image of what was decoded."""
    levels = {level: _level_choice(routing) for level, routing in decoded.routing.items()}
    return PromptChoice(chosen_by, seen, levels)


def choose_on_crops(
    method: Prompted, image: Stored, labels: tuple[str, ...] | None, device: torch.device
) -> PromptChoice:
    """Choose the prompts of a large image on crops of it.

    Dense routing is averaged over the crops. Where a router selects few prompts, the selection of
    the crop is taken whose probabilities are nearest to the mean: an average of selections would
    mix prompts that the network never saw together.
    """
    choices: list[PromptChoice] = []
    for crop in crops_of(image):
        batch = to_batch(as_unit(crop), device)
        forced = method.choose(batch, labels)
        by = "the router" if forced is None else "the method"
        choices.append(choice_of(decode_batch(method, batch, forced), by))
    first = choices[0]
    if len(choices) == 1:
        seen = f"a crop of {CROP_PX}x{CROP_PX} pixels"
        return PromptChoice(first.chosen_by, seen, first.levels)
    seen = f"{len(choices)} crops of up to {CROP_PX}x{CROP_PX} pixels"
    means = {}
    for level in first.levels:
        means[level] = _mean([choice.levels[level] for choice in choices])
    if _is_sparse(choices):
        chosen = min(choices, key=lambda choice: _distance(choice, means))
        return PromptChoice(first.chosen_by, seen, chosen.levels)
    return PromptChoice(first.chosen_by, seen, means)


def crops_of(image: Stored) -> list[Stored]:
    """Return up to nine crops of (H, W, 3), evenly spread."""
    height, width = image.shape[:2]
    crops: list[Stored] = []
    for top in _starts(height):
        for left in _starts(width):
            crops.append(image[top : top + CROP_PX, left : left + CROP_PX])
    return crops


def _starts(length: int) -> list[int]:
    last = max(0, length - CROP_PX)
    wanted = [last * step // (_CROPS_A_SIDE - 1) for step in range(_CROPS_A_SIDE)]
    return sorted({start // ALIGNMENT_PX * ALIGNMENT_PX for start in wanted})


def one_hot_choice(method: Prompted, index: int, chosen_by: str) -> PromptChoice:
    """Return the choice of one prompt at every level."""
    weights = tuple(float(prompt == index) for prompt in range(method.prompts))
    levels = dict.fromkeys(method.levels, LevelChoice(weights, None))
    return PromptChoice(chosen_by, "no image", levels)


def choice_of_task(own: PromptChoice, load: ExpertLoad, task: str, chosen_by: str) -> PromptChoice:
    """Return the prompts of a task, as the run's own images of it were routed on average.

    Of the mean shares as many are kept as the router mixes by itself (``own``), scaled to the sum
    of its weights: a router that selects one prompt gets one.
    """
    levels = {}
    for level, choice in own.levels.items():
        count = sum(weight != 0 for weight in choice.weights)
        shares = load[level][task]
        least = sorted(shares, reverse=True)[count - 1]
        selected = [share if share >= least else 0.0 for share in shares]
        factor = sum(choice.weights) / sum(selected)
        levels[level] = LevelChoice(tuple(share * factor for share in selected), None)
    return PromptChoice(chosen_by, "no image", levels)


def is_forced(method: Prompted, labels: tuple[str, ...] | None, device: torch.device) -> bool:
    """Return whether something other than a router chooses the prompts of a method."""
    empty = torch.zeros(1, 3, ALIGNMENT_PX, ALIGNMENT_PX, device=device)
    with torch.no_grad():
        forced: Override | None = method.choose(empty, labels)
    return forced is not None


def _level_choice(routing: Routing) -> LevelChoice:
    probabilities = routing.probabilities
    return LevelChoice(
        tuple(routing.weights[0].float().tolist()),
        None if probabilities is None else tuple(probabilities[0].float().tolist()),
    )


def _mean(choices: Sequence[LevelChoice]) -> LevelChoice:
    weights = torch.tensor([choice.weights for choice in choices]).mean(dim=0)
    known = [choice.probabilities for choice in choices if choice.probabilities is not None]
    probabilities = tuple(torch.tensor(known).mean(dim=0).tolist()) if known else None
    return LevelChoice(tuple(weights.tolist()), probabilities)


def _is_sparse(choices: Sequence[PromptChoice]) -> bool:
    for choice in choices:
        for level in choice.levels.values():
            if 0.0 in level.weights:
                return True
    return False


def _distance(choice: PromptChoice, means: Mapping[str, LevelChoice]) -> float:
    total = 0.0
    for level, own in choice.levels.items():
        mean = means[level]
        first, second = own.probabilities or own.weights, mean.probabilities or mean.weights
        total += sum(abs(one - other) for one, other in zip(first, second, strict=True))
    return total

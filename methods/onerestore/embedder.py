"""OneRestore's embedder: recognises a scene by the cosine of its image's and names' embeddings.

Follows Guo et al., ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore,
model/Embedder.py; the ResNet-18 is He et al.'s, CVPR 2016, with torchvision's names in its
stages. It starts from random weights here, not from ImageNet's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext, OptionError
from methods.onerestore.scenes import EMBEDDING_LENGTH, draw_scenes, read_scenes
from methods.onerestore.spec import SCENES, EmbedderOptions, scene_of
from methods.task_indices import task_indices

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def _trunk(options: EmbedderOptions) -> nn.ModuleDict:
    """Build a ResNet without its classifier, in five parts under the published names."""
    width = options.width
    first = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    start = [first, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)]
    parts: dict[str, nn.Module] = {"block0": nn.Sequential(*start)}
    inputs = width
    for stage in range(4):
        outputs, stride = width * 2**stage, 1 if stage == 0 else 2
        blocks = [ResidualBlock(inputs, outputs, stride)]
        for _ in range(options.blocks - 1):
            blocks.append(ResidualBlock(outputs, outputs, 1))
        parts[f"block{stage + 1}"] = nn.Sequential(*blocks)
        inputs = outputs
    return nn.ModuleDict(parts)


class Embedder(nn.Module):
    """Recognises the scene of an image: the name whose embedding is the nearest.

    Args:
        options: size of the network.
        tasks: task names, in the order of its logits; the clear scene comes before them.
    """

    scene_embeddings: Tensor

    def __init__(self, options: EmbedderOptions, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.options, self.tasks = options, tasks
        self.feat_extractor = _trunk(options)
        self.img_embedder = nn.Sequential(
            nn.Conv2d(options.width * 8, options.features, 1, bias=False),
            nn.BatchNorm2d(options.features),
            nn.ReLU(),
        )
        self.img_final = nn.Linear(options.features, EMBEDDING_LENGTH)
        self.register_buffer("scene_embeddings", draw_scenes(tasks))
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def similarities(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to cosines over the temperature, (N, 1 + tasks).

        With ``rng``, channels are left out as its draws say.
        """
        side = (self.options.input_px, self.options.input_px)
        x = F.interpolate(images, size=side, mode="bilinear", antialias=True)
        x = (x - self.get_buffer("mean")) / self.get_buffer("deviation")
        for part in self.feat_extractor.values():
            x = part(x)
        x = self._with_dropout(self.img_embedder(x), rng)
        found = self.img_final(x.mean(dim=(-2, -1)))
        cosines = F.normalize(found, dim=-1) @ F.normalize(self.scene_embeddings, dim=-1).T
        return cosines / self.options.temperature

    def _with_dropout(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        share = self.options.dropout
        if rng is None or share == 0:
            return x
        drawn = torch.rand(*x.shape[:2], 1, 1, generator=rng, device=rng.device)
        return x * (drawn >= share).to(x, non_blocking=True) / (1 - share)

    def recognise(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to the embeddings (N, 324) of the scenes that are the nearest."""
        return self.scene_embeddings[self.similarities(images).argmax(dim=-1)]

    def classify(self, degraded: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to logits (N, tasks), that of the clear scene left out."""
        return self.similarities(degraded)[:, 1:]

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Return the input: an embedder restores nothing."""
        return degraded

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the cross-entropy over all scenes.

        Each sample is, with the clear scene's share of all scenes, its clean image.
        """
        chance = 1 / (1 + len(self.tasks))
        is_clear = torch.rand(len(batch.tasks), generator=rng) < chance
        is_clear = is_clear.to(batch.degraded.device, non_blocking=True)
        wanted = 1 + task_indices(batch.tasks, self.tasks, batch.degraded.device)
        wanted = wanted.masked_fill(is_clear, 0)
        shown = is_clear[:, None, None, None]
        images = torch.where(shown, batch.clean, batch.degraded)
        logits = self.similarities(images, rng if self.training else None)
        return {"cross_entropy": F.cross_entropy(logits, wanted)}

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Compute the scenes' embeddings of the authors' file, which holds what they follow from.

        Their file knows CDD-11's scenes; where the tasks are others, ``state`` stays as it is.
        """
        if not all(scene_of(task) in SCENES for task in self.tasks):
            return state
        try:
            scenes = read_scenes(state, self.tasks)
        except OptionError:
            return state
        text = ("embedder.", "mlp.")
        adapted = {key: value for key, value in state.items() if not key.startswith(text)}
        return {**adapted, "scene_embeddings": scenes}


def build(context: BuildContext) -> Embedder:
    """Build from ``EmbedderOptions``."""
    return Embedder(context.options, context.tasks)

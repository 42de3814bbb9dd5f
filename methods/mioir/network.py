"""MiOIR's Restormer, whose features a prompt scales and shifts at six insertion points.

Follows Kong et al., "Towards Effective Multiple-in-One Image Restoration: A Sequential and
Prompt Learning Strategy" (arXiv 2401.03379), repository Xiangtaokong/MiOIR,
basicsr/archs/restormer_arch.py (Restormer_EP, Restormer_AP) and basicsr/models/ir_model.py; keys,
shapes and outputs are the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import Upsample
from methods.convolutions import conv1x1
from methods.mioir.maps import draw_maps, read_maps
from methods.mioir.spec import AdaptivePromptOptions, ExplicitPromptOptions
from methods.own_parts import with_own_parts
from methods.restormer_backbone import Features, RestormerBackbone
from methods.task_indices import task_indices

_READERS = (1, 2, 3, 4)
"""Numbers of the networks that read the prompt, as in the published keys."""


class _InsertionPoint(NamedTuple):
    """The reader whose vector scales and shifts the features here, and their channels."""

    reader: int
    channels: int


class PromptReader(nn.Module):
    """Reads a prompt: three convolutions of stride two, and the mean over all positions.

    Args:
        inputs: channels of the prompt.
        features: length of the vector that it returns.
    """

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, features, 7, stride=2, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(features, features, 3, stride=2, padding=1)

    def forward(self, prompt: Tensor) -> Tensor:
        """Map (N, inputs, H, W), sides of at least 5, to (N, features)."""
        for convolution in (self.conv1, self.conv2, self.conv3):
            prompt = F.relu(convolution(prompt))
        return prompt.mean(dim=(-2, -1))


class PromptedRestormer(RestormerBackbone):
    """Restormer under a prompt: x becomes x * (1 + scale) + shift, both read from the prompt.

    The insertion points are the latent, the outputs of the three decoder levels and of
    refinement, and the output before the image is added.

    Args:
        options: size of the network.
        prompt_channels: channels of the prompt.
    """

    def __init__(self, options: AdaptivePromptOptions, prompt_channels: int) -> None:
        super().__init__(options)
        d, features = options.dim, options.prompt_features
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)
        self.points = {
            "1": _InsertionPoint(1, 8 * d),
            "2": _InsertionPoint(2, 4 * d),
            "3": _InsertionPoint(3, 2 * d),
            "4": _InsertionPoint(3, 2 * d),
            "5": _InsertionPoint(3, 2 * d),
            "out": _InsertionPoint(4, 3),
        }
        for reader in _READERS:
            self.add_module(f"F_ext_net{reader}", PromptReader(prompt_channels, features))
        for name, point in self.points.items():
            self.add_module(f"prompt_scale{name}", nn.Linear(features, point.channels))
            self.add_module(f"prompt_shift{name}", nn.Linear(features, point.channels))

    def decode_under(self, features: Features, prompt: Tensor) -> Tensor:
        """Decode to (N, 3, H, W) under prompts (N, channels, any height, any width)."""
        vectors = {}
        for reader in _READERS:
            vectors[reader] = self.get_submodule(f"F_ext_net{reader}")(prompt)

        def prompted(name: str, x: Tensor) -> Tensor:
            vector = vectors[self.points[name].reader]
            scale = self.get_submodule(f"prompt_scale{name}")(vector)[..., None, None]
            shift = self.get_submodule(f"prompt_shift{name}")(vector)[..., None, None]
            return x * (1 + scale) + shift

        x = self.up4_3(prompted("1", features.latent))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, features.level3], 1)))
        x = self.up3_2(prompted("2", x))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([x, features.level2], 1)))
        x = self.up2_1(prompted("3", x))
        x = self.decoder_level1(torch.cat([x, features.level1], 1))
        x = self.refinement(prompted("4", x))
        restored = prompted("out", self.output(prompted("5", x))) + features.image
        return restored[..., : features.height, : features.width]


class AdaptivelyPrompted(PromptedRestormer):
    """MiOIR's adaptive prompt: the degraded image itself, as it is padded for the network.

    Args:
        options: size of the network.
    """

    def __init__(self, options: AdaptivePromptOptions) -> None:
        super().__init__(options, prompt_channels=3)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        features = self.encode(degraded)
        return self.decode_under(features, features.image)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


class ExplicitlyPrompted(PromptedRestormer):
    """MiOIR's explicit prompt: a fixed map per task.

    In training the true task chooses the map, at test the classifier does.

    Args:
        options: size of the network, and the source of the maps.
        tasks: task names; map i belongs to task i.
        classifier: frozen module with ``classify``. Without one the network can be trained, and
            restores only under maps that the caller passes to :meth:`restore_under`.
    """

    prompt_maps: Tensor

    def __init__(
        self,
        options: ExplicitPromptOptions,
        tasks: tuple[str, ...],
        classifier: nn.Module | None = None,
    ) -> None:
        super().__init__(options, prompt_channels=1)
        self.tasks = tasks
        path = options.prompt_maps
        maps = draw_maps(tasks) if path is None else read_maps(path, tasks)
        # Not from_numpy, which disregards the device that a network is built on.
        self.register_buffer("prompt_maps", torch.tensor(maps).unsqueeze(1))
        self.classifier = classifier.requires_grad_(False) if classifier is not None else None

    def train(self, mode: bool = True) -> ExplicitlyPrompted:
        """Set the mode; the frozen classifier stays in evaluation mode."""
        super().train(mode)
        if self.classifier is not None:
            self.classifier.eval()
        return self

    def restore_under(self, degraded: Tensor, maps: Tensor) -> Tensor:
        """Restore ``degraded`` (N, 3, H, W) under ``maps`` (N, 1, 128, 128)."""
        return self.decode_under(self.encode(degraded), maps)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped.

        Raises:
            ValueError: the network has no classifier to choose the map.
        """
        if self.classifier is None:
            raise ValueError(
                "the classifier chooses the prompt map, and this network was built without one"
            )
        with torch.no_grad():
            chosen = self.classifier.classify(degraded).argmax(dim=-1)  # type: ignore[operator]
        return self.restore_under(degraded, self.prompt_maps[chosen])

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error under the maps of the true tasks."""
        of_tasks = task_indices(batch.tasks, self.tasks, batch.degraded.device)
        maps = self.prompt_maps[of_tasks]
        return {"l1": F.l1_loss(self.restore_under(batch.degraded, maps), batch.clean)}

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add this network's maps and classifier where ``state`` has none.

        The authors' checkpoints hold the network alone. Their maps are in data/type7.npy, which
        the option ``prompt_maps`` reads; under other maps their weights restore badly.
        """
        return with_own_parts(self, state, ("prompt_maps", "classifier."))


def build_explicit(context: BuildContext) -> ExplicitlyPrompted:
    """Build from ``ExplicitPromptOptions``, around the trained classifier."""
    return ExplicitlyPrompted(context.options, context.tasks, context.required["mioir-classifier"])


def build_adaptive(context: BuildContext) -> AdaptivelyPrompted:
    """Build from ``AdaptivePromptOptions``."""
    return AdaptivelyPrompted(context.options)

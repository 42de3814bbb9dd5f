"""OneRestore under the scene that is named, or that its embedder recognises.

Follows Guo et al., "OneRestore: A Universal Restoration Framework for Composite Degradation",
ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore; keys, shapes and outputs of the
restorer are the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext, WeightsFile
from methods.onerestore.contrast import VGG16_USE, Features, contrast_loss, pixels
from methods.onerestore.embedder import Embedder
from methods.onerestore.restorer import Restorer
from methods.onerestore.scenes import draw_scenes, read_scenes
from methods.onerestore.similarity import ms_ssim
from methods.onerestore.spec import EMBEDDER, OneRestoreOptions
from methods.own_parts import with_own_parts
from methods.task_indices import task_indices
from methods.vgg16 import LazyVgg16

_SMOOTH_L1_WEIGHT = 0.6


class OneRestore(Restorer):
    """OneRestore; in training the true name of the degradation chooses the embedding.

    Args:
        options: size of the network, and weights of its losses.
        tasks: task names; row 1 + i of the scenes belongs to task i, row 0 to the clear scene.
        scenes: embeddings (1 + tasks, 324).
        embedder: recognises the scene at test, frozen; None takes the names of the tasks.
    """

    scene_embeddings: Tensor

    def __init__(
        self,
        options: OneRestoreOptions,
        tasks: tuple[str, ...],
        scenes: Tensor,
        embedder: Embedder | None = None,
    ) -> None:
        super().__init__(options)
        self.options, self.tasks = options, tasks
        self.register_buffer("scene_embeddings", scenes)
        self.embedder = embedder.requires_grad_(False) if embedder is not None else None
        by_vgg16 = options.contrast_features == "vgg16"
        self.features: Features = LazyVgg16(VGG16_USE) if by_vgg16 else pixels

    def train(self, mode: bool = True) -> OneRestore:
        """Set the mode; the frozen embedder stays in evaluation mode."""
        super().train(mode)
        if self.embedder is not None:
            self.embedder.eval()
        return self

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped.

        Raises:
            ValueError: no tasks were given, and there is no embedder.
        """
        if self.embedder is not None:
            with torch.no_grad():
                chosen = self.embedder.recognise(degraded)
            return self.restore_under(degraded, chosen)
        if tasks is None:
            raise ValueError("onerestore is given the name of the degradation; no tasks were given")
        return self.restore_under(degraded, self._named(tasks))

    def prepare_training(self) -> None:
        """Read VGG16's weights where the contrast compares its features.

        Raises:
            OptionError: they are not there.
        """
        if self.options.contrast_weight and isinstance(self.features, LazyVgg16):
            self.features.load()

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return smooth L1, MS-SSIM and the contrast, each weighted.

        Raises:
            ValueError: the contrast has a weight, and the batch no other versions.
            OptionError: the contrast needs VGG16's weights, and they are not there.
        """
        restored = self.restore_under(batch.degraded, self._named(batch.tasks))
        error = F.smooth_l1_loss(restored, batch.clean)
        terms = {"smooth_l1": _SMOOTH_L1_WEIGHT * error}
        if self.options.ssim_weight:
            terms["ms_ssim"] = self.options.ssim_weight * (1 - ms_ssim(restored, batch.clean))
        if self.options.contrast_weight:
            if batch.versions is None:
                raise ValueError(
                    "onerestore compares each crop with its other degradations, and the batch has "
                    "none; fill Batch.versions"
                )
            degraded = [batch.degraded, *batch.versions.unbind(dim=1)]
            loss = contrast_loss(restored, batch.clean, degraded, self.features)
            terms["contrast"] = self.options.contrast_weight * loss
        return terms

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add this network's scenes and embedder where ``state`` has none.

        The authors' checkpoints hold the restorer alone. Their scenes are in embedder_model.tar,
        which is the file of the required embedder, or of the option ``embedder``; under other
        scenes their weights restore badly.
        """
        return with_own_parts(self, state, ("scene_embeddings", "embedder."))

    def _named(self, tasks: tuple[str, ...]) -> Tensor:
        return self.scene_embeddings[
            1 + task_indices(tasks, self.tasks, self.scene_embeddings.device)
        ]


def build_named(context: BuildContext) -> OneRestore:
    """Build from ``NamedOptions``, to be given the names of degradations.

    Raises:
        OptionError: the file of the option ``embedder`` holds no embeddings of scenes.
    """
    path = context.options.embedder
    if path is None:
        return OneRestore(context.options, context.tasks, draw_scenes(context.tasks))
    assert context.read_weights is not None
    found = context.read_weights(WeightsFile(path))
    state = {key.removeprefix("module."): value for key, value in found.items()}
    return OneRestore(context.options, context.tasks, read_scenes(state, context.tasks))


def build_visual(context: BuildContext) -> OneRestore:
    """Build from ``OneRestoreOptions``, around the trained embedder and under its scenes."""
    embedder = context.required[EMBEDDER]
    scenes = embedder.scene_embeddings.clone()
    return OneRestore(context.options, context.tasks, scenes, embedder)

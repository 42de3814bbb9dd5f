"""A restorer that learns to tell degradations apart before it learns to restore them.

Follows Hu et al., "Universal Image Restoration Pre-training via Degradation Classification", ICLR
2025 (arXiv 2501.15510), repository MILab-PKU/dcpt, DCPTModel in basicsr/models. The kind of its
pixel loss is not public; here it is L1. The published pass for the classifier stops at the last
level that it reads; here it is completed, which changes no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import (
    AdaptsState,
    Batch,
    BuildContext,
    Decoded,
    HasRoutingVariants,
    Override,
    Prompted,
    RoutingVariant,
)
from methods.baselines.start import drawing_from
from methods.dcpt.head import DegradationHead, focal_loss
from methods.dcpt.spec import PRETRAINING, DCPTOptions
from methods.task_indices import task_indices

_PROBE_PX = 64


@contextmanager
def recording(network: Any) -> Iterator[dict[str, Tensor]]:
    """Yield what the levels of the network's decoder return meanwhile, by their names."""
    outputs: dict[str, Tensor] = {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[name] = output

        return hook

    handles = []
    for name in network.decoder_levels:
        handles.append(network.get_submodule(name).register_forward_hook(record(name)))
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


class Pretrained(nn.Module):
    """A restorer and, as long as it is pre-trained, a classifier that reads its decoder.

    Its weights are those of the restorer alone, under the restorer's own names. The classifier is
    dropped when the restoration begins; checkpoints of a training hold it until then.

    Args:
        host: the restorer, which names the levels of its decoder in ``decoder_levels``.
        options: of the classifier.
        tasks: task names; each is a class.
    """

    def __init__(self, host: Any, options: DCPTOptions, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.host: Any = host
        self.tasks, self.focal_gamma = tasks, options.focal_gamma
        features = self._probe()
        channels = [feature.shape[2 if feature.ndim == 3 else 1] for feature in features]
        tokens = features[0].ndim == 3
        self.head: nn.Module | None = DegradationHead(
            channels, options.classifier_blocks, len(tasks), tokens
        )

    def _probe(self) -> list[Tensor]:
        """Return the features of a small image."""
        parameter = next(self.host.parameters())
        image = torch.zeros(1, 3, _PROBE_PX, _PROBE_PX, device=parameter.device)
        training = self.host.training
        self.host.eval()
        with torch.no_grad():
            features = self.features(image, self.tasks[:1])
        self.host.train(training)
        return features

    def features(self, images: Tensor, tasks: tuple[str, ...]) -> list[Tensor]:
        """Return the outputs of the decoder's levels for (N, 3, H, W), the finest first."""
        with recording(self.host) as outputs:
            self.host.restore(images, tasks)
        return [outputs[name] for name in self.host.decoder_levels]

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        restored: Tensor = self.host.restore(degraded, tasks)
        return restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1 of clean images and the loss of classification; later the host's losses.

        Raises:
            ValueError: the pre-training goes on after the restoration has begun.
        """
        if batch.stage != PRETRAINING:
            self.head = None
            terms: dict[str, Tensor] = self.host.losses(batch, rng)
            return terms
        if self.head is None:
            raise ValueError("the classifier was dropped when the restoration began")
        with drawing_from(rng, batch.degraded.device):
            copied = self.host.restore(batch.clean, batch.tasks)
            logits = self.head(self.features(batch.degraded, batch.tasks))
        target = task_indices(batch.tasks, self.tasks, logits.device)
        return {
            "l1": F.l1_loss(copied, batch.clean),
            "classification": focal_loss(logits, target, self.focal_gamma),
        }

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the state of the restorer."""
        return self.host.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load a state of the restorer; see ``nn.Module``."""
        return self.host.load_state_dict(state_dict, *args, **kwargs)

    def training_state(self) -> dict[str, Tensor]:
        """Return the state of the restorer, and that of the classifier as long as there is one."""
        state: dict[str, Tensor] = super().state_dict()
        return state

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what :meth:`training_state` returned; without a classifier in it, drop the own."""
        if not any(key.startswith("head.") for key in state):
            self.head = None
        super().load_state_dict(dict(state))

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return ``state`` as the restorer understands it."""
        if isinstance(self.host, AdaptsState):
            return self.host.adapt_state(state)
        return state


class PretrainedPrompted(Pretrained):
    """The same of a restorer with prompts, which can be forced as in the restorer itself."""

    def __init__(self, host: Any, options: DCPTOptions, tasks: tuple[str, ...]) -> None:
        super().__init__(host, options, tasks)
        self.levels: tuple[str, ...] = host.levels
        self.prompts: int = host.prompts

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Any:
        """Return what the decoder needs of ``degraded`` (N, 3, H, W)."""
        return self.host.encode(degraded, rng)

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return forced prompts where something other than the router chooses, else None."""
        chosen: Override | None = self.host.choose(degraded, tasks)
        return chosen

    def decode(self, features: Any, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        decoded: Decoded = self.host.decode(features, override)
        return decoded

    def routing_variants(self) -> tuple[RoutingVariant, ...]:
        """Return the restorer's other ways to route at test, if it has any."""
        return self.host.routing_variants() if isinstance(self.host, HasRoutingVariants) else ()

    def decode_variant(self, features: Any, variant: RoutingVariant) -> Decoded:
        """Decode under the prompts that one of the restorer's variants gives."""
        decoded: Decoded = self.host.decode_variant(features, variant)
        return decoded

    def prompt_bank(self, level: str) -> Tensor:
        """Return the prompts of a level, (prompts, C, H, W)."""
        bank: Tensor = self.host.prompt_bank(level)
        return bank


def build(context: BuildContext) -> Pretrained:
    """Build the restorer from its part of the options, and the classifier from its own."""
    options: Any = context.options
    if context.host is None:
        raise ValueError("DCPT pre-trains a restorer, and the context has none")
    host = context.host(options.host_options)
    kind = PretrainedPrompted if isinstance(host, Prompted) else Pretrained
    return kind(host, options, context.tasks)

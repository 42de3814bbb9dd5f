"""What a network may offer beyond the interface of a method; each part is optional.

A method imports these names from :mod:`harness.method`. This module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.method import Decoded, Insert, Routing


@runtime_checkable
class PromptHost(Protocol):
    """A network without prompts that names its insertion points, so that CPL can be added to it.

    ``insertion_channels`` gives the channels of the features at each insertion point, by the
    point's name and from the deepest up.
    """

    insertion_channels: Mapping[str, int]

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Any:
        """Return what the decoder needs of ``degraded`` (N, 3, H, W), the input included.

        ``rng`` is given in training, for networks with noise of their own. The result has
        ``detach()``, ``repeat(count)`` along the batch, and ``maps()``: a list of (N, C, H, W),
        of which a shared router sees the first.
        """
        ...

    def decode_with(self, features: Any, insert: Insert) -> Decoded:
        """Decode; ``insert`` gets the features at each insertion point. ``routing`` is empty."""
        ...


@runtime_checkable
class HasReconstructionLosses(Protocol):
    """A network whose training compares restored and clean images by more than L1, or otherwise."""

    def reconstruction_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Return named, weighted terms for images (N, 3, H, W)."""
        ...


@runtime_checkable
class FusionHost(Protocol):
    """A network whose decoder hands its features to ``fuse`` at each level, before all else there.

    ``fuse`` returns them as they are unless another method replaces it.
    """

    fuse: Insert

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Any:
        """Return what the decoder needs of ``degraded`` (N, 3, H, W), the input included."""
        ...


@runtime_checkable
class HasDecoderLevels(Protocol):
    """A network that names the modules which end a level of its decoder, the finest first.

    Their outputs are (N, C, H, W), each of half the side of the one before, or all are
    (N, pixels, C) of one square map.
    """

    decoder_levels: tuple[str, ...]


class RoutingVariant(Protocol):
    """Another way to weigh prompts at test than the one of training."""

    @property
    def name(self) -> str:
        """Name in tables, unique among the variants of a method."""
        ...

    def weights(self, trained: Routing, load_bias: Tensor | None = None) -> Tensor:
        """Return the weights (N, prompts) in place of those that a router was trained with.

        Args:
            trained: the router's own weights and probabilities.
            load_bias: (prompts,), what it adds to probabilities to select by, if anything.
        """
        ...

    def keeps(self, trained: Routing) -> bool:
        """Return whether all weights stay as they were trained."""
        ...


@runtime_checkable
class HasRoutingVariants(Protocol):
    """A prompted method whose routers can weigh prompts in other ways at test."""

    def routing_variants(self) -> tuple[RoutingVariant, ...]:
        """Return the other ways; none where no router selects prompts."""
        ...

    def decode_variant(self, features: Any, variant: RoutingVariant) -> Decoded:
        """Decode what ``encode`` returned under the prompts of one of ``routing_variants``.

        ``routing`` holds the weights that were used and the probabilities of the router.
        """
        ...


@runtime_checkable
class KeepsTrainingState(Protocol):
    """A method with parts that serve its training alone.

    Checkpoints of a training hold them; weights, which ``state_dict`` returns, do not.
    """

    def training_state(self) -> dict[str, Tensor]:
        """Return all of the state that an unfinished training goes on from."""
        ...

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what ``training_state`` returned."""
        ...


@runtime_checkable
class GathersFromBatches(Protocol):
    """A module with state that follows from the samples of batches: a running mean, a queue.

    Its forward in training reads the state as it was before the step, and keeps the rows by which
    it will change. The state itself changes once per step, by the rows of all micro-batches, on
    however many devices they were computed. So it is the same whatever a batch was split into.
    Batch norm need not declare its running statistics.
    """

    def gathered(self) -> dict[str, Tensor]:
        """Return, and forget, the rows that were kept; the first dimension is samples.

        Empty where no forward kept any.
        """
        ...

    def update_from(self, rows: Mapping[str, Tensor]) -> None:
        """Update the state by the rows of all samples of a step, in the order of the batch.

        ``rows`` is empty after a step in which no micro-batch kept any.
        """
        ...


@runtime_checkable
class PreparesTraining(Protocol):
    """A method that needs more to be trained than to restore images."""

    def prepare_training(self) -> None:
        """Read what the losses alone need; raise :class:`OptionError` where it is not there."""


@runtime_checkable
class AdaptsState(Protocol):
    """A method that reads state dicts which differ from its own in a known way."""

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return ``state`` under this module's keys, where the difference is understood.

        Wrapping prefixes (``net.``, ``module.``) are gone already; what is not understood
        stays, and is reported by the strict comparison that follows.
        """
        ...


@runtime_checkable
class TaskClassifier(Protocol):
    """An auxiliary method that recognises the task of a degraded image."""

    def classify(self, degraded: Tensor) -> Tensor:
        """Return logits (N, tasks) for ``degraded`` (N, 3, H, W), tasks in the setting's order."""
        ...

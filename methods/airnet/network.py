"""AirNet: a restorer that deforms and modulates its features by a degradation map.

Follows Li et al., "All-In-One Image Restoration for Unknown Corruption", CVPR 2022, repository
XLearning-SCU/2022-CVPR-AirNet, net/model.py and train.py; keys, shapes and outputs are the
published ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.airnet.losses import MomentumContrast
from methods.airnet.restorer import Restorer
from methods.airnet.spec import ENCODER, JOINT, AirNetOptions

_QUEUE = "E.E.queue"
_POINTER = "E.E.queue_ptr"


class AirNet(nn.Module):
    """AirNet, trained in two stages: the encoder by contrast, then everything with L1 as well.

    Nothing is padded: any size can be restored.

    Args:
        options: size, contrast and queue; the defaults are the published ones.
    """

    def __init__(self, options: AirNetOptions) -> None:
        super().__init__()
        self.contrast_weight = options.contrast_weight
        self.R = Restorer(options)
        self.E = nn.ModuleDict({"E": MomentumContrast(options)})

    @property
    def contrast(self) -> MomentumContrast:
        """The encoder of the degradation, its momentum encoder and its queue."""
        return self.E["E"]  # type: ignore[return-value]

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.R(degraded, self.contrast.encoder_q.degradation_map(degraded))

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the contrast of two views and, except in the stage ``encoder``, L1 of the first.

        A batch without a stage belongs to the stage ``joint``. In training mode the first call of a
        step moves the momentum encoder, and the keys of all calls enter the queue at its end.

        Raises:
            ValueError: an unknown stage, or a batch without a second view.
        """
        stage = batch.stage or JOINT
        if stage not in (ENCODER, JOINT):
            raise ValueError(f"airnet has the stages '{ENCODER}' and '{JOINT}', and no '{stage}'")
        if batch.second_view is None:
            raise ValueError(
                "airnet compares two crops of each image, and the batch has no second view; "
                "fill Batch.second_view"
            )
        contrast, degradation_map = self.contrast(batch.degraded, batch.second_view)
        if stage == ENCODER:
            return {"contrast": contrast}
        restored = self.R(batch.degraded, degradation_map)
        return {
            "l1": F.l1_loss(restored, batch.clean),
            "contrast": self.contrast_weight * contrast,
        }

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return ``state`` with this network's own queue if only the queue's length differs.

        The published length depends on the batch size. Restoring reads neither queue nor pointer,
        and a training that starts from ``state`` fills its own queue anew.
        """
        queue, own = state.get(_QUEUE), self.contrast.queue
        if queue is None or queue.ndim != 2:
            return state
        same_width, same_length = len(queue) == len(own), queue.shape[1] == own.shape[1]
        if same_length or not same_width:
            return state
        return {**state, _QUEUE: own, _POINTER: self.contrast.queue_ptr}


def build(context: BuildContext) -> AirNet:
    """Build from ``AirNetOptions``."""
    return AirNet(context.options)

"""AirNet: a restorer that deforms and modulates its features by a degradation map.

Follows Li et al., "All-In-One Image Restoration for Unknown Corruption", CVPR 2022, repository
XLearning-SCU/2022-CVPR-AirNet, net/DGRN.py, net/deform_conv.py and train.py; keys, shapes and
outputs are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from harness.method import Batch, BuildContext
from methods.airnet.encoder import SLOPE, MomentumContrast
from methods.airnet.spec import ENCODER, JOINT, AirNetOptions
from methods.blocks import conv1x1

_KERNEL = 3
_QUEUE = ("E.E.queue", "E.E.queue_ptr")


def _conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, _KERNEL, padding=_KERNEL // 2)


class _Deformable(nn.Module):
    """Modulated deformable convolution (DCN v2) whose offsets a degradation map decides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = _KERNEL * _KERNEL
        bound = 1 / math.sqrt(channels * taps)
        weight = torch.empty(channels, channels, _KERNEL, _KERNEL)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound))
        self.conv_offset_mask = _conv3x3(2 * channels, 3 * taps)
        # The start is an ordinary convolution at half strength.
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        decided = self.conv_offset_mask(torch.cat([x, degradation_map], 1))
        taps = self.weight[0, 0].numel()
        offset, mask = decided.split([2 * taps, taps], dim=1)
        # Positions need float32: bfloat16 knows no half pixels beyond 128.
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            return deform_conv2d(
                x.to(dtype),
                offset.to(dtype),
                self.weight.to(dtype),
                padding=_KERNEL // 2,
                mask=mask.to(dtype).sigmoid(),
            )


class _Modulation(nn.Module):
    """Scales and shifts features by what two small networks make of a degradation map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_gamma = self._branch(channels)
        self.conv_beta = self._branch(channels)

    @staticmethod
    def _branch(channels: int) -> nn.Sequential:
        return nn.Sequential(
            conv1x1(channels, channels), nn.LeakyReLU(SLOPE), conv1x1(channels, channels)
        )

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        return x * self.conv_gamma(degradation_map) + self.conv_beta(degradation_map)


class _Guided(nn.Module):
    """Degradation-guided module: what both kinds of guidance make is added to the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dcn = _Deformable(channels)
        self.sft = _Modulation(channels)

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        return x + (self.dcn(x, degradation_map) + self.sft(x, degradation_map))


class _Block(nn.Module):
    """Degradation-guided block: guided module and convolution, twice, around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dgm1 = _Guided(channels)
        self.dgm2 = _Guided(channels)
        self.conv1 = _conv3x3(channels, channels)
        self.conv2 = _conv3x3(channels, channels)

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        y = F.leaky_relu(self.dgm1(x, degradation_map), SLOPE)
        y = F.leaky_relu(self.conv1(y), SLOPE)
        y = F.leaky_relu(self.dgm2(y, degradation_map), SLOPE)
        return x + self.conv2(y)


class _Chain(nn.Module):
    """Guided parts one after the other, a convolution last, around a shortcut."""

    def __init__(self, parts: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.body = nn.ModuleList([*parts, _conv3x3(channels, channels)])

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        *parts, last = self.body
        y = x
        for part in parts:
            y = part(y, degradation_map)
        return x + last(y)


class Restorer(_Chain):
    """Degradation-guided restoration network: groups of blocks, at full resolution throughout."""

    def __init__(self, options: AirNetOptions) -> None:
        c = options.channels
        groups: list[nn.Module] = [
            _Chain([_Block(c) for _ in range(options.blocks)], c) for _ in range(options.groups)
        ]
        super().__init__(groups, c)
        self.head = nn.Sequential(_conv3x3(3, c))
        self.tail = nn.Sequential(_conv3x3(c, 3))

    def forward(self, image: Tensor, degradation_map: Tensor) -> Tensor:
        """Map (N, 3, H, W) and (N, C, H, W) to (N, 3, H, W); the image is not added."""
        return self.tail(super().forward(self.head(image), degradation_map))


class AirNet(nn.Module):
    """AirNet, trained in two stages: the encoder by contrast, then everything with L1 as well.

    Nothing is padded: any size goes through.

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
        """The encoder of the degradation, its follower and its queue."""
        return self.E["E"]  # type: ignore[return-value]

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.R(degraded, self.contrast.encoder_q.degradation_map(degraded))

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the contrast of two views, and outside the stage ``encoder`` L1 of the first.

        A batch without a stage is one of the stage ``joint``. In training mode the key encoder
        moves and the queue takes the batch's keys, once per call.

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
        """Keep the own queue and its pointer where ``state`` has a queue of another length.

        The published length follows the batch; restoring reads neither, and a training that
        goes on fills its own queue anew.
        """
        queue, own = state.get(_QUEUE[0]), self.contrast.queue
        if queue is None or queue.ndim != 2 or len(queue) != len(own) or queue.shape == own.shape:
            return state
        kept = self.state_dict()
        return {**state, **{key: kept[key] for key in _QUEUE}}


def build(context: BuildContext) -> AirNet:
    """Build from ``AirNetOptions``."""
    return AirNet(context.options)

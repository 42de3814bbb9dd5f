"""VGG16's activations, a space in which losses compare images. Its weights are in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import OptionError

VGG16_FILE = "vgg16-397923af.pth"
"""Name of torchvision's file of weights."""
VGG16_VARIABLE = "HARNESS_VGG16_WEIGHTS"
"""Environment variable that names another file of weights."""


@dataclass(frozen=True)
class Vgg16Use:
    """Who asks for the features: what an error says.

    Attributes:
        option: an option and its value, such as ``cpr_features=vgg16``.
        instead: an option and its value that need no weights.
    """

    option: str
    instead: str


@dataclass(frozen=True)
class _Convolution:
    """One of VGG16's 3x3 convolutions.

    Attributes:
        index: its index in torchvision's ``features``.
        inputs: its input channels.
        outputs: its output channels.
        pooled: whether the maps are pooled before it.
        read: whether its activations are a feature map.
    """

    index: int
    inputs: int
    outputs: int
    pooled: bool = False
    read: bool = False


_CONVOLUTIONS = (
    _Convolution(0, 3, 64),
    _Convolution(2, 64, 64, read=True),  # relu1_2
    _Convolution(5, 64, 128, pooled=True),
    _Convolution(7, 128, 128, read=True),  # relu2_2
    _Convolution(10, 128, 256, pooled=True),
    _Convolution(12, 256, 256),
    _Convolution(14, 256, 256, read=True),  # relu3_3
)
_State = Mapping[str, Tensor]
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class Vgg16(nn.Module):
    """ImageNet VGG16 at relu1_2, relu2_2 and relu3_3, weighted 0.2, 0.3, 0.5.

    Layers and weights as in MCIR's loss (Aitical/MCLIR, options of FFANet); inputs in [0, 1]
    are normalised with ImageNet's mean and standard deviation. The weights are read from the file
    that the environment variable HARNESS_VGG16_WEIGHTS names, else from torchvision's cache; they
    are not part of the method's state dict.

    Args:
        use: the option that asks for the features, and the way to do without them.
        normalised: whether inputs are normalised; some published losses leave that out.

    Raises:
        OptionError: there is no file of weights, or it holds other weights.
    """

    weights = (0.2, 0.3, 0.5)

    def __init__(self, use: Vgg16Use, normalised: bool = True) -> None:
        super().__init__()
        self.normalised = normalised
        state = _vgg_state(use)
        for layer in _CONVOLUTIONS:
            self._read(state, layer.index, "weight", (layer.outputs, layer.inputs, 3, 3))
            self._read(state, layer.index, "bias", (layer.outputs,))
        self._hold("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self._hold("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to three feature maps, at full, half and quarter size."""
        x = image
        if self.normalised:
            x = (image - self.get_buffer("mean")) / self.get_buffer("deviation")
        maps = []
        for layer in _CONVOLUTIONS:
            if layer.pooled:
                x = F.max_pool2d(x, 2)
            weight = self.get_buffer(f"weight{layer.index}")
            bias = self.get_buffer(f"bias{layer.index}")
            x = F.relu(F.conv2d(x, weight, bias, padding=1))
            if layer.read:
                maps.append(x)
        return maps

    def _read(self, state: _State, index: int, part: str, shape: tuple[int, ...]) -> None:
        """Hold the weight or bias of a convolution, as a file's state has it."""
        key = f"features.{index}.{part}"
        if key not in state or tuple(state[key].shape) != shape:
            raise OptionError(f"the VGG16 weights file holds no '{key}' of shape {shape}")
        self._hold(f"{part}{index}", state[key].float())

    def _hold(self, name: str, value: Tensor) -> None:
        # Buffers move with the module; these are not persistent, so checkpoints stay small.
        self.register_buffer(name, value, persistent=False)


def _vgg_state(use: Vgg16Use) -> dict[str, Tensor]:
    given = os.environ.get(VGG16_VARIABLE)
    path = Path(given) if given else Path(torch.hub.get_dir()) / "checkpoints" / VGG16_FILE
    if not path.is_file():
        raise OptionError(
            f"{use.option} needs VGG16 weights and {path} is not there; on a machine with "
            'network run: python -c "import torchvision; '
            "torchvision.models.vgg16(weights='IMAGENET1K_V1')\" and copy the file, set "
            f"{VGG16_VARIABLE} to a .pth or .safetensors file, or use {use.instead}"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format fails in its own way
        raise OptionError(f"the VGG16 weights {path} cannot be read: {error}") from error
    return state


class LazyVgg16:
    """Unnormalised VGG16 features whose weights are read when they are first asked for.

    So a network whose loss needs them can be built, counted and restore images without them.

    Args:
        use: the option that asks for the features, and the way to do without them.
    """

    def __init__(self, use: Vgg16Use) -> None:
        self.use = use
        self._network: Vgg16 | None = None

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) in [0, 1] to three feature maps.

        Raises:
            OptionError: there is no file of weights, or it holds other weights.
        """
        self.load()
        assert self._network is not None
        return self._network.to(image.device)(image)

    def load(self) -> None:
        """Read the weights, if that was not done before.

        Raises:
            OptionError: there is no file of weights, or it holds other weights.
        """
        if self._network is None:
            self._network = Vgg16(self.use, normalised=False)

"""Feature spaces in which restorations are compared: pixels, or VGG16's activations."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import OptionError

VGG16_FILE = "vgg16-397923af.pth"
VGG16_VARIABLE = "HARNESS_VGG16_WEIGHTS"

# (index in torchvision's `features`, input channels, output channels, name where it is read)
_VGG_LAYERS = (
    (0, 3, 64, None),
    (2, 64, 64, "relu1_2"),
    (5, 64, 128, None),
    (7, 128, 128, "relu2_2"),
    (10, 128, 256, None),
    (12, 256, 256, None),
    (14, 256, 256, "relu3_3"),
)


class Pixels(nn.Module):
    """The image itself."""

    weights = (1.0,)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return [(N, 3, H, W)]."""
        return [image]


class Vgg16(nn.Module):
    """ImageNet VGG16 at relu1_2, relu2_2 and relu3_3, weighted 0.2, 0.3, 0.5.

    Layers and weights as in MCIR's loss (Aitical/MCLIR, options of FFANet); inputs in [0, 1]
    are normalised with ImageNet's mean and deviation. The weights are read from the file that
    the environment variable HARNESS_VGG16_WEIGHTS names, else from torchvision's cache, and
    are kept out of the method's own state dict.

    Raises:
        OptionError: no weights are there, or the file holds others.
    """

    weights = (0.2, 0.3, 0.5)

    def __init__(self) -> None:
        super().__init__()
        state = _vgg_state()
        for index, inputs, outputs, _ in _VGG_LAYERS:
            for part, shape in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,))):
                key = f"features.{index}.{part}"
                if key not in state or tuple(state[key].shape) != shape:
                    raise OptionError(f"the VGG16 weights file holds no '{key}' of shape {shape}")
                # Buffers move with the module; not persistent, so checkpoints stay small.
                self.register_buffer(f"{part}{index}", state[key].float(), persistent=False)
        self.register_buffer(
            "mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer(
            "deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to three feature maps, at full, half and quarter size."""
        x = (image - self.get_buffer("mean")) / self.get_buffer("deviation")
        found = []
        for index, _, _, name in _VGG_LAYERS:
            if index in (5, 10):
                x = F.max_pool2d(x, 2)
            weight, bias = self.get_buffer(f"weight{index}"), self.get_buffer(f"bias{index}")
            x = F.relu(F.conv2d(x, weight, bias, padding=1))
            if name is not None:
                found.append(x)
        return found


def _vgg_state() -> dict[str, Tensor]:
    given = os.environ.get(VGG16_VARIABLE)
    path = Path(given) if given else Path(torch.hub.get_dir()) / "checkpoints" / VGG16_FILE
    if not path.is_file():
        raise OptionError(
            f"cpr_features=vgg16 needs VGG16 weights and {path} is not there; on a machine with "
            'network run: python -c "import torchvision; '
            "torchvision.models.vgg16(weights='IMAGENET1K_V1')\" and copy the file, set "
            f"{VGG16_VARIABLE} to a .pth or .safetensors file, or use cpr_features=pixels"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format fails in its own way
        raise OptionError(f"the VGG16 weights {path} cannot be read: {error}") from error
    return state

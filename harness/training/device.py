"""What a device can compute."""

from __future__ import annotations

import torch


def computes_bf16(device: str) -> bool:
    """Return whether the device has bfloat16 arithmetic; without, it is emulated, slowly."""
    if torch.device(device).type != "cpu":
        return True
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())

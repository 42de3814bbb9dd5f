"""Restoring one degraded image with a method."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.config.errors import HarnessError
from harness.data.images.arrays import Float
from harness.method import Decoded, Method, Override, Prompted


def restore_image(
    method: Method, degraded: Float, device: torch.device, task: str | None = None
) -> Float:
    """Return the restored image, (H, W, 3) float32, not clamped.

    Args:
        method: on ``device`` and in evaluation mode.
        degraded: (H, W, 3) float32 RGB in [0, 1], of any size.
        device: where the method computes.
        task: name of the true task, for a method that needs task labels; else None.
    """
    labels = None if task is None else (task,)
    return to_image(restore_batch(method, to_batch(degraded, device), labels))


def restore_batch(method: Method, degraded: Tensor, labels: tuple[str, ...] | None) -> Tensor:
    """Return what ``method`` makes of images (N, 3, H, W), without gradients.

    Raises:
        HarnessError: it returns no tensor of floats, or one of another shape than its input.
    """
    with torch.no_grad():
        restored: object = method.restore(degraded, labels)
    return checked(restored, degraded)


def decode_batch(method: Prompted, degraded: Tensor, override: Override | None) -> Decoded:
    """Return what a prompted method decodes of images (N, 3, H, W), without gradients.

    Raises:
        HarnessError: what it restored is no tensor of floats of the input's shape.
    """
    with torch.no_grad():
        decoded = method.decode(method.encode(degraded), override)
    checked(decoded.restored, degraded)
    return decoded


def checked(restored: object, degraded: Tensor) -> Tensor:
    """Return ``restored`` if a method may return it for ``degraded``.

    Raises:
        HarnessError: it is no tensor of floats, or one of another shape than its input.
    """
    if not isinstance(restored, Tensor) or not restored.is_floating_point():
        kind = restored.dtype if isinstance(restored, Tensor) else type(restored).__name__
        raise HarnessError(
            f"restore returned {kind} for a tensor of floats; a method returns the restored images "
            "as a tensor of floats"
        )
    if restored.shape != degraded.shape:
        raise HarnessError(
            f"restore returned the shape {tuple(restored.shape)} for an input of "
            f"{tuple(degraded.shape)}; a method returns the shape that it was given"
        )
    return restored


def to_batch(image: Float, device: torch.device) -> Tensor:
    """Return (H, W, 3) as a batch of one, (1, 3, H, W), on ``device``."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    return torch.from_numpy(planes).to(device)


def to_image(batch: Tensor) -> Float:
    """Return the first image of a batch (N, 3, H, W) as (H, W, 3) float32.

    An image with a pixel that is not finite is NaN throughout, so that it has no score.
    """
    image: Float = _nan_if_not_finite(batch[:1].float())[0].cpu().numpy().transpose(1, 2, 0)
    return image


def clamped(batch: Tensor) -> Tensor:
    """Return restored images (N, 3, H, W) as float32 in [0, 1].

    An image with a pixel that is not finite is NaN throughout: clamping would hide infinite ones.
    """
    return _nan_if_not_finite(batch.float()).clamp(0, 1)


def _nan_if_not_finite(batch: Tensor) -> Tensor:
    broken = ~torch.isfinite(batch).flatten(1).all(dim=1)
    return batch.masked_fill(broken[:, None, None, None], torch.nan) if broken.any() else batch

"""A plug-in method in one file: a small residual network.

python -m harness run --recipe smoke --plugin examples/residual_cnn.py --methods residual-cnn
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from harness.method import MethodSpec


@dataclass(frozen=True, kw_only=True)
class Options:
    width: int = 32


class ResidualCNN(torch.nn.Module):
    def __init__(self, options):
        super().__init__()
        self.inner = torch.nn.Conv2d(3, options.width, 3, padding=1)
        self.outer = torch.nn.Conv2d(options.width, 3, 3, padding=1)

    def restore(self, degraded, tasks=None):
        return degraded + self.outer(torch.relu(self.inner(degraded)))

    def losses(self, batch, rng):
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


SPEC = MethodSpec(
    name="residual-cnn",
    label="Residual CNN",
    summary="two convolutions",
    prompting="none",
    objective="L1",
    source="",
    build="residual_cnn:build",
    options=Options,
)


def build(context):
    return ResidualCNN(context.options)

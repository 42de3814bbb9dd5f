"""A method in an installed package; it has an insertion point for prompts: ``hosting+cpl``."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from harness.method import Decoded, MethodSpec


@dataclass(frozen=True, kw_only=True)
class Options:
    width: int = 16


@dataclass(frozen=True)
class Features:
    image: torch.Tensor
    map: torch.Tensor

    def detach(self):
        return replace(self, map=self.map.detach())

    def repeat(self, count):
        return Features(torch.cat([self.image] * count), torch.cat([self.map] * count))

    def maps(self):
        return [self.map]


class Hosting(torch.nn.Module):
    def __init__(self, options):
        super().__init__()
        self.encoder = torch.nn.Conv2d(3, options.width, 3, padding=1)
        self.decoder = torch.nn.Conv2d(options.width, 3, 3, padding=1)
        self.insertion_channels = {"middle": options.width}

    def encode(self, degraded, rng=None):
        return Features(degraded, torch.relu(self.encoder(degraded)))

    def decode_with(self, features, insert):
        inserted = insert("middle", features.map)
        return Decoded(features.image + self.decoder(inserted), {}, {})

    def restore(self, degraded, tasks=None):
        return self.decode_with(self.encode(degraded), lambda level, x: x).restored

    def losses(self, batch, rng):
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


SPEC = MethodSpec(
    name="hosting",
    label="Hosting",
    summary="one convolution in, one out, and prompts in between",
    prompting="none",
    objective="L1",
    source="",
    build="hosting:build",
    options=Options,
    insertion_points=("middle",),
)


def build(context):
    return Hosting(context.options)

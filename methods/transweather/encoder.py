"""TransWeather's encoder and the decoder with its weather queries.

Follows Valanarasu et al., CVPR 2022 (arXiv 2111.14813), repository
jeya-maria-jose/TransWeather, transweather_model.py, with its state-dict keys. Maps are
(N, H, W, C).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.transweather.spec import PATCH_HEADS, TransWeatherOptions
from methods.transweather.tokens import BlockSize, Drop, PatchEmbedding, TokenBlock, initialise

_REDUCTIONS = (4, 2, 2, 1)
_PATCH_REDUCTIONS = (4, 2, 2)
_DECODER_RATES = 16
"""The decoder's rates of left out residuals are the first of so many up to the largest."""


class Encoder(nn.Module):
    """Four stages; a branch of smaller patches joins each after the first.

    Args:
        options: widths, heads, depths.
    """

    def __init__(self, options: TransWeatherOptions) -> None:
        super().__init__()
        widths, depths = options.widths, options.depths
        rates = torch.linspace(0, options.drop_path, sum(depths), device="cpu").tolist()
        inputs = (3, *widths[:3])
        for stage in range(4):
            kernel = {"kernel_px": 7, "stride_px": 4} if stage == 0 else {}
            embedding = PatchEmbedding(inputs[stage], widths[stage], **kernel)
            self.add_module(f"patch_embed{stage + 1}", embedding)
        for stage in range(3):
            embedding = PatchEmbedding(widths[stage], widths[stage + 1])
            self.add_module(f"mini_patch_embed{stage + 1}", embedding)
        # Published, and never used: it neither computes nor is trained.
        unused = PatchEmbedding(widths[0], widths[3])
        self.mini_patch_embed4 = unused.requires_grad_(False)
        for stage in range(4):
            first = sum(depths[:stage])
            size = BlockSize(widths[stage], options.heads[stage], _REDUCTIONS[stage])
            blocks = [TokenBlock(size, rates[first + i]) for i in range(depths[stage])]
            self.add_module(f"block{stage + 1}", nn.ModuleList(blocks))
            self.add_module(f"norm{stage + 1}", nn.LayerNorm(widths[stage], eps=1e-6))
            if stage < 3:
                width = widths[stage + 1]
                size = BlockSize(width, PATCH_HEADS[stage], _PATCH_REDUCTIONS[stage])
                block = TokenBlock(size, rates[first])
                self.add_module(f"patch_block{stage + 1}", nn.ModuleList([block]))
                self.add_module(f"pnorm{stage + 1}", nn.LayerNorm(width, eps=1e-6))
        initialise(self)

    def forward(self, image: Tensor, drop: Drop) -> list[Tensor]:
        """Map (N, H, W, 3) in [-1, 1] to the outputs of the four stages."""
        stages: list[Tensor] = []
        smaller = None
        x = image
        for number in range(1, 5):
            x = self._part("patch_embed", number)(x)
            if smaller is not None:
                x = x + smaller
            if number < 4:
                smaller = self._part("mini_patch_embed", number)(x)
                smaller = self._stage("patch_block", "pnorm", number, smaller, drop)
            x = self._stage("block", "norm", number, x, drop)
            stages.append(x)
        return stages

    def _stage(self, blocks: str, norm: str, number: int, x: Tensor, drop: Drop) -> Tensor:
        for block in self._part(blocks, number).children():
            x = block(x, drop)
        return self._part(norm, number)(x)

    def _part(self, name: str, number: int) -> nn.Module:
        return self.get_submodule(f"{name}{number}")


class Decoder(nn.Module):
    """Blocks that attend from learned weather queries to the deepest stage, at half its size.

    Args:
        options: width of the deepest stage, depth, heads and queries.
    """

    def __init__(self, options: TransWeatherOptions) -> None:
        super().__init__()
        width = options.widths[3]
        rates = torch.linspace(0, options.drop_path, _DECODER_RATES, device="cpu").tolist()
        size = BlockSize(width, options.decoder_heads, mlp_ratio=4)
        self.patch_embed1 = PatchEmbedding(width, width)
        blocks = []
        for index in range(options.decoder_depth):
            rate = rates[min(index, _DECODER_RATES - 1)]
            blocks.append(TokenBlock(size, rate, options.queries))
        self.block1 = nn.ModuleList(blocks)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        initialise(self)

    def forward(self, deepest: Tensor, drop: Drop) -> Tensor:
        """Map (N, H, W, C) to (N, H / 2, W / 2, C)."""
        x = self.patch_embed1(deepest)
        for block in self.block1:
            x = block(x, drop)
        return self.norm1(x)

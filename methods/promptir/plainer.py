"""PromptIR with one change for speed taken back, to see what it gains: for benchmarks.

Each function changes the process that calls it, which then measures nothing else.
"""

from __future__ import annotations

from harness.method import BuildContext
from methods import blocks
from methods.attention import attend_plainly
from methods.promptir.network import PromptIR
from methods.promptir.network import build as build_ours


def with_plain_attention(context: BuildContext) -> PromptIR:
    """Build the network whose attention multiplies as the equations are written."""
    blocks.attend = attend_plainly  # type: ignore[assignment]
    return build_ours(context)


def with_exact_widths(context: BuildContext) -> PromptIR:
    """Build the network whose hidden widths are not extended to multiples of eight."""
    blocks.GatedFeedForward.width_multiple = 1
    return build_ours(context)

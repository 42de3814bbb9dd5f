"""The names of what takes turns, and the product that a turn is compared with."""

from __future__ import annotations

OURS = "ours"

KEEPING, PUBLISHED, PLAIN = "published, memory kept", "published", "plain"
"""Peers: the published blocks under our setting of the allocator and without it; plain code."""

PROMPTIR, WITHOUT, PLANAR = "promptir", "without it", "planar weights"
"""Ours as well: what CPL is added to, without a change for speed, in another layout."""

MATRIX = "matrix product"
BARE_PYTHON = "bare Python"
REFERENCES = (MATRIX, BARE_PYTHON)
"""Sides that tell how fast the machine was in each turn."""

MATRIX_PX = 2048
MATRIX_GFLOP = 2 * MATRIX_PX**3 / 1e9
"""The product that a turn is compared with, and its operations."""

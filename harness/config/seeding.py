"""Keyed randomness: a generator is a function of names and numbers, never of order.

Training draws are keyed by ``(seed, step, slot)`` and test degradations by
``(preprocessing, column, image, draw)``, so the order of a folder, the number of
loader workers and the size of a batch change nothing.
"""

from __future__ import annotations

import hashlib

import numpy as np

KeyPart = str | int


def generator(*parts: KeyPart) -> np.random.Generator:
    """Return a numpy generator that depends on ``parts`` alone.

    The parts are joined with their types, so ``("1",)`` and ``(1,)`` differ, hashed
    with BLAKE2b, and the 128-bit digest keys a Philox counter generator.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def integer_seed(*parts: KeyPart) -> int:
    """Return a 63-bit seed for libraries that take an integer (torch)."""
    return int(generator(*parts).integers(0, 2**63 - 1))

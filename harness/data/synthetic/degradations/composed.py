"""Degradations one after another, as in CDD-11 (OneRestore, Guo et al., ECCV 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from harness.config.degradation import AnyDegradation, Degradation, Version
from harness.data.images.arrays import Float


class Composed(Degradation):
    """Degradations in the order of ``parts``; values become 8-bit only at the end.

    Attributes:
        parts: the degradations, none of them composed itself.
    """

    version: ClassVar[int] = 1
    kind: Literal["composed"]
    parts: tuple[AnyDegradation, ...] = Field(min_length=1)

    @field_validator("parts")
    @classmethod
    def _are_single(cls, parts: tuple[Degradation, ...]) -> tuple[Degradation, ...]:
        if any(isinstance(part, Composed) for part in parts):
            raise ValueError("a part of a composed degradation cannot be composed itself")
        if any(part.kind == "given" for part in parts):
            raise ValueError("what comes with files cannot be a part of a composed degradation")
        return parts

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        degraded = clean
        for part in self.parts:
            degraded = part.apply(degraded, rngs)
        return degraded

    def versions(self) -> dict[str, Version]:
        """See :meth:`Degradation.versions`."""
        found: dict[str, Version] = {self.kind: self.version}
        for part in self.parts:
            found |= part.versions()
        return found

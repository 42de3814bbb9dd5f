"""The specs of the general baselines, in the order of the catalogue. Imports no torch."""

from __future__ import annotations

from harness.method import MethodSpec
from methods.baselines.mirnetv2 import spec as mirnetv2
from methods.baselines.mprnet import spec as mprnet
from methods.baselines.nafnet import spec as nafnet
from methods.baselines.spandrel_checkpoint import spec as spandrel_checkpoint
from methods.baselines.swinir import spec as swinir
from methods.baselines.uformer import spec as uformer

SPECS: tuple[MethodSpec, ...] = (
    *nafnet.SPECS,
    *swinir.SPECS,
    *uformer.SPECS,
    *mprnet.SPECS,
    *mirnetv2.SPECS,
    *spandrel_checkpoint.SPECS,
)

"""The specs of the general baselines, in the order of the catalogue. Imports no torch."""

from __future__ import annotations

from harness.method import MethodSpec
from methods.baselines.mirnetv2.spec import SPEC as MIRNETV2
from methods.baselines.mprnet.spec import SPEC as MPRNET
from methods.baselines.nafnet.spec import SPEC as NAFNET
from methods.baselines.spandrel_checkpoint.spec import SPEC as SPANDREL_CHECKPOINT
from methods.baselines.swinir.spec import SPEC as SWINIR
from methods.baselines.uformer.spec import SPEC as UFORMER

SPECS: tuple[MethodSpec, ...] = (NAFNET, SWINIR, UFORMER, MPRNET, MIRNETV2, SPANDREL_CHECKPOINT)

"""The published classes that the package spandrel holds (chaiNNer-org/spandrel).

Spandrel imports all of its networks at once, and one of them warns of ``torch.jit.script``, which
concerns none of ours. So everything of spandrel is imported here, with that warning off.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    from spandrel import (
        MAIN_REGISTRY,
        ArchRegistry,
        ImageModelDescriptor,
        canonicalize_state_dict,
    )
    from spandrel.architectures.NAFNet import NAFNet as PublishedNAFNet
    from spandrel.architectures.SwinIR import SwinIR as PublishedSwinIR
    from spandrel.architectures.Uformer import Uformer as PublishedUformer

__all__ = [
    "MAIN_REGISTRY",
    "ArchRegistry",
    "ImageModelDescriptor",
    "PublishedNAFNet",
    "PublishedSwinIR",
    "PublishedUformer",
    "canonicalize_state_dict",
]

"""The published classes that the optional package spandrel_extra_arches holds.

Importing this module without the package raises ``OptionError`` with the command to install it.
"""

from __future__ import annotations

import warnings

from methods.baselines.extra_package import require_extra

require_extra("the network")

with warnings.catch_warnings():
    # As in spandrel_classes: spandrel, which the package imports, warns of torch.jit.script.
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    from spandrel_extra_arches import EXTRA_REGISTRY
    from spandrel_extra_arches.architectures.MIRNet2 import MIRNet2 as PublishedMIRNet2
    from spandrel_extra_arches.architectures.MPRNet import MPRNet as PublishedMPRNet

__all__ = ["EXTRA_REGISTRY", "PublishedMIRNet2", "PublishedMPRNet"]

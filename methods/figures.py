"""Parameters and multiply-accumulates of the built-in networks at full size. Imports no torch.

Counted by harness/training/count.py for five tasks and one image of 256x256, to which a test
holds them.
"""

from __future__ import annotations

FIGURES: dict[str, tuple[int, float]] = {
    "restormer": (26_126_644, 148.4e9),
    "promptir": (35_592_263, 166.0e9),
    "explicit": (35_562_301, 166.7e9),
    "oracle": (35_373_592, 166.0e9),
    "spm": (35_383_262, 166.0e9),
    "cpr": (35_376_967, 166.0e9),
    "cpl": (35_383_262, 166.0e9),
    "adair": (28_784_824, 154.9e9),
    "drsformer": (33_655_424, 224.9e9),
    "moceir": (25_353_796, 92.8e9),
    "moceir-s": (11_477_752, 41.1e9),
    "airnet": (8_930_313, 293.7e9),
    "mioir-ep": (26_736_063, 141.7e9),
    "mioir-ap": (26_572_666, 149.7e9),
    "swinir": (11_504_163, 800.3e9),
    "nafnet": (17_111_907, 16.0e9),
    "uformer": (50_880_946, 86.6e9),
    "mprnet": (15_741_025, 572.9e9),
    "mirnetv2": (5_858_560, 139.6e9),
}

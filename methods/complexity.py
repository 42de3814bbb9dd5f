"""Parameters and multiply-accumulates of the built-in networks at full size. Imports no torch.

They are counted for five tasks and one image of 256x256. A test recounts them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Complexity:
    """Size of a network.

    Attributes:
        parameters: number of parameters.
        macs: multiply-accumulates for one image of 256x256.
    """

    parameters: int
    macs: float


COMPLEXITY: dict[str, Complexity] = {
    "restormer": Complexity(26_126_644, 148.4e9),
    "promptir": Complexity(35_592_263, 166.0e9),
    "explicit": Complexity(35_562_301, 166.7e9),
    "oracle": Complexity(35_373_592, 166.0e9),
    "spm": Complexity(35_376_967, 166.0e9),
    "cpr": Complexity(35_376_967, 166.0e9),
    "cpl": Complexity(35_376_967, 166.0e9),
    "spm-guided": Complexity(35_383_262, 166.0e9),
    "cpl-guided": Complexity(35_383_262, 166.0e9),
    "adair": Complexity(28_784_824, 154.9e9),
    "drsformer": Complexity(33_655_424, 224.9e9),
    "moceir": Complexity(25_353_796, 96.7e9),
    "moceir-s": Complexity(11_477_752, 43.7e9),
    "mirage": Complexity(9_678_983, 35.0e9),
    "mirage-tiny": Complexity(6_207_412, 21.3e9),
    "dfpir": Complexity(31_104_761, 158.8e9),
    "sipl": Complexity(40_028_562, 870.8e9),
    "airnet": Complexity(8_930_313, 293.7e9),
    "mioir-ep": Complexity(26_736_063, 148.8e9),
    "mioir-ap": Complexity(26_572_666, 149.7e9),
    "histoformer": Complexity(16_615_100, 113.3e9),
    "transweather": Complexity(38_052_078, 4.66e9),
    "onerestore": Complexity(5_980_396, 11.5e9),
    "onerestore-visual": Complexity(18_015_344, 13.4e9),
    "swinir": Complexity(11_504_163, 800.3e9),
    "nafnet": Complexity(17_111_907, 16.0e9),
    "uformer": Complexity(50_880_946, 86.6e9),
    "mprnet": Complexity(15_741_025, 572.9e9),
    "mirnetv2": Complexity(5_858_560, 139.6e9),
}
"""Complexity of each method, by its name."""

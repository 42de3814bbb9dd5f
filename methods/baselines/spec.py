"""Cards of the general baselines. Imports no torch."""

from __future__ import annotations

from typing import Any

from harness.method import MethodSpec
from methods.baselines.options import (
    EXTRA_PACKAGE,
    INSTALL_EXTRA,
    NAFNET_PLACES,
    LoadedOptions,
    MIRNetV2Options,
    MPRNetOptions,
    NAFNetOptions,
    SwinIROptions,
    UformerOptions,
    check_loaded,
    check_mirnetv2,
    check_mprnet,
    check_nafnet,
    check_swinir,
    check_uformer,
)


def _baseline(name: str, label: str, source: str, **details: Any) -> MethodSpec:
    return MethodSpec(
        name=name,
        label=label,
        prompting="none",
        source=source,
        **{"summary": f"{label}, through spandrel's classes", "objective": "L1", **details},
    )


_NONCOMMERCIAL: dict[str, Any] = {
    "needs_package": EXTRA_PACKAGE,
    "install": INSTALL_EXTRA,
    "licence": "Academic Public License (non-commercial)",
}

SPECS: tuple[MethodSpec, ...] = (
    _baseline(
        "nafnet",
        "NAFNet",
        "Chen et al., ECCV 2022; megvii-research/NAFNet",
        build="methods.baselines.build:nafnet",
        options=NAFNetOptions,
        check=check_nafnet,
        insertion_points=NAFNET_PLACES,
        relative_cost=0.35,
        sizes={
            "tiny": {"width": 8, "encoder_blocks": (1, 1, 1, 1), "output_gain": 0.1},
            "small": {"width": 16, "encoder_blocks": (1, 1, 1, 4), "output_gain": 0.1},
            "full": {},
        },
        licence="MIT",
    ),
    _baseline(
        "swinir",
        "SwinIR",
        "Liang et al., ICCVW 2021; JingyunLiang/SwinIR",
        build="methods.baselines.build:swinir",
        options=SwinIROptions,
        check=check_swinir,
        relative_cost=2.2,
        sizes={
            "tiny": {"dim": 16, "depths": (2, 2), "heads": 2, "window": 4, "output_gain": 0.1},
            "small": {
                "dim": 32,
                "depths": (2, 2, 2),
                "heads": 4,
                "drop_path": 0.0,
                "output_gain": 0.1,
            },
            "full": {},
        },
        licence="Apache-2.0",
    ),
    _baseline(
        "uformer",
        "Uformer",
        "Wang et al., CVPR 2022; ZhendongWang6/Uformer",
        build="methods.baselines.build:uformer",
        options=UformerOptions,
        check=check_uformer,
        relative_cost=1.35,
        sizes={
            "tiny": {"dim": 8, "depths": (1,) * 9, "window": 2, "output_gain": 0.1},
            # Windows of 4: those of 8 would pad the 64-pixel patches of small trainings to 128.
            "small": {
                "dim": 16,
                "depths": (1, 1, 2, 2, 2, 2, 2, 1, 1),
                "window": 4,
                "drop_path": 0.0,
                "output_gain": 0.1,
            },
            "full": {},
        },
        licence="MIT",
    ),
    _baseline(
        "mprnet",
        "MPRNet",
        "Zamir et al., CVPR 2021; swz30/MPRNet",
        objective="Charbonnier + edge, of three stages",
        build="methods.baselines.build:mprnet",
        options=MPRNetOptions,
        check=check_mprnet,
        relative_cost=1.9,
        sizes={
            "tiny": {
                "dim": 8,
                "unet_growth": 4,
                "final_growth": 4,
                "blocks": 1,
                "output_gain": 0.1,
            },
            "small": {
                "dim": 16,
                "unet_growth": 8,
                "final_growth": 8,
                "blocks": 2,
                "output_gain": 0.1,
            },
            "full": {},
        },
        **_NONCOMMERCIAL,
    ),
    _baseline(
        "mirnetv2",
        "MIRNetV2",
        "Zamir et al., TPAMI 2022; swz30/MIRNetv2",
        build="methods.baselines.build:mirnetv2",
        options=MIRNetV2Options,
        check=check_mirnetv2,
        relative_cost=1.4,
        sizes={
            "tiny": {"dim": 16, "blocks": 1, "output_gain": 0.1},
            "small": {"dim": 16, "blocks": 1, "output_gain": 0.1},
            "full": {},
        },
        **_NONCOMMERCIAL,
    ),
    _baseline(
        "spandrel",
        "Checkpoint",
        "chaiNNer-org/spandrel",
        summary="a checkpoint of any single-image architecture that spandrel knows",
        objective="none",
        build="methods.baselines.build:spandrel",
        options=LoadedOptions,
        check=check_loaded,
        trained=False,
        needs_file=True,
        relative_cost=0.0,
        licence="that of the checkpoint",
    ),
)

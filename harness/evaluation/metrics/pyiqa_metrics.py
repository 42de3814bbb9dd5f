"""Metrics of pyiqa by name; the library is imported only when one is asked for.

pyiqa is under a non-commercial licence (PolyForm / NTU S-Lab), takes seconds to import, and
converts to YIQ where others convert to YCbCr; the colour space is forced to BT.601 YCbCr in
limited range here wherever a metric takes one.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from harness.config.errors import HarnessError
from harness.evaluation.metrics.registry import Metric, unknown_metric
from harness.evaluation.metrics.ssim import Image


def named_metric(name: str, own: Iterable[str] = ()) -> Metric:
    """Return pyiqa's metric ``name`` as ``pyiqa:<name>``.

    Raises:
        UsageError: unknown name; the nearest of pyiqa's and of ``own`` are given.
        HarnessError: pyiqa is not installed, or the metric's weights cannot be had.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import pyiqa
    except ImportError as error:
        raise HarnessError(
            f"metric '{name}' comes from pyiqa, which cannot be imported ({error}); "
            "run pip install pyiqa"
        ) from error
    if name not in pyiqa.list_models():
        raise unknown_metric(name, [*own, *pyiqa.list_models()])
    model = _create(name)

    def measure(restored: Image, clean: Image) -> float:
        import torch

        def tensor(image: Image) -> torch.Tensor:
            return torch.from_numpy(
                np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
            )

        with torch.no_grad():
            if model.metric_mode == "FR":
                value = float(model(tensor(restored), tensor(clean)))
            else:
                value = float(model(tensor(restored)))
        if math.isnan(value):
            raise HarnessError(f"metric '{name}' gave no number; leave it out of --metrics")
        return value

    better = not model.lower_better
    return Metric(f"pyiqa:{name}", name.upper(), "", 4, better, measure, concurrent=False)


def _create(name: str) -> Any:
    import pyiqa

    def build(**options: str) -> Any:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return pyiqa.create_metric(name, device="cpu", **options)

    try:
        model = build()
    except Exception as error:  # pyiqa's downloads fail in many ways, one per host and library
        import torch

        first_line = str(error).strip().split("\n")[0]
        raise HarnessError(
            f"metric '{name}' needs weights that are neither on this machine nor to be downloaded "
            f"({type(error).__name__}: {first_line}); run it once on a machine with network and "
            f"copy its folders {torch.hub.get_dir()}/pyiqa and ~/.cache/huggingface, or leave it "
            "out of --metrics"
        ) from error
    return build(color_space="ycbcr") if _converts_colours(model.net) else model


def _converts_colours(network: Any) -> bool:
    """Tell whether a metric scores luma, by the attributes that pyiqa's networks keep."""
    if hasattr(network, "color_space"):
        return True
    # PSNR hands its options on unseen.
    accepted = inspect.signature(type(network).__init__).parameters
    return bool(getattr(network, "test_y_channel", False)) and "kwargs" in accepted

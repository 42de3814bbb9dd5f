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

from harness.errors import HarnessError
from harness.evaluation.metrics import Image, Metric, unknown_metric


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
    return Metric(f"pyiqa:{name}", name.upper(), "", 4, better, measure)


def _create(name: str) -> Any:
    import pyiqa

    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return pyiqa.create_metric(name, device="cpu", **_colour_space(name))
    except Exception as error:  # pyiqa's downloads fail in many ways, one per host and library
        import torch

        raise HarnessError(
            f"metric '{name}' needs weights that are neither on this machine nor to be downloaded "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); run it "
            "once on a machine with network and copy its folders "
            f"{torch.hub.get_dir()}/pyiqa and ~/.cache/huggingface, or leave it out of --metrics"
        ) from error


def _colour_space(name: str) -> dict[str, str]:
    """Return the options that force YCbCr, for metrics that convert colours."""
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    from pyiqa.utils.registry import ARCH_REGISTRY

    kind = DEFAULT_CONFIGS[name]["metric_opts"].get("type")
    architecture = ARCH_REGISTRY.get(kind) if kind else None
    if architecture is None:
        return {}
    accepted = inspect.signature(architecture.__init__).parameters
    return {"color_space": "ycbcr"} if "color_space" in accepted else {}

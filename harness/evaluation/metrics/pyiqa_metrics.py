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
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.config.errors import HarnessError
from harness.evaluation.metrics.arrays import Image
from harness.evaluation.metrics.definition import Metric, MetricFacts, MetricFunction
from harness.evaluation.metrics.pyiqa_models import SET_NAMES, id_part
from harness.evaluation.metrics.pyiqa_weights import (
    MissingFileError,
    check_weights,
    missing_sentence,
    refuse_unreadable,
    without_downloads,
)

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "pyiqa:"
"""What the ids of pyiqa's metrics begin with."""

_DECIMALS = {"fid": 2, "musiq": 2}
"""Digits after the point; four for all others."""


def pyiqa_facts(name: str, higher_is_better: bool) -> MetricFacts:
    """Return the facts of pyiqa's metric ``name``.

    Its id is ``pyiqa:<name>``, or says the convention as well where there are several.
    """
    return MetricFacts(
        id=f"{PREFIX}{id_part(name)}",
        label=name.upper(),
        unit="",
        decimals=_DECIMALS.get(name, 4),
        higher_is_better=higher_is_better,
        of_set=name in SET_NAMES,
    )


def pyiqa_metric(name: str) -> Metric:
    """Return pyiqa's metric ``name`` of images, loaded on the CPU.

    Raises:
        HarnessError: pyiqa is not installed or does not know the name, or the metric's weights
            are missing or damaged.
    """
    model = pyiqa_network(name)
    facts = pyiqa_facts(name, not model.lower_better)
    return Metric(**vars(facts), function=_function(model), concurrent=False)


def pyiqa_network(name: str) -> Any:
    """Return pyiqa's model of a metric, on the CPU; nothing is downloaded.

    Raises:
        HarnessError: pyiqa is not installed or does not know the name, or weights are missing or
            damaged; every such file is named, with the command that fetches it.
    """
    check_weights([name])
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import pyiqa
    except ImportError as error:
        raise HarnessError(
            f"metric '{name}' comes from pyiqa, which cannot be imported ({error}); "
            "install the harness again with pip install -e ."
        ) from error
    if name not in pyiqa.list_models():
        raise HarnessError(
            f"the installed pyiqa has no metric '{name}'; leave it out of --metrics or run "
            "pip install --upgrade pyiqa"
        )
    return _load(name)


def _function(model: Any) -> MetricFunction:
    def measure(restored: Image, clean: Image) -> float:
        import torch

        if not np.isfinite(restored).all():
            return math.nan  # pyiqa refuses some such images, and gives others a finite value
        with torch.no_grad():
            if model.metric_mode == "FR":
                value = float(model(_tensor(restored), _tensor(clean)))
            else:
                value = float(model(_tensor(restored)))
        return value

    return measure


def _tensor(image: Image) -> Tensor:
    """Return (H, W, 3) as (1, 3, H, W) float32."""
    import torch

    planes = image.transpose(2, 0, 1)[None]
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))


def _load(name: str) -> Any:
    try:
        with without_downloads():
            model = _create(name)
            return _create(name, color_space="ycbcr") if _converts_colours(model.net) else model
    except Exception as error:  # pyiqa reads files by many libraries, which fail in as many ways
        missing = _missing_file(error)
        if missing is not None:
            sentence = missing_sentence([name], [(missing.url, missing.path)])
            raise HarnessError(sentence) from error
        refuse_unreadable(name)
        import torch

        first_line = str(error).strip().split("\n")[0]
        raise HarnessError(
            f"metric '{name}' needs weights that are not on this machine, or damaged there "
            f"({type(error).__name__}: {first_line}); make the metric once on a machine with "
            f"network and copy its folders {torch.hub.get_dir()} and ~/.cache/huggingface, or "
            "leave it out of --metrics"
        ) from error


def _missing_file(error: BaseException | None) -> MissingFileError | None:
    """Return the file whose download was refused, however deep in the chain of an error."""
    while error is not None:
        if isinstance(error, MissingFileError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _create(name: str, **options: str) -> Any:
    import pyiqa

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return pyiqa.create_metric(name, device="cpu", **options)


def _converts_colours(network: Any) -> bool:
    """Return whether a metric scores luma, by the attributes that pyiqa's networks keep."""
    if hasattr(network, "color_space"):
        return True
    # PSNR passes its options on without storing them.
    accepted = inspect.signature(type(network).__init__).parameters
    return bool(getattr(network, "test_y_channel", False)) and "kwargs" in accepted

"""Runs for Weights & Biases: files on this disk unless ``WANDB_MODE`` says ``online``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.config.errors import HarnessError
from harness.execution.trackers.protocol import Matrix, TrackedRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "wandb"
MODE_VARIABLE = "WANDB_MODE"
_PROJECT = "restoration-harness"
_LIMIT_S = 60.0
"""A network that takes longer than that to begin or end a run is given up."""

_STEP = "training_step"


def open_tracker(run: TrackedRun) -> WeightsAndBiases:
    """Return the writer of a run, which goes on by its id.

    Raises:
        HarnessError: it is to be online, and there is no login; nobody is asked for one, since a
            training would wait for the answer.
    """
    return WeightsAndBiases(run)


class WeightsAndBiases:
    """Writes a run of wandb, without its output, its code and its measurements of the machine."""

    def __init__(self, run: TrackedRun) -> None:
        # Nothing that goes wrong here is sent to its makers.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        # Its log is a file, and a full disk would fill the terminal with complaints about it.
        logging.getLogger("wandb").setLevel(logging.CRITICAL)
        mode: Any = os.environ.get(MODE_VARIABLE, "offline")
        if mode == "online" and not wandb.api.api_key:
            raise HarnessError(f"{MODE_VARIABLE}=online needs a login; run wandb login first")
        run.folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            init_timeout=_LIMIT_S,
        )
        if hasattr(settings, "finish_timeout"):  # else a lost network would hold up the next run
            settings.finish_timeout = _LIMIT_S
        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run.id,
            name=run.name,
            dir=str(run.folder),
            config=dict(run.config),
            mode=mode,
            resume="allow" if mode == "online" else None,  # without a server the id is enough
            reinit="create_new",
            settings=settings,
        )
        self._run.define_metric("*", step_metric=_STEP)
        # wandb counts rows, and drops one whose number it has; later processes count on.
        self._rows = run.reports

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Log values by name."""
        self._log(dict(values), step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Log an image (H, W, 3)."""
        self._log({name: self._wandb.Image(pixels)}, step)

    def probe(self, name: str, matrix: Matrix, step: int) -> None:
        """Log a matrix as a table."""
        rows: list[list[Any]] = []
        for row, values in zip(matrix.rows, matrix.values, strict=True):
            rows.append([row, *values])
        columns = ["", *matrix.columns]
        self._log({name: self._wandb.Table(columns=columns, data=rows)}, step)

    def flush(self) -> None:
        """Do nothing: another process writes each row when it is logged."""

    def close(self) -> None:
        """End the run in this process."""
        self._run.finish()

    def _log(self, values: dict[str, Any], step: int) -> None:
        self._run.log({**values, _STEP: step}, step=self._rows, commit=True)
        self._rows += 1

"""MiOIR's prompt maps: uniform noise, one fixed map per task. Imports no torch.

Follows Xiangtaokong/MiOIR, data/type7.npy: the authors drew their maps once and ship the file.
Maps are not trained; they only have to differ between tasks.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from methods.task_arrays import read_task_array

MAP_PX = 128
"""Side of a map, whatever the size of the image."""


def draw_maps(tasks: tuple[str, ...]) -> NDArray[np.float32]:
    """Draw maps (tasks, 128, 128) from U(0, 1), keyed by the tasks' names alone.

    A task has the same map in all settings and trainings, whatever its position in ``tasks``.
    """
    return np.stack([_draw(task) for task in tasks])


def _draw(task: str) -> NDArray[np.float32]:
    digest = hashlib.sha256(f"mioir-ep prompt map of {task}".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
    return generator.random((MAP_PX, MAP_PX)).astype(np.float32)


def read_maps(path: Path, tasks: tuple[str, ...]) -> NDArray[np.float32]:
    """Read maps (tasks, 128, 128) from a .npy file of floats.

    Raises:
        OptionError: the file does not exist, is no such array, or has another shape.
    """
    return read_task_array("prompt_maps", path, tasks, (MAP_PX, MAP_PX))

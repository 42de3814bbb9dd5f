"""DFPIR's text features: one vector per task. Imports no torch.

The authors take them from CLIP ViT-B/32, of a sentence per degradation, not normalised. The two
linear layers that read them get no gradient, so all that a feature decides is which fixed, random
permutation of channels its task has. Without CLIP, features that are drawn at random serve the
same purpose; only weights that were trained with CLIP's need CLIP's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from methods.task_arrays import read_task_array

TEXT_CHANNELS = 512
"""Length of a text feature of CLIP ViT-B/32."""


def draw_features(tasks: tuple[str, ...]) -> NDArray[np.float32]:
    """Draw features (tasks, 512) of about length one, keyed by the tasks' names alone.

    A task has the same feature in all settings and trainings, whatever its position in ``tasks``.
    """
    return np.stack([_draw(task) for task in tasks])


def _draw(task: str) -> NDArray[np.float32]:
    digest = hashlib.sha256(f"dfpir text feature of {task}".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
    values = generator.standard_normal(TEXT_CHANNELS) / np.sqrt(TEXT_CHANNELS)
    return values.astype(np.float32)


def read_features(path: Path, tasks: tuple[str, ...]) -> NDArray[np.float32]:
    """Read features (tasks, 512) from a .npy file of floats.

    Raises:
        OptionError: the file does not exist, is no such array, or has another shape.
    """
    return read_task_array("text_features", path, tasks, (TEXT_CHANNELS,))

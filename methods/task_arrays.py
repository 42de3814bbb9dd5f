"""Arrays with one entry per task, read from a .npy file. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.method import OptionError


def read_task_array(
    option: str, path: Path, tasks: tuple[str, ...], entry: tuple[int, ...]
) -> NDArray[np.float32]:
    """Read an array (tasks, *entry) of floats.

    Args:
        option: the option that names the file, for messages.
        path: of the file.
        tasks: names of the tasks, in the array's order.
        entry: shape of what each task has.

    Raises:
        OptionError: the file does not exist, is no such array, or has another shape.
    """
    found = _load(option, path)
    expected = (len(tasks), *entry)
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        raise OptionError(f"{option}={path} does not hold an array of floats")
    if found.shape != expected:
        raise OptionError(
            f"{option}={path} holds an array of shape {found.shape}, and {len(tasks)} tasks need "
            f"{expected}"
        )
    if not np.isfinite(found).all():
        raise OptionError(f"{option}={path} holds values that are not finite")
    return found.astype(np.float32)


def _load(option: str, path: Path) -> Any:
    """Return the content of a file: an array, or for .npz a bundle of arrays."""
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        reason = error.strerror or "it is empty or truncated"
        raise OptionError(f"{option}={path} cannot be read: {reason}") from error
    except (ValueError, EOFError) as error:
        raise OptionError(f"{option}={path} is not a .npy file of numbers") from error

"""A request that means the same files in whatever folder it is read.

Paths in options of methods stay as they are written, also that of a checkpoint of ``spandrel``:
they are part of what a run is.
"""

from __future__ import annotations

from pathlib import Path

from harness.config.files import photograph_packages
from harness.config.folders import is_file_name
from harness.config.user_folders import expanded
from harness.planning.checkpoints import SPANDREL, is_weights
from harness.planning.request import (
    CheckpointRequest,
    CleanImagesRequest,
    DataRequest,
    EvaluationOverrides,
    RunRequest,
)


def with_absolute_paths(request: RunRequest) -> RunRequest:
    """Return ``request`` with the whole path of every file and folder that it names.

    Links stay as they are named: other machines may see the folder under that path alone.

    Raises:
        UsageError: a path begins with ``~``, and no such home is known.
    """
    return request.model_copy(
        update={
            "setting": _named(request.setting, "--setting"),
            "recipe": _named(request.recipe, "--recipe"),
            "data": _data(request.data),
            "evaluation": _evaluation(request.evaluation),
            "checkpoint": _checkpoint(request.checkpoint),
            "init_from": _initial(request.init_from),
            "include": tuple(_absolute(path, "--include") for path in request.include),
            "plugins": tuple(_absolute(path, "--plugin") for path in request.plugins),
            "out": _absolute(request.out, "--out"),
        }
    )


def _absolute(path: Path, flag: str) -> Path:
    return expanded(path, flag).absolute()


def _named(name: str, flag: str) -> str:
    """Return the path of a YAML file of one's own, or a name as it is."""
    return str(_absolute(Path(name), flag)) if is_file_name(name) else name


def _data(data: DataRequest) -> DataRequest:
    update: dict[str, object] = {"clean_images": _clean_images(data.clean_images)}
    if data.root is not None:
        update["root"] = _absolute(data.root, "--data-root")
    return data.model_copy(update=update)


def _clean_images(asked: CleanImagesRequest) -> CleanImagesRequest:
    update: dict[str, str] = {}
    for split, named in asked.by_split.items():
        if named not in photograph_packages():
            update[split] = str(_absolute(Path(named), f"--clean-images {split}"))
    return asked.model_copy(update=update)


def _evaluation(asked: EvaluationOverrides) -> EvaluationOverrides:
    update: dict[str, object] = {
        "protocol": tuple(_named(name, "--protocol") for name in asked.protocol)
    }
    if asked.test_set is not None:
        update["test_set"] = _named(asked.test_set, "--test-set")
    return asked.model_copy(update=update)


def _checkpoint(asked: CheckpointRequest | None) -> CheckpointRequest | None:
    if asked is None:
        return None
    required = {name: _absolute(path, "--required") for name, path in asked.required.items()}
    update: dict[str, object] = {"required": required}
    if asked.method != SPANDREL:
        update["file"] = _absolute(asked.file, "--checkpoint")
    return asked.model_copy(update=update)


def _initial(named: str | None) -> str | None:
    """Return the path of weights that trainings start from; the id of a run as it is."""
    if named is None or not is_weights(Path(named).expanduser()):
        return named
    return str(_absolute(Path(named), "--init-from"))

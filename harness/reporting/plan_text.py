"""A plan in sentences."""

from __future__ import annotations

from harness.config.run_specs import OnDiskTrainingData, SyntheticTrainingData
from harness.planning.plan import Plan


def training_sentence(plan: Plan) -> str:
    """Return what was trained on of the images on disk and what was not, and how by method.

    It is empty where training images are the embedded ones and the recipe holds for all methods.
    """
    return " ".join(filter(None, (_images_sentence(plan), _own_training_sentence(plan))))


def _own_training_sentence(plan: Plan) -> str:
    """Return which methods have training values of their own; empty if none has."""
    parts: list[str] = []
    for method, values in plan.request.training.items():
        changed = ", ".join(f"{name} {value}" for name, value in values.items())
        parts.append(f"{method}: {changed}")
    return f"Other than the recipe's: {'; '.join(parts)}." if parts else ""


def _images_sentence(plan: Plan) -> str:
    data = _training_data(plan)
    if isinstance(data, SyntheticTrainingData):
        return _folder_sentence(data)
    if data is None:
        return ""
    families_by_set: dict[str, list[str]] = {}
    for entry in data.files:
        name = entry.set if entry.group is None else f"{entry.set}/{entry.group}"
        families_by_set.setdefault(f"{name} ({entry.count} images)", []).append(entry.family)
    trained = []
    for name, families in families_by_set.items():
        trained.append(f"{', '.join(families)} on {name}")
    missing = []
    for family, names in plan.absent_families.items():
        missing.append(f"{family} ({', '.join(names) or 'no set'} not there)")
    sentence = f"Trained: {'; '.join(trained)}."
    return f"{sentence} Not trained: {'; '.join(missing)}." if missing else sentence


def incomplete_sentence(plan: Plan) -> str:
    """Return which columns have fewer images on disk than their data sets; empty if none has."""
    images = plan.test.images_by_column()
    parts: list[str] = []
    for column, whole in plan.source.expected_images(plan.test, plan.setting).items():
        parts.append(f"{column} has {len(images[column])} of {whole} images")
    if not parts:
        return ""
    return f"Incomplete: {'; '.join(parts)}; python -m harness data check says more."


def _folder_sentence(data: SyntheticTrainingData) -> str:
    folder = data.train_folder
    if folder is None:
        return ""
    return f"Trained: synthetic degradations of {folder.set} ({len(folder.images)} images)."


def _training_data(plan: Plan) -> SyntheticTrainingData | OnDiskTrainingData | None:
    for run in plan.runs:
        if run.train.data is not None:
            return run.train.data
    return None

"""Images to train and test on, and the weights of metrics."""

from __future__ import annotations

import functools
from collections.abc import Callable

from harness.api.data_sets import data_sets_of, photograph_size
from harness.api.diagnosis.finding import Finding
from harness.config.errors import HarnessError
from harness.config.files import load_data_set, photograph_catalogue, setting_names
from harness.data.on_disk.locate import (
    DataRoots,
    find_data_roots,
    find_set,
    how_to_name_a_root,
)
from harness.evaluation.metrics.pyiqa_weights import WEIGHTS, check_weights, hub_folder

_MOST_NAMES = 12


def photographs() -> list[Finding]:
    """Return whether the photographs of synthetic settings can be read."""
    problems: list[str] = []
    names = list(photograph_catalogue())
    for name in names:
        try:
            photograph_size(name)
        except HarnessError as error:
            problems.append(str(error))
    value = f"{len(names) - len(problems)} of {len(names)} can be read"
    if problems:
        return [Finding("data", "photographs", value, "absent", problems[0])]
    return [Finding("data", "photographs", value)]


def data_sets() -> list[Finding]:
    """Return which data sets of which settings are on this machine."""
    try:
        roots = find_data_roots()
    except HarnessError as error:
        return [Finding("data", "folder of data sets", str(error), "broken", "correct it")]
    if not roots:
        advice = how_to_name_a_root()
        return [Finding("data", "folder of data sets", "none is known", "absent", advice)]
    where = f"{roots.folder or 'folders of single sets'} (from {roots.origin})"
    found = [Finding("data", "folder of data sets", where)]
    look = functools.cache(functools.partial(_state_of_set, roots))
    for setting in setting_names():
        try:
            found.append(_of_setting(setting, look))
        except HarnessError as error:
            found.append(Finding("data", setting, str(error), "broken", "mend the file"))
    return found


def _state_of_set(roots: DataRoots, name: str) -> str:
    """Return "found", "absent", or why a data set cannot be read."""
    try:
        return "absent" if find_set(load_data_set(name), roots) is None else "found"
    except HarnessError as error:
        return str(error)


def _of_setting(setting: str, look: Callable[[str], str]) -> Finding:
    there: list[str] = []
    absent: list[str] = []
    for name in data_sets_of(setting):
        state = look(name)
        if state not in ("found", "absent"):
            return Finding("data", setting, state, "broken", "mend the folder")
        (there if state == "found" else absent).append(name)
    value = f"{len(there)} of {len(there) + len(absent)} sets: {_listed(there) or 'none'}"
    if not absent:
        return Finding("data", setting, value)
    advice = f"python -m harness data show {absent[0]} says what its folder looks like"
    return Finding("data", setting, f"{value}; absent {_listed(absent)}", "absent", advice)


def metric_weights() -> list[Finding]:
    """Return for the metrics that are asked for most whether their weights can be read."""
    found = [Finding("metrics", "weights are looked for in", str(hub_folder()))]
    for name in WEIGHTS:
        try:
            check_weights([name])
        except HarnessError as error:
            found.append(Finding("metrics", name, "no weights", "absent", str(error)))
        else:
            found.append(Finding("metrics", name, "weights are there"))
    return found


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown

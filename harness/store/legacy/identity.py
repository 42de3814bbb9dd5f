"""The identity that a run had in version 0.1.

Version 0.1 hashed the same facts under other names. Results of that time are found by writing the
present specs under those names and hashing the text as version 0.1 did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from harness.config.run_specs import ScoreSpec, TrainSpec
from harness.store.legacy.names import former_spec

OPTION_NAMES = {
    "load_balancing": "balance",
    "load_balancing_weight": "balance_weight",
    "expert_load_balancing_weight": "expert_balance_weight",
    "teacher_weight": "privileged_weight",
    "teacher_choice": "privileged_choice",
    "router_pooling": "router_input",
}
"""Options of methods by their present name, with the name of version 0.1."""

OPTION_VALUES = {("routing_gradient", "selected"): "kept"}
"""Values of options by (present name, present value), with the value of version 0.1."""

_SHARES = {
    "cpr_start": "cpr_start_step",
    "cpr_warmup": "cpr_warmup_steps",
    "router_temperature_decay": "router_temperature_steps",
}
"""Options that are shares of a training, with the name under which version 0.1 counted steps."""

_STEPS_OF_DEFAULTS = 600
"""Steps of the training for which the defaults of version 0.1 were counted: the recipe mini's."""

_SPEC_NAMES = {"optimisation": "train", "checkpoint_sha256": "source_sha256"}
_STAGE_NAMES = {"decay_steps": "horizon_steps"}
_DATA_NAMES = {
    "dead_leaves": "leaves",
    "dead_leaves_share": "leaves_share",
    "preprocessing": "preparation",
}
_LATER_FIELDS = ("plugin_sha256", "initial_sha256")
"""Fields that version 0.1 did not have. Its runs are those in which they are None."""

_LAYOUT_NAMES = {"two-folders": "twin-folders"}

OOD_SET_NAMES = {"ood-noise": "unseen-noise"}
"""Out-of-distribution test sets by their present name, with the name of version 0.1."""

_ID_DIGITS = 16


def legacy_weights_id(spec: TrainSpec, requires: Mapping[str, str]) -> str:
    """Return the id that the weights of ``spec`` had in version 0.1.

    ``requires`` maps the name of each method that it builds on to the id of version 0.1.
    """
    spec = former_spec(spec) or spec
    content = _renamed(spec.model_dump(mode="json"), _SPEC_NAMES)
    steps = _STEPS_OF_DEFAULTS if spec.optimisation is None else spec.optimisation.steps
    content["options"] = legacy_options(content["options"], steps)
    content["stages"] = [_renamed(stage, _STAGE_NAMES) for stage in content["stages"]]
    if content["train"] is not None:
        content["train"] = _renamed(content["train"], _STAGE_NAMES)
    if content["data"] is not None:
        content["data"] = _legacy_images(content["data"])
    content["requires"] = dict(requires)
    for name in _LATER_FIELDS:
        if content.get(name) is None:
            content.pop(name, None)
    return _hash(content)


def legacy_score_id(score: ScoreSpec, legacy_weights_id: str) -> str:
    """Return the id that ``score`` had in version 0.1, for weights of that id."""
    content = score.model_dump(mode="json")
    content["weights"] = legacy_weights_id
    content["test"] = _legacy_images(content["test"])
    setting, plus, test_set = content["test"]["setting"].partition("+")
    content["test"]["setting"] = setting + plus + OOD_SET_NAMES.get(test_set, test_set)
    return _hash(content)


def legacy_options(options: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Return a method's options under their names of version 0.1; unknown ones stay.

    Shares of a training become numbers of its ``steps``.
    """
    found = {}
    for name, value in options.items():
        old_value = value
        if name in _SHARES:
            found[_SHARES[name]] = round(value * steps)
            continue
        if isinstance(value, str):
            old_value = OPTION_VALUES.get((name, value), value)
        found[OPTION_NAMES.get(name, name)] = old_value
    return found


def _legacy_images(content: dict[str, Any]) -> dict[str, Any]:
    """Return training data or a test set as version 0.1 wrote them."""
    found = _renamed(content, _DATA_NAMES)
    # One number stood for all kinds. A kind that has changed since has another version than any
    # of that time, and its results are not found.
    versions = found.pop("degradation_versions")
    numbers = [version for version in versions.values() if isinstance(version, int)]
    found["generator_version"] = max(numbers, default=1)
    for entry in found.get("files", []):
        entry["layout"] = _LAYOUT_NAMES.get(entry["layout"], entry["layout"])
    return found


def _renamed(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name, value in content.items():
        found[names.get(name, name)] = value
    return found


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]

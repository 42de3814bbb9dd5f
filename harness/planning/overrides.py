"""A setting as it is scored: its own rules, or what a request changes in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.config.errors import UsageError
from harness.config.files import load_ood_set, load_protocols
from harness.config.preprocessing import Preprocessing, streamed_id
from harness.config.protocols import Protocol
from harness.config.settings import Setting
from harness.planning.request import EvaluationOverrides

_TILE_PX = 1024


@dataclass(frozen=True)
class ScoredSetting:
    """A setting after a request's overrides.

    Attributes:
        rules: the setting's tasks and columns under the preprocessing and protocol in force.
        tested: the same with the columns that are scored, which an out-of-distribution test set
            replaces.
    """

    rules: Setting
    tested: Setting


def override(
    setting: Setting, changes: EvaluationOverrides, on_disk: bool
) -> tuple[ScoredSetting, ...]:
    """Apply ``changes`` to ``setting``, once for each protocol that is named.

    Another preprocessing, or a protocol that cuts otherwise, gets an id of its own.

    Raises:
        UsageError: an unknown protocol or test set, or a change that the images do not allow.
    """
    preprocessing = _preprocessing(setting, changes, on_disk)
    protocols = [setting.protocol]
    if changes.protocol:
        protocols = [named.protocol for named in load_protocols(changes.protocol)]
    scored = []
    for protocol in protocols:
        ruled = _in_tiles(_cut_alike(protocol, changes), changes)
        update = {"preprocessing": preprocessing, "protocol": ruled}
        rules = setting.model_copy(update=update)
        scored.append(ScoredSetting(rules, _tested(rules, changes.test_set, on_disk)))
    return tuple(scored)


def _cut_alike(protocol: Protocol, changes: EvaluationOverrides) -> Protocol:
    """Return a protocol that cuts no more than ``--crop-multiple`` says."""
    multiple = changes.crop_multiple
    if multiple is None or multiple % protocol.crop_multiple == 0:
        return protocol
    identifier = f"{protocol.id}-cropped-to-{multiple}"
    return protocol.model_copy(update={"crop_multiple": multiple, "id": identifier})


def _in_tiles(protocol: Protocol, changes: EvaluationOverrides) -> Protocol:
    """Return a protocol under which large images are restored in tiles, if that is asked for."""
    if not changes.tile_large_images or protocol.tile_px is not None:
        return protocol
    identifier = f"{protocol.id}-tiles-{_TILE_PX}"
    return protocol.model_copy(update={"tile_px": _TILE_PX, "id": identifier})


def _preprocessing(setting: Setting, changes: EvaluationOverrides, on_disk: bool) -> Preprocessing:
    own = setting.preprocessing
    if changes.noise_stream == "published":
        _check_published_stream(changes, on_disk)
    update: dict[str, Any] = {}
    identifier = own.id
    if changes.noise_rounding not in (None, own.noise_rounding):
        update["noise_rounding"] = changes.noise_rounding
        identifier = f"{identifier}-noise-{changes.noise_rounding}"
    if changes.crop_multiple not in (None, own.crop_multiple):
        update["crop_multiple"] = changes.crop_multiple
        identifier = f"{identifier}-cropped-to-{changes.crop_multiple}"
    if changes.noise_stream != own.noise_stream:
        update["noise_stream"] = changes.noise_stream
        identifier = streamed_id(identifier, changes.noise_stream)
    return own.model_copy(update={**update, "id": identifier})


def _check_published_stream(changes: EvaluationOverrides, on_disk: bool) -> None:
    if not on_disk:
        raise UsageError("--noise-stream published is about images on disk; add --data-root")
    if changes.noise_rounding not in (None, "truncate"):
        raise UsageError(
            f"--noise-stream published truncates, and --noise-rounding "
            f"{changes.noise_rounding} does not; leave one of them out"
        )


def _tested(setting: Setting, test_set: str | None, on_disk: bool) -> Setting:
    """Return ``setting`` with the columns of an out-of-distribution test set, if one is named."""
    if test_set is None:
        return setting
    other = load_ood_set(test_set)
    if not on_disk and not other.synthetic:
        raise UsageError(f"--test-set {other.name} is about images of its own; add --data-root")
    update = {
        "name": f"{setting.name}+{other.name}",
        "title": other.title,
        "tasks": other.tasks,
        "columns": other.columns,
        "test_sources": other.test_sources,
    }
    return setting.model_copy(update=update)

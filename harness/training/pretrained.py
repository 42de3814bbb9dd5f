"""Pretrained checkpoints: which of a file's tensors are read, and how they enter a network.

One rule holds for every reader of files (:mod:`harness.training.weight_entries`). What was read,
what else the file holds and what was ignored is stated (:meth:`Pretrained.describe`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.config.errors import HarnessError, UsageError
from harness.config.hashing import file_sha256
from harness.method import AdaptsState, Method, WeightsFile
from harness.training.state_names import differences, without_prefixes
from harness.training.weight_entries import find_weights, other_weights
from harness.training.weight_files import read_weight_file, require_file
from harness.training.weight_values import not_finite, storage_problems, value_problems

COUNTERS = ("total_ops", "total_params", "n_averaged")
"""Last parts of names under which tools leave counts in a network: thop, torch's AveragedModel."""

_MOST_NAMES = 8


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint as it was read.

    Attributes:
        path: its file.
        sha256: hash of the file's bytes.
        entry: name of the dictionary in the file that holds the weights; empty if the file holds
            nothing else.
        state: the weights, under the file's own names.
        metadata: text that a safetensors file carries.
        others: names of other dictionaries of weights in addition to ``entry``.
        ignored: names of what the entry holds and what was not read.
    """

    path: Path
    sha256: str
    entry: str
    state: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    others: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return in words what was read from which entry, and what was not."""
        parts = [f"read {len(self.state)} tensors from {self.path}"]
        if self.entry:
            parts[0] += f", entry '{self.entry}'"
        if self.others:
            others = ", ".join(f"'{name}'" for name in self.others)
            parts[0] += f" (it also holds {others}; --entry chooses)"
        if self.ignored:
            parts.append(f"ignored {len(self.ignored)}: {_grouped(self.ignored)}")
        return "; ".join(parts)

    def provenance(self) -> dict[str, Any]:
        """Return the same for a run's provenance, as JSON values."""
        return {
            "source": self.path.name,
            "checkpoint_sha256": self.sha256,
            "entry": self.entry,
            "other_entries": list(self.others),
            "ignored": list(self.ignored),
        }


def read_pretrained(file: WeightsFile) -> Pretrained:
    """Read a checkpoint: safetensors, or what ``torch.save`` wrote.

    Raises:
        UsageError: the file has no such entry, or no names with the prefix or to ignore.
        HarnessError: the file is missing, truncated or damaged, holds no weights or tensors
            without plain values, or would have to be unpickled.
    """
    path = file.path
    require_file(path)
    sha256 = file_sha256(path)
    content, metadata = read_weight_file(path)
    if not isinstance(content, Mapping):
        raise HarnessError(
            f"checkpoint {path} holds no dictionary of weights; save a state dict instead"
        )
    entry, found = find_weights(path, content, file.entry)
    state, ignored = _selected(file, found)
    problems = storage_problems(state)
    if problems:
        raise HarnessError(
            f"checkpoint {path} holds tensors without plain values: {'; '.join(problems)}; save "
            "them as dense tensors of floats, or leave them out with --ignore"
        )
    others = other_weights(content, entry, found)
    return Pretrained(path, sha256, entry, state, metadata, others, ignored)


def read_weights(
    file: WeightsFile, on_read: Callable[[Pretrained], None] | None = None
) -> Mapping[str, Tensor]:
    """Read finite weights for a network that is not known before they are read.

    Args:
        file: the checkpoint.
        on_read: receives what was read.

    Raises:
        HarnessError: as :func:`read_pretrained`, or values are not finite.
    """
    pretrained = read_pretrained(file)
    _refuse_values(pretrained.path, not_finite(pretrained.state))
    if on_read is not None:
        on_read(pretrained)
    return pretrained.state


def load_pretrained(module: Method, pretrained: Pretrained, method: str) -> None:
    """Load the weights into ``module``, whose names and shapes they must have, all of them.

    Prefixes that frameworks add are dropped, and differences that the method understands
    (:class:`~harness.method.AdaptsState`) are removed first.

    Args:
        module: the network.
        pretrained: the checkpoint.
        method: name of the method, for messages.

    Raises:
        HarnessError: names, shapes or kinds of numbers differ, or values are not finite; the first
            few are listed, with the nearest name.
    """
    own = module.state_dict()
    state: Mapping[str, Tensor] = without_prefixes(pretrained.state, own)
    if isinstance(module, AdaptsState):
        state = module.adapt_state(state)
    problems = differences(state, own)
    if problems:
        raise HarnessError(
            f"checkpoint {pretrained.path} does not fit {method}: {'; '.join(problems)}; choose "
            "the method or its options to match, or --prefix and --ignore to leave out what is "
            "not the network's"
        )
    _refuse_values(pretrained.path, value_problems(state, own))
    module.load_state_dict(dict(state))


def _refuse_values(path: Path, problems: Sequence[str]) -> None:
    if problems:
        raise HarnessError(
            f"checkpoint {path} holds values that no network can have: {'; '.join(problems)}; take "
            "a checkpoint from before they arose, or fetch the file again"
        )


def _selected(
    file: WeightsFile, found: Mapping[Any, Any]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors that are the network's, and the names of everything else."""
    patterns, ignored = _ignored_names(file, found)
    prefix = None if file.prefix is None else f"{file.prefix.rstrip('.')}."
    state: dict[str, Tensor] = {}
    for key, value in found.items():
        name = str(key)
        counts = name.rpartition(".")[2] in COUNTERS
        outside = prefix is not None and not name.startswith(prefix)
        if name in patterns:
            continue
        if not isinstance(value, Tensor) or counts or outside:
            ignored.append(name)
            continue
        state[name.removeprefix(prefix or "")] = value
    if not state:
        starts = list(dict.fromkeys(f"{str(key).partition('.')[0]}." for key in found))
        raise UsageError(
            f"--prefix and --ignore leave nothing of checkpoint {file.path}; its names begin with "
            f"{', '.join(starts[:_MOST_NAMES])}"
        )
    return state, tuple(ignored)


def _ignored_names(file: WeightsFile, found: Mapping[Any, Any]) -> tuple[frozenset[str], list[str]]:
    """Return the names that ``ignore`` matches, for looking up and in their order."""
    ignored: dict[str, None] = {}
    for pattern in file.ignore:
        matched = [str(key) for key in found if _matches(str(key), pattern)]
        if not matched:
            raise UsageError(
                f"--ignore {pattern} matches no name in checkpoint {file.path}; names are such as "
                f"{next(iter(found))}"
            )
        ignored |= dict.fromkeys(matched)
    return frozenset(ignored), list(ignored)


def _matches(name: str, pattern: str) -> bool:
    whole_part = f"{pattern.rstrip('.')}."
    return name.startswith(whole_part) or fnmatch.fnmatchcase(name, pattern)


def _grouped(names: Sequence[str]) -> str:
    """Return all names, or where they are many how many begin with which word."""
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    counts: dict[str, int] = {}
    for name in names:
        first, dot, _ = name.partition(".")
        group = f"{first}.*" if dot else first
        counts[group] = counts.get(group, 0) + 1
    return ", ".join(
        f"{group} ({count})" if count > 1 else group for group, count in counts.items()
    )

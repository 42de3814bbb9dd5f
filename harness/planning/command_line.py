"""The command line that asks for what a request asks for, for sentences that say what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.config.quoting import split_outside_quotes
from harness.planning.request import DataRequest, RunRequest

_LISTED = ("metrics", "columns")
"""Fields whose values are listed with commas."""

_REPEATED = {"include": "--include", "plugins": "--plugin"}
_PLAIN = ("setting", "recipe", "init_from", "limit", "out")


def command_line(subcommand: str, request: RunRequest, more: Sequence[str] = ()) -> str:
    """Return a command that a shell takes as it is, with the flags that are not the defaults.

    Left out are names of files, digits, extra columns of tables and what is kept; and what only a
    ``--config`` file can say, a checkpoint and training values of single methods.

    Args:
        subcommand: as ``run`` or ``figure``.
        request: whose runs the command is about.
        more: further arguments, which come first.
    """
    flags = ["--methods", ",".join(map(_method_text, request.methods))]
    given = request.model_dump(exclude_defaults=True)
    if "seeds" in given:
        flags += ["--seeds", ",".join(map(str, request.seeds))]
    for name in _PLAIN:
        if name in given:
            flags += [f"--{name.replace('_', '-')}", str(given[name])]
    for name in _LISTED:
        if name in given:
            flags += [f"--{name}", ",".join(given[name])]
    for name, flag in _REPEATED.items():
        for value in given.get(name, ()):
            flags += [flag, str(value)]
    flags += _data_flags(request.data)
    flags += _evaluation_flags(given.get("evaluation", {}))
    flags += _pairs("--label", request.labels)
    return shlex.join(["python", "-m", "harness", subcommand, *more, *flags])


def _method_text(method: str) -> str:
    """Return a method as ``--methods`` reads it: ``;`` for a comma outside quotes."""
    return ";".join(split_outside_quotes(method, re.compile(",")))


def _data_flags(data: DataRequest) -> list[str]:
    flags = [] if data.root is None else ["--data-root", str(data.root)]
    if data.on_disk:
        flags.append("--on-disk")
    flags += _pairs("--train-set", data.train_sets)
    flags += _pairs("--clean-images", data.clean_images.by_split)
    return flags


def _evaluation_flags(evaluation: Mapping[str, Any]) -> Iterator[str]:
    for name, value in evaluation.items():
        yield f"--{name.replace('_', '-')}"
        if isinstance(value, tuple):
            yield ",".join(value)
        elif value is not True:
            yield str(value)


def _pairs(flag: str, values: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        yield from (flag, f"{name}={value}")

"""From a run to its network: initial weights keyed by the seed, or the weights it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import torch

from harness.config.errors import (
    HarnessError,
    RunError,
    is_out_of_memory,
    out_of_memory,
    reason_of,
)
from harness.config.run_specs import TrainSpec
from harness.config.seeding import integer_seed
from harness.method import BuildContext, Method, MethodSpec, OptionError
from harness.planning.run import Run
from harness.registry import instantiate, parse_options
from harness.training.checkpoint import fit_weights, load_weights
from harness.training.pretrained import Pretrained, read_weights

OnRead = Callable[[Pretrained], None]
"""Hears of each file that a network reads its weights from."""


def ignore_files(pretrained: Pretrained) -> None:
    """Do nothing about a file that was read."""


def build(
    spec: MethodSpec, train: TrainSpec, required: Mapping[str, Any], on_read: OnRead = ignore_files
) -> Method:
    """Build the network of a method with initial weights that depend on the seed alone.

    Raises:
        RunError: something that the options ask for is not on this machine, there is no memory
            for the network, or it cannot be built with these options.
    """
    context = BuildContext(
        options=parse_options(spec, train.options),
        tasks=train.tasks,
        required=required,
        read_weights=partial(read_weights, on_read=on_read),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed("initial-weights", train.seed))
        try:
            network = instantiate(spec, context)
        except OptionError as error:
            raise RunError(f"{spec.name}: {error}") from error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(f"{spec.name} cannot be built: {out_of_memory(error)}") from error
        except SystemExit as error:
            raise RunError(f"{spec.name} cannot be built: {reason_of(error)}") from error
    return cast(Method, network)


def initial_network(run: Run, on_read: OnRead = ignore_files) -> Method:
    """Build the run's network; networks that it builds on have the weights of their own runs.

    Raises:
        HarnessError: a run that this one needs was not trained.
    """
    required = {}
    for needed in run.requires:
        if not needed.folder.weights.exists():
            raise HarnessError(f"{run.label} needs {needed.label}, which was not trained")
        required[needed.train.method] = trained_network(needed).eval()
    return build(run.method.spec, run.train, required, on_read)


def trained_network(run: Run, on_read: OnRead = ignore_files) -> Method:
    """Return the run's network with the weights in its folder.

    ``on_read`` receives a line on each file that an option names.
    """
    network = initial_network(run, on_read)
    if run.method.spec.trained:
        weights = load_weights(run.folder.weights, run.weights_id, run.method.id)
        fit_weights(network, run.folder.weights, weights)
    return network


def parameter_count(network: Method) -> int:
    """Return the number of parameters of a network that its weights hold.

    Parts that serve a training alone do not count.
    """
    held = {value.data_ptr() for value in network.state_dict().values()}
    return sum(value.numel() for value in network.parameters() if value.data_ptr() in held)

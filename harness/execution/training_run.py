"""The training of one run, or the import of a checkpoint in its place."""

from __future__ import annotations

from typing import Any

import torch

from harness.config.errors import HarnessError
from harness.evaluation.validation import Validation
from harness.execution.networks import initial_network, parameter_count, trained_network
from harness.execution.process import Worker
from harness.execution.progress import Progress
from harness.execution.provenance import provenance
from harness.execution.steering import Steering
from harness.execution.tracking import Tracking
from harness.method import Method, OptionError, PreparesTraining, WeightsFile
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.files import write_json
from harness.training.checkpoint import save_weights
from harness.training.job import Job, Machine
from harness.training.loop import train
from harness.training.pretrained import Pretrained, load_pretrained, read_pretrained


def train_run(
    run: Run,
    plan: Plan,
    worker: Worker,
    steering: Steering,
    progress: Progress,
    tracking: Tracking,
) -> None:
    """Train the run's network to the end and write its weights and provenance.

    Raises:
        HarnessError: what the losses need is not there.
        RunError: the loss is not finite.
        Interrupted: it is to stop; a checkpoint is written.
        RunIsHeld: another process has taken the run over.
    """
    spec = run.method.spec
    versions = spec.needs_versions is not None and spec.needs_versions(run.train.options)
    stream = plan.source.stream(run.train, spec.views, versions)
    pairs = plan.source.validation(run.train)
    network = initial_network(run)
    _prepare(network, run)
    start: dict[str, Any] = {}
    if run.initial is not None:
        pretrained = read_pretrained(WeightsFile(run.initial))
        _check_unchanged(pretrained, run.train.initial_sha256)
        load_pretrained(network, pretrained, run.method.id)
        progress.log(f"starts from weights: {pretrained.describe()}")
        start["initial_weights"] = pretrained.provenance()
    job = Job(
        spec=run.train,
        stream=stream,
        validation=Validation(pairs, run.train.tasks, spec.needs_task_labels, worker.ranks),
        folder=run.folder,
        runtime=plan.recipe.runtime,
        machine=Machine(worker.device, worker.threads, worker.loader_workers, worker.ranks),
        made_with=lambda: {
            "parameters": parameter_count(network),
            **start,
            **provenance(worker),
        },
        on_validated=tracking.validated,
        check=steering.check,
    )
    train(network, job, progress, steering.stop)


def _prepare(network: Method, run: Run) -> None:
    """Let a network read what its losses need, before anything is computed."""
    if not isinstance(network, PreparesTraining):
        return
    try:
        network.prepare_training()
    except OptionError as error:
        raise HarnessError(f"{run.method.id} cannot be trained: {error}") from error


def record_weights(run: Run, plan: Plan, worker: Worker, progress: Progress) -> None:
    """Write the provenance of weights that were trained here and lack it.

    Validation is computed again; what only the training itself knew, such as its time, is left out.

    Raises:
        HarnessError: the weights are damaged.
    """
    assert run.train.optimisation is not None
    device = torch.device(worker.device)
    network = trained_network(run).to(device)
    pairs = plan.source.validation(run.train)
    validation = Validation(pairs, run.train.tasks, run.method.spec.needs_task_labels)
    outcome = validation.score(network, device)
    content = {
        "validation_per_task": dict(outcome.per_task),
        "steps": run.train.optimisation.steps,
        "parameters": parameter_count(network),
    }
    write_json(run.folder.provenance, {**content, **provenance(worker)})
    progress.log("its weights were there without provenance, which is written again")


def import_checkpoint(run: Run, checkpoint: WeightsFile, progress: Progress) -> None:
    """Read pretrained weights into the run's folder, if they fit its network.

    A network that is made by its checkpoint alone has provenance and no weights of its own.

    Raises:
        HarnessError: the file is damaged or has changed since the plan was made, or its names or
            shapes are not the network's.
    """
    trained = run.method.spec.trained
    read: list[Pretrained] = []
    network = initial_network(run, read.append)
    # A network that is made by its checkpoint has read it by now.
    pretrained = read_pretrained(checkpoint) if trained or not read else read[-1]
    _check_unchanged(pretrained, run.train.checkpoint_sha256)
    if trained:
        load_pretrained(network, pretrained, run.method.id)
        progress.log(pretrained.describe())
    # The provenance comes before the weights: a run that has weights is finished.
    content = {
        "label": run.method.label,
        **pretrained.provenance(),
        "parameters": parameter_count(network),
    }
    write_json(run.folder.provenance, content)
    if trained:
        save_weights(run.folder.weights, network.state_dict(), run.train)


def _check_unchanged(pretrained: Pretrained, planned_sha256: str | None) -> None:
    if planned_sha256 is not None and pretrained.sha256 != planned_sha256:
        raise HarnessError(
            f"checkpoint {pretrained.path} has changed since this run was planned; run the same "
            "command again"
        )

"""The training of one run, or the import of a checkpoint in its place."""

from __future__ import annotations

from collections.abc import Callable

from harness.evaluation.validation import Validation
from harness.execution.networks import initial_network, parameter_count
from harness.execution.process import Worker
from harness.execution.progress import Progress
from harness.execution.provenance import provenance
from harness.planning.plan import Plan
from harness.planning.run import Checkpoint, Run
from harness.store.files import write_json
from harness.training.checkpoint import save_weights
from harness.training.loop import Job, Machine, train
from harness.training.pretrained import load_pretrained, read_pretrained


def train_run(
    run: Run, plan: Plan, worker: Worker, stop: Callable[[], bool], progress: Progress
) -> None:
    """Train the run's network to the end and write its weights and provenance.

    Raises:
        RunError: the loss is not finite.
        Interrupted: ``stop`` answered yes; a checkpoint is written.
    """
    spec = run.method.spec
    stream = plan.source.stream(run.train, spec.views)
    pairs = plan.source.validation(run.train)
    network = initial_network(run)
    if run.initial is not None:
        pretrained = read_pretrained(run.initial, None)
        load_pretrained(network, pretrained, run.method.id)
        progress.log(f"starts from {len(pretrained.state)} tensors of {run.initial}")
    job = Job(
        spec=run.train,
        stream=stream,
        validation=Validation(pairs, run.train.tasks, spec.needs_task_labels),
        folder=run.folder,
        runtime=plan.recipe.runtime,
        machine=Machine(worker.device, worker.threads, worker.loader_workers),
    )
    record = train(network, job, progress, stop)
    count = {"parameters": parameter_count(network)}
    write_json(run.folder.provenance, {**record, **count, **provenance(worker)})


def import_checkpoint(run: Run, checkpoint: Checkpoint, progress: Progress) -> None:
    """Read pretrained weights into the run's folder, if they fit its network.

    Raises:
        HarnessError: the file is damaged, or its names or shapes are not the network's.
    """
    network = initial_network(run)
    pretrained = read_pretrained(checkpoint.path, checkpoint.entry)
    load_pretrained(network, pretrained, run.method.id)
    save_weights(run.folder.weights, network.state_dict(), run.train)
    where = f", entry '{pretrained.entry}'" if pretrained.entry else ""
    progress.log(f"read {len(pretrained.state)} tensors from {checkpoint.path}{where}")
    content = {
        "label": run.method.label,
        "source": checkpoint.path.name,
        "checkpoint_sha256": pretrained.sha256,
        "entry": pretrained.entry,
        "parameters": parameter_count(network),
    }
    write_json(run.folder.provenance, content)

"""Runs the cells of a plan: joblib workers, claims, clean stops, one failure at a time."""

from __future__ import annotations

import os
import platform
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import harness
from harness.data.cards import cards_folder
from harness.errors import HarnessError, Interrupted
from harness.machine import cores, prepare_process
from harness.method import runtime_notes
from harness.plan import Cell, Plan, Source
from harness.spec import RealTrainingData, spec_hash
from harness.store.files import read_json, write_json, write_text
from harness.store.rows import Origin, append
from harness.stored import status, stored_probes, stored_rows
from harness.training.progress import Progress, progress_for


@dataclass(frozen=True)
class Resources:
    """What a sweep may use: workers side by side, a device, and loader workers per cell."""

    jobs: int
    device: str
    loader_workers: int

    @property
    def threads(self) -> int:
        """Return the compute threads of one worker."""
        return max(1, cores() // self.jobs)


@dataclass(frozen=True)
class CellResult:
    """How one cell ended: ``error`` is a sentence, empty if all is well."""

    label: str
    error: str = ""
    interrupted: bool = False


def run_plan(plan: Plan, resources: Resources) -> list[CellResult]:
    """Compute whatever of ``plan`` is missing and return how each computed cell ended.

    Cells that others need come first. A cell that fails spoils only what needs it.
    """
    results: list[CellResult] = []
    needed = {
        required.weights_id
        for cell in plan.cells
        if status(cell, plan) != "cached"
        for required in cell.requires
    }
    auxiliary = [cell for cell in plan.auxiliary if cell.weights_id in needed]
    for cells in (auxiliary, plan.cells):
        todo = [cell for cell in cells if status(cell, plan) != "cached"]
        if todo:
            results += _run(todo, plan, resources)
        if any(result.interrupted for result in results):
            break
    return results


def _run(cells: Sequence[Cell], plan: Plan, resources: Resources) -> list[CellResult]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    stop_file = plan.out / f".stop-{os.getpid()}"
    jobs = min(resources.jobs, len(cells))
    try:
        with _stop_on_signals(stop_file):
            work = (delayed(compute)(cell, plan, resources, stop_file, jobs > 1) for cell in cells)
            return list(Parallel(n_jobs=jobs, backend="loky" if jobs > 1 else "sequential")(work))
    except TerminatedWorkerError as error:
        raise HarnessError(
            "a worker was killed, most likely for lack of memory; run the same command again with "
            "fewer --jobs, and it goes on from the last checkpoints"
        ) from error
    finally:
        stop_file.unlink(missing_ok=True)


@contextmanager
def _stop_on_signals(stop_file: Path) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a request that all workers see; the second kills."""

    def ask(number: int, frame: Any) -> None:
        if stop_file.exists():
            os._exit(128 + number)
        stop_file.touch()
        print("stopping after this step; again to kill", file=sys.stderr, flush=True)

    previous = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def compute(
    cell: Cell, plan: Plan, resources: Resources, stop_file: Path, in_worker: bool
) -> CellResult:
    """Train and score one cell, as far as its folder does not hold it already."""
    if in_worker:
        # The terminal sends Ctrl-C to the workers too; the parent tells them through the file.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if stop_file.exists():
        return CellResult(cell.label, interrupted=True)
    progress = progress_for(cell.label, live=not in_worker)
    try:
        _compute(cell, plan, resources, stop_file.exists, progress)
    except Interrupted:
        return CellResult(cell.label, interrupted=True)
    except HarnessError as error:
        return CellResult(cell.label, error=str(error))
    except Exception as error:  # a defect in one method must not cost the other cells
        trace = cell.folder.path / "traceback.txt"
        write_text(trace, traceback.format_exc())
        reason = str(error).split("\n")[0]
        return CellResult(cell.label, error=f"{type(error).__name__}: {reason}; see {trace}")
    finally:
        progress.close()
    return CellResult(cell.label)


def _compute(
    cell: Cell,
    plan: Plan,
    resources: Resources,
    stop: Callable[[], bool],
    progress: Progress,
) -> None:
    prepare_process(resources.threads)
    folder = cell.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    with _claim(cell, progress, stop):
        folder.write_spec(cell.spec)
        if cell.choice.card.trained and not folder.weights.exists():
            if cell.source is not None:
                _adopt(cell, cell.source, progress)
            else:
                _train(cell, plan, resources, progress, stop)
        if cell.score is not None and status(cell, plan) != "cached":
            _score(cell, plan, resources, progress, stop)


@contextmanager
def _claim(cell: Cell, progress: Progress, stop: Callable[[], bool]) -> Iterator[None]:
    """Hold the cell against other processes; wait, and say so, while another computes it."""
    from filelock import FileLock, Timeout

    lock = FileLock(cell.folder.lock)
    said = False
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            if stop():
                raise Interrupted(f"{cell.label} was waiting for another process") from None
            if not said:
                progress.say("another process computes this cell; waiting for it")
                said = True
    try:
        yield
    finally:
        lock.release()


def _build(cell: Cell) -> Any:
    """Build the cell's network; what it requires is loaded from the cells that trained it."""
    from harness.training.build import build

    required = {}
    for needed in cell.requires:
        if not needed.folder.weights.exists():
            raise HarnessError(f"{cell.label} needs {needed.label}, which was not trained")
        required[needed.spec.method] = trained_network(needed).eval()
    return build(cell.choice.card, cell.spec, required)


def trained_network(cell: Cell) -> Any:
    """Return the network of ``cell`` with its weights, as they lie in its folder."""
    from harness.training.checkpoint import load_weights

    method = _build(cell)
    if cell.choice.card.trained:
        weights = load_weights(cell.folder.weights, cell.weights_id, cell.choice.id)
        method.load_state_dict(weights)
    return method


def _train(
    cell: Cell, plan: Plan, resources: Resources, progress: Progress, stop: Callable[[], bool]
) -> None:
    from harness.data.decoded import DecodedImages, default_folder
    from harness.data.real_stream import RealStream
    from harness.data.stream import Stream, TrainingStream
    from harness.data.validation_pairs import RealValidation, TwinValidation, ValidationPairs
    from harness.evaluation.validation import Validation
    from harness.training.loop import Job, Machine, train

    spec = cell.spec
    if spec.train is None or spec.data is None:
        return
    cards, card = cards_folder(), cell.choice.card
    stream: Stream
    source: ValidationPairs
    if isinstance(spec.data, RealTrainingData):
        images = DecodedImages(default_folder())
        stream = RealStream(
            images, spec.data, plan.training, spec.train, spec.seed, spec.stages, card.views
        )
        source = RealValidation(images, spec.data, plan.training)
    else:
        stream = TrainingStream(cards, spec.data, spec.train, spec.seed, spec.stages, card.views)
        source = TwinValidation(cards, spec.data)
    method = _build(cell)
    job = Job(
        spec=spec,
        stream=stream,
        validation=Validation(source, spec.tasks, card.needs_task_labels),
        folder=cell.folder,
        operation=plan.recipe.operation,
        machine=Machine(resources.device, resources.threads, resources.loader_workers),
    )
    record = train(method, job, progress, stop)
    parameters = sum(p.numel() for p in method.parameters())
    write_json(
        cell.folder.record, {**record, "parameters": parameters, **_runtime_notes(resources)}
    )


def _adopt(cell: Cell, source: Source, progress: Progress) -> None:
    """Read weights from elsewhere into the cell's folder, if they fit its network."""
    from harness.training.checkpoint import save_weights
    from harness.training.released import load_released, read_released

    method = _build(cell)
    released = read_released(source.path, source.entry)
    load_released(method, released, cell.choice.id)
    save_weights(cell.folder.weights, method.state_dict(), cell.spec)
    where = f", entry '{released.entry}'" if released.entry else ""
    progress.say(f"read {len(released.state)} tensors from {source.path}{where}")
    write_json(
        cell.folder.record,
        {
            "source": source.path.name,
            "source_sha256": released.sha256,
            "entry": released.entry,
            "parameters": sum(p.numel() for p in method.parameters()),
        },
    )


def _score(
    cell: Cell, plan: Plan, resources: Resources, progress: Progress, stop: Callable[[], bool]
) -> None:
    import torch

    from harness.data.disk import DiskPairs
    from harness.data.pairs import TwinPairs
    from harness.evaluation.evaluate import Subject, evaluate
    from harness.evaluation.metrics import resolve_metrics
    from harness.evaluation.probes.full import probe_fully
    from harness.evaluation.probes.observe import Observer
    from harness.evaluation.probes.quick import probe_prompts
    from harness.method import Prompted

    if cell.score is None:
        return
    card, test = cell.choice.card, cell.score.test
    device = torch.device(resources.device)
    method = trained_network(cell).to(device).eval()
    origin: Origin = "measured" if cell.source is None else "re-evaluated"
    subject = Subject(
        method, cell.choice.id, cell.spec.seed, card.needs_task_labels, device, origin
    )
    done = {(row.column, row.image, row.metric) for row in stored_rows(cell)}
    metrics = resolve_metrics(plan.metrics)
    cards = cards_folder()
    began = time.monotonic()
    source = DiskPairs(test, plan.files) if test.files else TwinPairs(cards, test)
    for rows in evaluate(
        subject,
        cell.score,
        metrics,
        source,
        done,
        partial(progress.images, "scored"),
        resources.threads,
    ):
        append(cell.folder.rows, rows)
        if stop():
            raise Interrupted(f"{cell.label} stopped while it was scored")
    known = read_json(cell.folder.probes) if cell.folder.probes.exists() else {}
    directions = {metric.id: metric.higher_is_better for metric in metrics}
    probes: dict[str, Any] = {
        **known,
        "higher_is_better": {**known.get("higher_is_better", {}), **directions},
    }
    # A cell's probes are of the setting's own test set.
    if isinstance(method, Prompted) and test.photographs and not plan.outside:
        probe = probe_prompts(method, test, cards, card.needs_task_labels, device)
        probes["prompts"] = probe.as_json()
    for needed in cell.requires:
        accuracy = read_json(needed.folder.record).get("validation_per_task")
        if accuracy is not None:  # of weights from elsewhere it is not known
            probes.setdefault("classifiers", {})[needed.spec.method] = accuracy
    probes["score_wall_s"] = round(time.monotonic() - began, 2)
    write_json(cell.folder.probes, probes)
    if plan.probes and stored_probes(cell) is None:
        full: dict[str, Any] = {}
        if isinstance(method, Prompted):
            observer = Observer(method, card.needs_task_labels, device)
            full = probe_fully(observer, source, test, cards, partial(progress.images, "probed"))
        path = cell.folder.full_probes
        others = read_json(path) if path.exists() else {}
        write_json(path, {**others, spec_hash(cell.score): full})


def _runtime_notes(resources: Resources) -> dict[str, Any]:
    """Return what a number was made with: versions, machine, memory, commit."""
    import numpy
    import torch

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "versions": {
            "harness": harness.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
        "computed_with": runtime_notes(),
        "git_commit": _git_commit(),
        "platform": platform.platform(),
        "device": resources.device,
        "threads": resources.threads,
        "jobs": resources.jobs,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def _git_commit() -> str | None:
    """Return the commit of a checkout, with ``+`` if files differ from it; None in a wheel."""
    root = Path(harness.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")

"""Keeping restored images: in passing while they are scored, or later from the weights.

Nothing here scores. An image that is there is not made again, and what is kept is in no hash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch

from harness.config.errors import Interrupted
from harness.evaluation.evaluate import (
    Name,
    OnRestored,
    Subject,
    keep_nothing,
    never_stop,
    restore_pair,
)
from harness.evaluation.keep import keep_pair, keep_restored
from harness.evaluation.memory import MemoryGuard
from harness.evaluation.metrics import resolve_metrics
from harness.execution.networks import OnRead, ignore_files, trained_network
from harness.execution.process import Worker, prepare_process
from harness.planning.image_choice import all_names, worst_count
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.image_files import image_paths
from harness.store.stored_results import results_of

OnProgress = Callable[[int, int], None]
"""Receives how many images are done, of how many."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def make_images(
    plan: Plan,
    names: Sequence[Name],
    worker: Worker,
    on_progress: OnProgress = no_progress,
    stop: Callable[[], bool] = never_stop,
) -> None:
    """Make what is missing of the restored, degraded and clean images of a plan's finished runs.

    Args:
        plan: its runs with weights are restored with; others are left out.
        names: column and image of each test pair.
        worker: what this process may use.
        on_progress: receives how many restored images are made, of how many were missing.
        stop: asked before each image.

    Raises:
        Interrupted: ``stop`` answered yes; the same call goes on.
        HarnessError: weights or images cannot be read.
    """
    wanted = {run.id: names for run in restorable_runs(plan)}
    make_images_by_run(plan, wanted, worker, on_progress, stop)


def make_images_by_run(
    plan: Plan,
    names: Mapping[str, Sequence[Name]],
    worker: Worker,
    on_progress: OnProgress = no_progress,
    stop: Callable[[], bool] = never_stop,
) -> None:
    """Do what :func:`make_images` does, with other images for each run, by the run's id."""
    missing: list[tuple[Run, list[Name]]] = []
    for run in restorable_runs(plan):
        of_run = [name for name in names.get(run.id, ()) if not _are_kept(run, name)]
        if of_run:
            missing.append((run, of_run))
    if not missing:
        return
    prepare_process(worker.threads)
    total = sum(len(of_run) for _, of_run in missing)
    done = 0
    for run, of_run in missing:
        maker = _Maker(run, plan, partial(subject_of, run, worker))
        for name in of_run:
            if stop():
                raise Interrupted("stopped; the images so far are kept, the same call goes on")
            maker.make(name)
            done += 1
            on_progress(done, total)


def restorable_runs(plan: Plan) -> list[Run]:
    """Return the runs of a plan whose weights are stored, or that need none."""
    found = []
    for run in plan.runs:
        if run.folder.weights.exists() or not run.method.spec.trained:
            found.append(run)
    return found


def subject_of(run: Run, worker: Worker, on_read: OnRead = ignore_files) -> Subject:
    """Return what is scored of a run: its network with its weights, on the worker's device.

    Args:
        run: whose weights are read.
        worker: what this process may use.
        on_read: hears of each file that the network reads its weights from.
    """
    device = torch.device(worker.device)
    return Subject(
        method=trained_network(run, on_read).to(device).eval(),
        method_id=run.method.id,
        seed=run.train.seed,
        needs_task_labels=run.method.spec.needs_task_labels,
        device=device,
        origin="measured" if run.checkpoint is None else "re-evaluated",
    )


def keep_in_passing(run: Run, plan: Plan) -> OnRestored:
    """Return what is done with each image that is restored while a run is scored."""
    if plan.request.keep_images != "all" or run.score is None:
        return keep_nothing
    return partial(keep_restored, run.folder, run.score)


def keep_worst(run: Run, plan: Plan, subject: Subject, stop: Callable[[], bool]) -> None:
    """Restore the worst images of a run again and keep them, if the plan asks for them."""
    if worst_count(plan.request.keep_images) is None:
        return
    maker = _Maker(run, plan, lambda: subject)
    for name in chosen_names(run, plan, plan.request.keep_images):
        if stop():
            return  # nothing is lost: they are made later
        maker.make(name)


def chosen_names(run: Run, plan: Plan, choice: str) -> list[Name]:
    """Return column and image of what ``all``, ``worst:N`` or ``none`` keeps of a run.

    The worst are those with the worst values of the plan's first metric; a value that is not a
    number is worse than any. Images without results are not among them.
    """
    if choice == "all":
        return all_names(plan.test)
    count = worst_count(choice)
    if count is None:
        return []
    (metric,) = resolve_metrics(plan.metrics[:1])
    sign = 1 if metric.higher_is_better else -1
    badness: dict[str, list[tuple[float, str]]] = {}
    for result in results_of(run.folder.results, run.score):
        if result.metric == metric.id:
            value = -math.inf if math.isnan(result.value) else sign * result.value
            badness.setdefault(result.column, []).append((value, result.image))
    names: list[Name] = []
    for column in plan.test.images_by_column():
        for _, image in sorted(badness.get(column, []))[:count]:
            names.append((column, image))
    return names


class _Maker:
    """Makes the images of one run; its network is read when the first one is restored."""

    def __init__(self, run: Run, plan: Plan, load: Callable[[], Subject]) -> None:
        assert run.score is not None
        self.run, self.score, self.load = run, run.score, load
        self.pairs = plan.source.pairs(run.score.test)
        self.subject: Subject | None = None

    def make(self, name: Name) -> None:
        """Make what is missing of one test pair and of what the run makes of it."""
        if _are_kept(self.run, name):
            return
        pair = self.pairs.make(*name)
        if image_paths(self.run.folder, self.score, *name).restored.exists():
            keep_pair(self.run.folder, self.score, pair)
            return
        if self.subject is None:
            self.subject = self.load()
        guard = MemoryGuard.of(self.subject.device)
        tile_px = self.score.protocol.tile_px
        restored = restore_pair(self.subject, pair, guard, tile_px)
        keep_restored(self.run.folder, self.score, pair, restored)


def _are_kept(run: Run, name: Name) -> bool:
    assert run.score is not None
    return all(path.exists() for path in image_paths(run.folder, run.score, *name).all)

"""Computing one run of a plan: the unit of work on any machine.

Every launcher ends in :func:`execute`, and so does ``python -m harness exec RUN_ID --plan FILE``.
"""

from __future__ import annotations

import contextlib
import errno
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.config.errors import (
    HarnessError,
    Interrupted,
    UsageError,
    is_out_of_memory,
    out_of_memory,
    reason_of,
)
from harness.execution.locks import Claim, RunIsHeld, hold
from harness.execution.preflight import check_own_code
from harness.execution.process import Worker, prepare_process
from harness.execution.progress import Progress, progress_for
from harness.execution.status import run_status
from harness.execution.steering import Steering
from harness.execution.tracking import Tracking
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.files import make_folder, not_written, remove_leftovers, write_text

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""The disk is full, or may not be written."""

Stop = Callable[[], bool]
"""Answers whether the user asked the computation to stop."""


def never_stop() -> bool:
    """Answer that nobody asked to stop."""
    return False


@dataclass(frozen=True)
class Control:
    """How a computation is steered and shown.

    Attributes:
        stop: asked after each step and image.
        live: whether bars are drawn on a terminal; several processes write plain lines.
        wait: whether a run that another process computes is waited for.
    """

    stop: Stop = never_stop
    live: bool = True
    wait: bool = True


@dataclass(frozen=True)
class RunOutcome:
    """How one run ended.

    Attributes:
        label: method and seed.
        run_id: the run's name in its plan.
        error: a sentence; empty if all is well.
        interrupted: the user stopped it; it goes on from its checkpoint.
        held: another process computes it, and it was not waited for.
        queued: a batch system has it in its queue, and it was not waited for.
    """

    label: str
    run_id: str = ""
    error: str = ""
    interrupted: bool = False
    held: bool = False
    queued: bool = False


def execute(run: Run, plan: Plan, worker: Worker, control: Control | None = None) -> RunOutcome:
    """Train and score one run, as far as its folder does not hold it already.

    Args:
        run: a run of ``plan``. The auxiliary runs that it needs must be done.
        plan: what it belongs to.
        worker: what this process may use.
        control: how the computation is stopped and shown.
    """
    control = control or Control()
    if worker.ranks.any(control.stop()):
        return RunOutcome(run.label, run.id, interrupted=True)
    progress = progress_for(run.label, control.live, worker.ranks.is_first)
    try:
        _compute(run, plan, worker, control, progress)
    except Interrupted:
        return RunOutcome(run.label, run.id, interrupted=True)
    except RunIsHeld:
        if control.wait:  # it was taken over while this process was suspended
            return execute(run, plan, worker, control)
        return RunOutcome(run.label, run.id, held=True)
    except HarnessError as error:
        if not (worker.ranks.alone or error.raised_by_all):
            worker.ranks.fail(f"{run.label}: {error}")
        return RunOutcome(run.label, run.id, error=str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a defect in one method must not cost the others
        if not worker.ranks.alone:
            worker.ranks.fail(f"{run.label}: {_sentence(run, error)}")
        return RunOutcome(run.label, run.id, error=_sentence(run, error))
    finally:
        progress.close()
    with contextlib.suppress(OSError):
        _trace_file(run).unlink(missing_ok=True)
    return RunOutcome(run.label, run.id)


def execute_with_needs(
    plan: Plan, run_id: str, worker: Worker, control: Control
) -> list[RunOutcome]:
    """Compute one run of a plan by its id, after those that it needs and that are not done.

    Raises:
        UsageError: the plan has no such run.
    """
    run = plan.run(run_id)
    outcomes = []
    for needed in (*run.requires, run):
        if worker.ranks.first(partial(run_status, needed, plan)) == "done":
            continue
        outcomes.append(execute(needed, plan, worker, control))
        if outcomes[-1].error or outcomes[-1].interrupted:
            break
    return outcomes


def raise_if_failed(outcomes: Sequence[RunOutcome], runs: int) -> None:
    """Raise one error that names all runs that failed, if any did."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        details = "; ".join(f"{outcome.label}: {outcome.error}" for outcome in failed)
        error = HarnessError(f"{len(failed)} of {runs} runs failed: {details}")
        error.raised_by_all = True  # a process that fails alone ends before this
        raise error


def _compute(run: Run, plan: Plan, worker: Worker, control: Control, progress: Progress) -> None:
    prepare_process(worker.threads)
    check_own_code(run, plan)
    ranks, claims = worker.ranks, list[Claim]()
    with contextlib.ExitStack() as held:

        def begin() -> bool:
            make_folder(run.folder.path)
            claims.append(held.enter_context(hold(run, progress, control.stop, control.wait)))
            remove_leftovers(run.folder.path)
            run.folder.write_spec(run.train)
            return _is_to_be_trained(run, plan, worker, progress)

        def check() -> None:
            for claim in claims:
                claim.check()

        def stop() -> bool:
            return control.stop() or any(claim.lost() for claim in claims)

        steering = Steering(stop, check)
        # Of several processes the first claims the run, and decides for all what is missing of it.
        is_to_be_trained = ranks.first(begin)
        tracking = held.enter_context(contextlib.closing(_tracking(run, worker, progress)))
        try:
            if is_to_be_trained:
                from harness.execution.training_run import train_run

                train_run(run, plan, worker, steering, progress, tracking)
            if ranks.first(lambda: run.score is not None and run_status(run, plan) != "done"):
                from harness.execution.scoring import score_run

                score_run(run, plan, worker, steering, progress, tracking)
        except Interrupted:  # by all processes, also where the first has lost its claim
            ranks.first(check)
            raise


def _tracking(run: Run, worker: Worker, progress: Progress) -> Tracking:
    """Return what reports a run to its tracker; of several processes the first reports."""
    tracking = Tracking(run, worker.tracker, progress.log)
    if not worker.ranks.is_first:
        tracking.close()
    return tracking


def _is_to_be_trained(run: Run, plan: Plan, worker: Worker, progress: Progress) -> bool:
    """Return whether the weights of a run are missing and have to be trained.

    Weights of a checkpoint are imported, and weights that lack their provenance get one. Weights
    whose scores are all there are not made again.
    """
    from harness.execution.training_run import import_checkpoint, record_weights

    folder, trained = run.folder, run.method.spec.trained
    if folder.has_weights():
        # What a process left that was killed after its last write.
        folder.checkpoint.unlink(missing_ok=True)
    elif run_status(run, plan) == "done" or (not trained and folder.provenance.exists()):
        return False
    elif run.checkpoint is not None:
        import_checkpoint(run, run.checkpoint, progress)
    elif not trained:
        return False
    elif folder.weights.exists():
        record_weights(run, plan, worker, progress)
    elif run.train.data is None:
        raise UsageError(f"{run.label} has nothing to train on; name a checkpoint or a data set")
    else:
        return True
    return False


def _sentence(run: Run, error: BaseException) -> str:
    """Return the sentence on an error that no code foresaw; a full disk has one of its own."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return not_written(Path(error.filename or run.folder.path), error)
    return _unexpected(run, error)


def _unexpected(run: Run, error: BaseException) -> str:
    """Store the traceback of a defect, and return the sentence on it."""
    reason = out_of_memory(error) if is_out_of_memory(error) else reason_of(error)
    trace = _trace_file(run)
    try:
        write_text(trace, traceback.format_exc())
    except (HarnessError, MemoryError):  # a full disk must not end the other runs
        return f"{reason}; its traceback could not be written"
    return f"{reason}; see {trace}"


def _trace_file(run: Run) -> Path:
    return run.folder.path / "traceback.txt"

"""The flags of what a computation may use, and of who hands out its runs.

Only subcommands that train take a launcher; the others compute in their own process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from harness.api import Resources


@dataclass(frozen=True)
class LocalFlags:
    """What a computation on this machine may use; nothing here changes a number."""

    jobs: Annotated[
        int | None,
        typer.Option(
            min=0, help="Runs computed side by side; 0: one per core.", show_default=False
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes per run that make batches ahead; 0 makes each in its step.",
            show_default="a thread of the run",
        ),
    ] = None
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto"
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Compute threads of each run; without it OMP_NUM_THREADS, or an equal share of "
            "the cores.",
        ),
    ] = None
    tracker: Annotated[
        str,
        typer.Option(help="Show the course of each run with tensorboard or wandb, or none."),
    ] = "none"

    def resources(self, jobs: int = 1) -> Resources:
        """Return them; ``jobs`` is the subcommand's default.

        Raises:
            UsageError: the device or tracker cannot be used.
        """
        from harness.api import Resources, check_resources

        resources = Resources(**self._fields(jobs))
        check_resources(resources)
        return resources

    def _fields(self, jobs: int) -> dict[str, Any]:
        """Return the fields of the resources."""
        return {
            "jobs": jobs if self.jobs is None else self.jobs,
            "device": self.device,
            "loader_workers": self.workers,
            "threads": self.threads,
            "tracker": self.tracker,
        }


@dataclass(frozen=True)
class ResourceFlags(LocalFlags):
    """The same, and who hands out the runs."""

    launcher: Annotated[
        str, typer.Option(help="Which launcher hands out the runs: local, dask or slurm.")
    ] = "local"
    dask_scheduler: Annotated[
        str | None,
        typer.Option(
            help="With --launcher dask: address of the scheduler, as tcp://host:8786, or its "
            "scheduler file.",
            show_default="DASK_SCHEDULER_ADDRESS",
        ),
    ] = None
    slurm_options: Annotated[
        str | None,
        typer.Option(
            help="With --launcher slurm: options of sbatch, as '--partition=gpu --time=12:00:00'."
        ),
    ] = None
    wait: Annotated[
        bool,
        typer.Option("--wait", help="With --launcher slurm: wait for the jobs, then go on."),
    ] = False

    def _fields(self, jobs: int) -> dict[str, Any]:
        """Return the fields of the resources.

        Raises:
            UsageError: a flag belongs to another launcher.
        """
        return {
            **super()._fields(jobs),
            "launcher": self.launcher,
            "dask_scheduler": self.dask_scheduler,
            "slurm_options": self.slurm_options or "",
            "wait": self.wait,
        }

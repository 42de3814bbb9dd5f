"""``harness tune``: search options and training values, with one budget for every method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.computing import compute_missing
from harness.cli.options import DataFlags, RequestFlags, ResourceFlags
from harness.cli.output import print_written, terminal_width
from harness.cli.requests import log_hashing, request_of
from harness.config.ranks import check_alone

if TYPE_CHECKING:
    from harness.api import Budget


@dataclass(frozen=True)
class BudgetFlags:
    """What each method may spend, and what is searched."""

    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Trainings per method; the first has the recipe's and the method's own values.",
        ),
    ] = 20
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of each training; without it the recipe's.")
    ] = None
    seed: Annotated[
        int, typer.Option(min=0, help="Which values are tried; --seeds is about trainings.")
    ] = 0
    fix: Annotated[
        str | None,
        typer.Option(
            help="What is not searched, comma-separated: patch_px,prompt_init. Options that "
            "--methods sets are not searched either."
        ),
    ] = None

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the trials only.")] = False

    def budget(self) -> Budget:
        """Return the budget."""
        from harness.api import budget_of, split_names

        values: dict[str, Any] = {"trials": self.trials, "steps": self.steps, "seed": self.seed}
        return budget_of(**values, fixed=split_names(self.fix or ""))


def tune(
    budget: BudgetFlags,
    request: RequestFlags,
    data: DataFlags,
    resources: ResourceFlags,
) -> None:
    """Search learning rate, weight decay, patch, warm-up and the options of each method.

    Every method gets the same number of trials of the same length, judged on validation images
    alone. Trials are ordinary runs: what is stored is never computed again, and the winners are
    written to a file that run --config takes.
    """
    from harness.api import describe_tuning, plan_tuning, raise_if_failed, tuning_outcome

    check_alone("tune")
    asked = request_of({}, request.config, request.values(), data.values())
    tuning = plan_tuning(asked, budget.budget(), log_hashing)
    asked_resources = resources.resources()
    if budget.dry_run:
        print(describe_tuning(tuning))
        return
    outcomes = compute_missing(tuning.plan, asked_resources)
    found = tuning_outcome(tuning, outcomes)
    width = terminal_width()
    print("\n\n".join(table.to_text(width=width) for table in found.reports))
    folder = tuning.plan.out / "tables"
    paths = []
    for table in found.reports:
        paths += [folder / f"{table.stem}{suffix}" for suffix in (".csv", ".md", ".tex")]
    print_written(paths)
    if found.tuned is not None:
        print(f"\nscore the winners with: python -m harness run --config {found.tuned}")
    raise_if_failed(outcomes, len(tuning.plan.runs))

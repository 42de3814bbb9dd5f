"""Methods compared image by image, from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.config.errors import UsageError, did_you_mean
from harness.planning.plan import Plan
from harness.registry import find

if TYPE_CHECKING:
    from harness.reporting.comparison.report import Comparison
    from harness.reporting.statistics import Spread

SpreadName = Literal["images", "seeds", "both"]


def compare(
    plan: Plan,
    methods: Sequence[str] = (),
    *,
    spread: SpreadName | None = None,
    extremes: int = 3,
    ranks: Literal["columns", "images"] = "columns",
    against: str | Path | None = None,
) -> Comparison:
    """Return a comparison of methods image by image, from what is stored of a plan.

    Only images and seeds that all methods have are compared, and what is left out is said.
    ``str(comparison)`` is what the command line prints; it also has ``to_dataframe()``,
    ``images_dataframe()``, ``to_markdown()``, ``to_latex()``, ``to_csv()``, ``write(folder)`` and
    ``draw(folder)``.

    Example::

        plan = harness.plan(methods=["cpl", "promptir"], seeds=[0, 1, 2])
        print(harness.compare(plan, extremes=5))

    Args:
        plan: whose runs are compared.
        methods: methods of the plan; without them those that it was asked for, in their order.
        spread: what intervals are over: images, seeds or both; None takes both where there are
            several seeds, else images.
        extremes: how many of the largest gains and of the largest losses are named.
        ranks: what five and more methods are ranked in.
        against: an archive or another output folder; its results of the same methods, setting and
            seeds are compared with those of the plan.

    Raises:
        UsageError: fewer than two methods, one that is none of the plan's, or a spread over seeds
            of which there is one.
        HarnessError: nothing is stored of a method, the methods have no image or no seed in common,
            or results of two preprocessings or protocols would be compared.
    """
    from harness.reporting.comparison.report import ComparisonOptions, comparison_of
    from harness.reporting.wording import worded

    if spread in ("seeds", "both") and len(plan.seeds) < 2:
        raise UsageError(f"--spread {spread} needs several seeds; give --seeds 0,1,2")
    if extremes < 0:
        raise UsageError(f"--extremes {extremes} is no number of images; give 0 or more")
    drawn: Spread | None = "seeds and images" if spread == "both" else spread
    options = ComparisonOptions(drawn, extremes, ranks, None if against is None else Path(against))
    return comparison_of(worded(plan), _compared(plan, methods), options)


def _compared(plan: Plan, methods: Sequence[str]) -> list[str]:
    """Return the ids of the methods that are compared.

    Raises:
        UsageError: a method is none of the plan's.
    """
    if not methods and plan.request.checkpoint is not None:
        return plan.method_ids
    found = []
    for name in methods or plan.request.methods:
        method = find(name).id
        if method not in plan.method_ids:
            raise UsageError(
                f"the plan has no method '{method}'; {did_you_mean(method, plan.method_ids)}"
            )
        found.append(method)
    return list(dict.fromkeys(found))


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write the tables of a comparison to ``out/tables`` and its figures to ``out/figures``."""
    return [*comparison.write(out / "tables"), *comparison.draw(out / "figures")]

"""Quality against the length of trainings: runs that differ in their number of steps and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.errors import HarnessError
from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.figures.bands import draw_band
from harness.reporting.figures.left_out import unscored
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    WIDTHS_IN,
    hide_rest,
    legend_above,
    new_figure,
    panels,
    plain,
)
from harness.reporting.plan_summary import runs_by_method
from harness.reporting.table import metric_title
from harness.reporting.wording import column_labels, worded_metric
from harness.store.run_folder import RunFolder
from harness.store.stored_parts import read_spec
from harness.store.stored_results import results_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
NEEDS_SCORES = True
left_out = unscored

_LENGTHS = ("steps", "warmup_steps", "decay_steps", "validate_every_steps")
_PANEL_IN = 1.9

Lengths = Mapping[int, Mapping[int, Mapping[str, float]]]
"""By seed and steps, the mean over images of each column."""


def draw(asked: FigureRequest) -> Figure:
    """Return a panel for each column and for the average, a line for each method with its seeds.

    Shown are all runs of the output folder that have a seed of the plan, were scored on its test
    set and differ from a run of it in nothing but length, seed, and what they build on. Seeds that
    a method lacks at one of its lengths are left out of lines, so that none joins different ones;
    the range at a length is that of the seeds that all methods have there.

    Raises:
        HarnessError: no method was trained for two lengths, the lengths have no seed in common, or
            two trainings are of one length and seed.
    """
    plan = asked.plan
    by_method: dict[str, Lengths] = {}
    for runs in runs_by_method(plan).values():
        if runs[0].is_seeded:
            by_method[runs[0].method.label] = lengths_of(plan, runs[0])
    if all(_count(lengths) < 2 for lengths in by_method.values()):
        raise HarnessError(
            f"{plan.out} holds no method that was trained for two numbers of steps and scored "
            "alike; run it again with a --recipe FILE that has other steps"
        )
    shared = _shared_seeds(plan, by_method)
    at_length = _seeds_by_length(by_method)
    metric = worded_metric(plan.request, metric_facts(plan.metrics[0]))
    labels = {**column_labels(plan), AVERAGE: AVERAGE_HEADING}
    width_in = asked.width_in or WIDTHS_IN["full"]
    names = [column.name for column in plan.shown_columns]
    columns = [name for name in [*names, AVERAGE] if _is_scored(name, by_method)]
    rows, across = panels(len(columns), width_in, _PANEL_IN)
    figure = new_figure(width_in, 1.55 * rows + 0.35)
    axes = figure.subplots(rows, across, squeeze=False, sharex=True).ravel()
    for place, column in zip(axes, columns, strict=False):
        for position, (label, lengths) in enumerate(by_method.items()):
            of_line = [_series(lengths[seed], column) for seed in shared if seed in lengths]
            of_range = []
            for seed, by_steps in lengths.items():
                shown = {steps: by_steps[steps] for steps in by_steps if seed in at_length[steps]}
                of_range.append(_series(shown, column))
            draw_band(place, of_line, position, plain(label), of_range)
        place.set_title(plain(labels[column]))
        place.grid(visible=True)
    hide_rest(list(axes), len(columns), across)
    figure.supxlabel(f"training steps; {_seeds_shown(shared, at_length)}")
    figure.supylabel(plain(metric_title(metric)))
    legend_above(figure, axes[0], width_in)
    return figure


def lengths_of(plan: Plan, run: Run) -> Lengths:
    """Return means by seed, steps and column of the runs that differ from ``run`` in length alone.

    Of its own length there are the plan's own trainings.

    Raises:
        HarnessError: a stored file is damaged, or two trainings of another length are alike in
            steps and seed.
    """
    assert run.score is not None
    assert run.train.optimisation is not None
    expected = _without_length(run.train.model_dump(mode="json"))
    own_steps = run.train.optimisation.steps
    own = {planned.folder.path for planned in plan.runs}
    found: dict[int, dict[int, Mapping[str, float]]] = {}
    places: dict[tuple[int, int], Path] = {}
    for path in sorted(plan.out.glob("*/spec.json")):
        folder = RunFolder(path.parent)
        spec = read_spec(path)
        if not folder.results.exists() or _without_length(spec) != expected:
            continue
        seed, steps = int(spec["seed"]), int(spec["optimisation"]["steps"])
        if seed not in plan.seeds or (steps == own_steps and folder.path not in own):
            continue
        means = _means(folder, plan, run.score)
        if not means:
            continue
        if (seed, steps) in places:
            raise HarnessError(
                f"{places[seed, steps]} and {folder.path} are both of {steps} steps and seed "
                f"{seed}; move one of them out of {plan.out}"
            )
        places[seed, steps] = folder.path
        found.setdefault(seed, {})[steps] = means
    return found


def _shared_seeds(plan: Plan, by_method: Mapping[str, Lengths]) -> list[int]:
    """Return the seeds that each method has at all of its lengths.

    Raises:
        HarnessError: there is none.
    """
    shared = set(plan.seeds)
    for lengths in by_method.values():
        steps = {length for by_steps in lengths.values() for length in by_steps}
        if steps:
            shared &= {seed for seed, by_steps in lengths.items() if steps <= by_steps.keys()}
    if not shared:
        raise HarnessError(
            f"no seed of {', '.join(by_method)} is stored in {plan.out} at all of their lengths; "
            "train the same seed for each, or show fewer methods with --methods"
        )
    return sorted(shared)


def _seeds_by_length(by_method: Mapping[str, Lengths]) -> dict[int, tuple[int, ...]]:
    """Return the seeds that each method that was trained for a length has there."""
    found: dict[int, set[int]] = {}
    for lengths in by_method.values():
        seeds: dict[int, set[int]] = {}
        for seed, by_steps in lengths.items():
            for steps in by_steps:
                seeds.setdefault(steps, set()).add(seed)
        for steps, of_method in seeds.items():
            found[steps] = found.get(steps, of_method) & of_method
    return {steps: tuple(sorted(found[steps])) for steps in sorted(found)}


def _seeds_shown(shared: Sequence[int], at_length: Mapping[int, tuple[int, ...]]) -> str:
    """Return of which seeds lines and ranges are."""
    several = {steps: seeds for steps, seeds in at_length.items() if len(seeds) > 1}
    if not several:
        return f"seed {_listed(shared)}"
    if set(at_length.values()) == {tuple(shared)}:
        return f"mean and range of seeds {_listed(shared)}"
    lengths_by_seeds: dict[tuple[int, ...], list[int]] = {}
    for steps, seeds in several.items():
        lengths_by_seeds.setdefault(seeds, []).append(steps)
    ranges = [f"{_listed(seeds)} at {_listed(at)}" for seeds, at in lengths_by_seeds.items()]
    line = f"seed {shared[0]}" if len(shared) == 1 else f"mean of seeds {_listed(shared)}"
    return f"lines: {line}; bands: range of seeds {'; '.join(ranges)}"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _without_length(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides weights besides the number of steps, the seed and auxiliary runs."""
    kept = {key: value for key, value in spec.items() if key not in ("seed", "requires")}
    optimisation = dict(spec.get("optimisation") or {})
    for key in _LENGTHS:
        optimisation.pop(key, None)
    kept["optimisation"] = optimisation
    kept["stages"] = [(stage["name"], stage["tasks"]) for stage in spec.get("stages", ())]
    return kept


def _means(folder: RunFolder, plan: Plan, score: ScoreSpec) -> dict[str, float]:
    """Return by column the mean over images, of columns that are complete.

    Where all that are shown are, their mean is there too.
    """
    (results,) = results_in([folder.results])
    if not results:
        return {}
    score_id = spec_hash(score.model_copy(update={"weights": results[0].weights}))
    values: dict[str, dict[str, float]] = {}
    for result in results:
        if result.score == score_id and result.metric == plan.metrics[0]:
            values.setdefault(result.column, {})[result.image] = result.value
    means = {}
    for column, images in plan.test.images_by_column().items():
        of_column = values.get(column, {})
        if images and set(images) <= set(of_column):
            means[column] = sum(of_column[image] for image in images) / len(images)
    shown = [column.name for column in plan.shown_columns]
    if means.keys() >= set(shown):
        means[AVERAGE] = sum(means[name] for name in shown) / len(shown)
    return means


def _series(by_steps: Mapping[int, Mapping[str, float]], column: str) -> dict[float, float]:
    found: dict[float, float] = {}
    for steps, means in sorted(by_steps.items()):
        if column in means:
            found[steps] = means[column]
    return found


def _is_scored(column: str, by_method: Mapping[str, Lengths]) -> bool:
    """Return whether any run has a mean of a column; its data set may be absent."""
    for lengths in by_method.values():
        for by_steps in lengths.values():
            if any(column in means for means in by_steps.values()):
                return True
    return False


def _count(lengths: Lengths) -> int:
    """Return how many numbers of steps there are."""
    steps: set[int] = set()
    for by_steps in lengths.values():
        steps |= set(by_steps)
    return len(steps)

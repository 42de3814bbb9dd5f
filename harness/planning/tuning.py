"""A search for the options and training values of methods, each with the same budget.

Trials are ordinary runs that are trained and never scored: what they are compared by is recorded on
validation images when a training ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from harness.config.errors import UsageError, did_you_mean
from harness.config.files import load_setting
from harness.config.recipe_files import lengthened
from harness.config.recipes import Optimisation
from harness.data.parallel_map import OnProgress, no_progress
from harness.planning.budget import Budget
from harness.planning.checkpoints import initial_weights
from harness.planning.own_training import changed_values, with_values
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest
from harness.planning.run import Run
from harness.planning.run_factory import RunFactory
from harness.planning.search_space import TRAINING_VALUES, WARMUP, point, training_ranges
from harness.registry import MethodChoice, OptionValue, SearchRange, find

_TRIES_PER_TRIAL = 50
"""Points that are looked at for each trial, where options often contradict each other."""


@dataclass(frozen=True)
class Trial:
    """One set of values that is trained with every seed.

    Attributes:
        number: from 0, which has the recipe's and the method's own values.
        method: the method with its options.
        training: what differs from the recipe's training.
        values: what was searched, by name; empty for trial 0.
        runs: one per seed.
    """

    number: int
    method: MethodChoice
    training: Mapping[str, JsonValue]
    values: Mapping[str, OptionValue]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Search:
    """The trials of one method.

    Attributes:
        method: the method as asked for.
        ranges: what is searched.
        trials: as many as the budget has.
    """

    method: MethodChoice
    ranges: Mapping[str, SearchRange]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Tuning:
    """The searches of all methods, and the plan of all their runs."""

    plan: Plan
    searches: tuple[Search, ...]

    @property
    def budget(self) -> Budget:
        """What each method may spend, as the plan of its trials holds it."""
        assert self.plan.budget is not None
        return self.plan.budget

    @property
    def compares(self) -> bool:
        """Whether there are several methods, and so a table of them side by side."""
        return len(self.searches) > 1


def make_tuning(
    request: RunRequest, budget: Budget, on_progress: OnProgress = no_progress
) -> Tuning:
    """Plan a search; everything is checked before anything is computed.

    Raises:
        UsageError: a method has nothing to train, an unknown name is fixed, or the options of too
            many points contradict each other.
        HarnessError: training images are smaller than the largest patch.
    """
    _refuse_scoring(request)
    plan = make_plan(request, on_progress)
    # What a request changes of the protocol is about tests; trainings are those of ``run``.
    own = load_setting(request.setting)
    train = plan.recipe.train
    if budget.steps is not None:
        train = lengthened(train, budget.steps)
    factory = RunFactory(
        setting=plan.setting,
        recipe=plan.recipe,
        data=plan.source.training_data(own),
        test=plan.test,
        out=request.out,
        initial=initial_weights(request),
    )
    maker = _TrialMaker(factory, train, budget, request.seeds)
    methods = {method.id: method for method in map(find, request.methods)}
    _check_fixed(budget, methods.values())
    searches = tuple(maker.search(method) for method in methods.values())
    runs: list[Run] = []
    for search in searches:
        for trial in search.trials:
            runs += trial.runs
    auxiliary = {needed.weights_id: needed for run in runs for needed in run.requires}
    largest_px = 0
    for run in (*runs, *auxiliary.values()):
        assert run.train.optimisation is not None
        largest_px = max(largest_px, run.train.optimisation.patch_px)
    plan.source.check_training_sizes(own, largest_px)
    whole = replace(
        plan, runs=tuple(runs), auxiliary=tuple(auxiliary.values()), others=(), budget=budget
    )
    return Tuning(whole, searches)


def _refuse_scoring(request: RunRequest) -> None:
    """Refuse what is about scores, of which a search has none."""
    evaluation = request.evaluation
    if evaluation.test_set is not None or evaluation.protocol or request.probes:
        raise UsageError(
            "a search is judged on validation images and scores nothing; leave test_set, protocol "
            "and probes out"
        )
    if request.keep_images != "none":
        raise UsageError(
            f"a search restores no test image; leave keep_images={request.keep_images} out"
        )
    if request.checkpoint is not None or request.training:
        raise UsageError("a search trains each method itself; leave checkpoint and training out")


def _check_fixed(budget: Budget, methods: Iterable[MethodChoice]) -> None:
    known = set(TRAINING_VALUES)
    for method in methods:
        known |= set(method.spec.search)
    for name in budget.fixed:
        if name not in known:
            raise UsageError(f"--fix {name}: it is not searched; {did_you_mean(name, known)}")


@dataclass(frozen=True)
class _TrialMaker:
    factory: RunFactory
    train: Optimisation
    budget: Budget
    seeds: tuple[int, ...]

    def search(self, method: MethodChoice) -> Search:
        """Return the search of a method: its own values first, then points that fit together."""
        if not method.spec.trained:
            raise UsageError(f"{method.id} is not trained, so there is nothing to tune")
        ranges = self._ranges(method)
        trials = [self._trial(method, 0, {})]
        known = {trials[0].runs[0].weights_id}
        reason = ""
        for number in range(1, self.budget.trials * _TRIES_PER_TRIAL):
            if len(trials) == self.budget.trials:
                break
            try:
                trial = self._trial(method, len(trials), point(ranges, self.budget.seed, number))
            except UsageError as error:  # this point's options contradict each other
                reason = str(error)
                continue
            if trial.runs[0].weights_id not in known:
                known.add(trial.runs[0].weights_id)
                trials.append(trial)
        if len(trials) < self.budget.trials:
            raise UsageError(
                f"{method.id}: only {len(trials)} of {self.budget.trials} trials can be made of "
                f"its ranges{'; ' + reason if reason else ''}; lower --trials"
            )
        return Search(method, ranges, tuple(trials))

    def _ranges(self, method: MethodChoice) -> dict[str, SearchRange]:
        found = {**training_ranges(self.train), **method.spec.search}
        for name in (*self.budget.fixed, *method.overrides):
            found.pop(name, None)
        return found

    def _trial(self, method: MethodChoice, number: int, values: Mapping[str, OptionValue]) -> Trial:
        reference = method.id
        values = self._in_whole_holds(values)
        training: dict[str, JsonValue] = {}
        for name, value in values.items():
            if name in Optimisation.model_fields:
                training[name] = value
            else:
                reference += f":{name}={_text(value)}"
        rate = training.get("lr")
        if isinstance(rate, float):
            # The last rate follows the first.
            training["lr_min"] = float(f"{self.train.lr_min * rate / self.train.lr:.3g}")
        chosen = find(reference)
        train = with_values(self.train, training, chosen.id)
        runs = []
        for seed in self.seeds:
            runs.append(self.factory.method_run(chosen, seed, train, scored=False))
        changed = changed_values(self.factory.recipe.train, train)
        return Trial(number, chosen, changed, values, tuple(runs))

    def _in_whole_holds(self, values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return values with a warm-up of whole steps of the rate, as the schedule needs it."""
        found = dict(values)
        warmup = found.get(WARMUP)
        if isinstance(warmup, int):
            found[WARMUP] = warmup // self.train.lr_hold_steps * self.train.lr_hold_steps
        return found


def _text(value: OptionValue) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)

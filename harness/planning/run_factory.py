"""Making runs: a method, a seed and a setting become specs, their hashes and a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.hashing import file_sha256, spec_hash
from harness.config.recipes import Optimisation, Recipe
from harness.config.run_specs import (
    OnDiskTrainingData,
    ScoreSpec,
    Stage,
    SyntheticTrainingData,
    TestSet,
    TrainSpec,
)
from harness.config.settings import Setting
from harness.planning.run import Run
from harness.planning.stages import plan_stages
from harness.registry import (
    MethodChoice,
    WeightsFile,
    auxiliary_method,
    options_of_spec,
    resolve_options,
)
from harness.store.run_folder import RunFolder


@dataclass(frozen=True)
class RunFactory:
    """Makes the runs of one plan.

    Attributes:
        setting: tasks, preprocessing and protocol in force.
        recipe: network size and optimisation.
        data: what is trained on; None where nothing is trained.
        test: what is scored.
        out: the output folder.
        initial: file of the weights that trainings start from.
    """

    setting: Setting
    recipe: Recipe
    data: SyntheticTrainingData | OnDiskTrainingData | None
    test: TestSet
    out: Path
    initial: Path | None = None

    def method_run(
        self,
        method: MethodChoice,
        seed: int,
        optimisation: Optimisation | None = None,
        scored: bool = True,
    ) -> Run:
        """Return the run of ``method``, with the auxiliary runs it requires.

        Args:
            method: the method and its options.
            seed: of the training.
            optimisation: of the training; None takes the recipe's.
            scored: whether its weights are scored on the test set.
        """
        required = tuple(self.auxiliary_run(name, seed) for name in method.spec.requires)
        train = self._train_spec(method, seed, optimisation or self.recipe.train, required)
        if self.initial is None or train.optimisation is None:
            return self._run(method, train, required, scored)
        train = train.model_copy(update={"initial_sha256": file_sha256(self.initial)})
        run = self._run(method, train, required, scored)
        return replace(run, initial=self.initial)

    def auxiliary_run(self, name: str, seed: int) -> Run:
        """Return the run of a method that others build on; it is trained and not scored."""
        method = auxiliary_method(name)
        train = self._train_spec(method, seed, self.recipe.auxiliary, ())
        return self._run(method, train, (), scored=False)

    def pretrained_run(
        self,
        method: MethodChoice,
        options: Mapping[str, Any],
        checkpoint: WeightsFile,
        required: tuple[Run, ...] = (),
        scored: bool = True,
    ) -> Run:
        """Return the run of weights from a file: the file's hash takes the place of training."""
        train = TrainSpec(
            method=method.spec.name,
            method_version=method.spec.version,
            options=dict(options),
            tasks=self.setting.task_names,
            data=None,
            optimisation=None,
            stages=(),
            seed=0,
            requires=_weights_of(required),
            checkpoint_sha256=file_sha256(checkpoint.path),
            checkpoint_parts=_parts(checkpoint),
            plugin_sha256=method.plugin_sha256(),
        )
        return self._run(method, train, required, scored, checkpoint)

    def _train_spec(
        self,
        method: MethodChoice,
        seed: int,
        optimisation: Optimisation,
        required: tuple[Run, ...],
    ) -> TrainSpec:
        micro_batch = optimisation.micro_batch or optimisation.batch
        trained = method.spec.trained and self.data is not None
        options = resolve_options(
            method,
            self.recipe.size,
            self.setting.task_names,
            micro_batch=micro_batch,
            steps=optimisation.steps if trained else None,
        )
        stages: tuple[Stage, ...] = ()
        if trained and self.data is not None:
            names = tuple(task.name for task in self.data.tasks)
            stages = plan_stages(method, self.setting, optimisation, names)
        return TrainSpec(
            method=method.spec.name,
            method_version=method.spec.version,
            options=options_of_spec(options),
            tasks=self.setting.task_names,
            data=self.data if trained else None,
            optimisation=optimisation if trained else None,
            stages=stages,
            seed=seed if trained else 0,
            requires=_weights_of(required),
            plugin_sha256=method.plugin_sha256(),
        )

    def _run(
        self,
        method: MethodChoice,
        train: TrainSpec,
        required: tuple[Run, ...],
        scored: bool,
        checkpoint: WeightsFile | None = None,
    ) -> Run:
        weights_id = spec_hash(train)
        score = None
        if scored:
            score = ScoreSpec(weights=weights_id, test=self.test, protocol=self.setting.protocol)
        folder = RunFolder.of(self.out, method.id, train.seed, weights_id)
        return Run(method, train, weights_id, score, required, folder, checkpoint)


def _parts(checkpoint: WeightsFile) -> dict[str, Any] | None:
    """Return which part of a checkpoint was asked for; None where its file alone decides."""
    parts: dict[str, Any] = {"entry": checkpoint.entry, "prefix": checkpoint.prefix}
    parts["ignore"] = list(checkpoint.ignore)
    asked = {name: value for name, value in parts.items() if value}
    return asked or None


def _weights_of(runs: tuple[Run, ...]) -> dict[str, str]:
    return {run.train.method: run.weights_id for run in runs}

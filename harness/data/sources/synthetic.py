"""The synthetic version of a setting: photographs of installed packages, degraded here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.files import datasets_folder
from harness.config.recipes import TestAmount
from harness.config.run_specs import SyntheticTrainingData, TestSet, TrainSpec
from harness.config.settings import Setting, degradation_versions
from harness.data.sources.pairs import SyntheticPairs
from harness.data.sources.stream import SyntheticStream
from harness.data.sources.validation_pairs import SyntheticValidation
from harness.data.synthetic import dead_leaves
from harness.data.synthetic.photographs import describe

SYNTHETIC = "synthetic"
"""The name of the data set that results on the embedded photographs carry."""


@dataclass(frozen=True)
class SyntheticSource:
    """Degrades the embedded photographs and dead-leaves images by the setting's degradations."""

    name: str = SYNTHETIC

    def training_data(self, setting: Setting) -> SyntheticTrainingData:
        """See :class:`DataSource`."""
        folder, data = datasets_folder(), setting.synthetic
        versions = {**degradation_versions(setting.tasks), "dead-leaves": dead_leaves.VERSION}
        return SyntheticTrainingData(
            tasks=setting.tasks,
            train=tuple(describe(folder, name) for name in data.train),
            validation=tuple(describe(folder, name) for name in data.validation),
            dead_leaves_share=data.dead_leaves_share,
            dead_leaves=data.dead_leaves,
            preprocessing=setting.preprocessing,
            degradation_versions=dict(sorted(versions.items())),
        )

    def test_set(self, setting: Setting, amount: TestAmount) -> TestSet:
        """See :class:`DataSource`."""
        folder = datasets_folder()
        names = setting.synthetic.test[: amount.images]
        return TestSet(
            setting=setting.name,
            setting_version=setting.version,
            columns=amount.columns(setting.columns),
            tasks=setting.tasks,
            photographs=tuple(describe(folder, name) for name in names),
            centre_px=amount.centre_px,
            preprocessing=setting.preprocessing,
            degradation_versions=degradation_versions(setting.tasks),
        )

    def absent_columns(self, setting: Setting) -> Mapping[str, str]:
        """See :class:`DataSource`."""
        return {}

    def absent_families(self, setting: Setting) -> Mapping[str, tuple[str, ...]]:
        """See :class:`DataSource`."""
        return {}

    def stream(self, spec: TrainSpec, views: int) -> SyntheticStream:
        """See :class:`DataSource`."""
        data, optimisation = spec.data, spec.optimisation
        assert isinstance(data, SyntheticTrainingData)
        assert optimisation is not None
        return SyntheticStream(datasets_folder(), data, optimisation, spec.seed, spec.stages, views)

    def validation(self, spec: TrainSpec) -> SyntheticValidation:
        """See :class:`DataSource`."""
        assert isinstance(spec.data, SyntheticTrainingData)
        return SyntheticValidation(datasets_folder(), spec.data)

    def pairs(self, test: TestSet) -> SyntheticPairs:
        """See :class:`DataSource`."""
        return SyntheticPairs(datasets_folder(), test)

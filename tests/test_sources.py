"""Both sources of images behind one interface."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from harness.config.errors import UsageError
from harness.data.images.cache import FOLDER_VARIABLE
from harness.data.sources.opening import open_source
from harness.planning.plan import Plan
from tests.plans import plan_of
from tests.test_on_disk_training import write, write_rain


@pytest.fixture(params=["synthetic", "on disk"])
def plan(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Plan three-task on the embedded photographs, and on small data sets."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache" / "images"))
    if request.param == "synthetic":
        return plan_of(["promptir"])
    write_rain(tmp_path / "raintrainl", 20, 0)
    write_rain(tmp_path / "rain100l", 3, 1)
    rng = np.random.default_rng(2)
    for number in range(3):
        write(tmp_path / f"cbsd68/{number}.png", rng.integers(0, 255, (40, 56, 3)))
    data = {"root": tmp_path, "train_sets": {"denoise": "raintrainl"}}
    plan = plan_of(["promptir"], data=data)
    assert plan.source.name == "on disk"
    return plan


def test_a_stream_can_be_sent_to_another_process(plan: Plan) -> None:
    stream = plan.source.stream(plan.runs[-1].train, views=2)
    copy = pickle.loads(pickle.dumps(stream))
    for step in (0, 3):
        ours, theirs = stream.batch(step), copy.batch(step)
        assert ours.tasks == theirs.tasks
        assert ours.second_view is not None
        assert theirs.second_view is not None
        assert np.array_equal(ours.degraded, theirs.degraded)
        assert np.array_equal(ours.clean, theirs.clean)
        assert np.array_equal(ours.second_view, theirs.second_view)


def test_validation_pairs_are_the_same_each_time(plan: Plan) -> None:
    validation = plan.source.validation(plan.runs[-1].train)
    again = plan.source.validation(plan.runs[-1].train)
    for task in validation.tasks:
        pairs = list(validation.pairs(task))
        assert pairs
        for (degraded, clean), (other, _) in zip(pairs, again.pairs(task), strict=True):
            assert degraded.shape == clean.shape
            assert not np.array_equal(degraded, clean)
            assert np.array_equal(degraded, other)


def test_test_pairs_are_those_of_the_test_set(plan: Plan) -> None:
    pairs = plan.source.pairs(plan.test)
    expected = []
    for column, images in plan.test.images_by_column().items():
        expected += [(column, image) for image in images]
    assert list(pairs.names()) == expected
    for column, image in expected:
        pair = pairs.make(column, image)
        assert (pair.column, pair.image) == (column, image)
        assert pair.clean.shape == pair.degraded.shape
        assert pair.clean.dtype == pair.degraded.dtype == np.float32
        assert pair.clean.shape[0] % plan.test.preprocessing.crop_multiple == 0
    names = {pairs.data_set(column) for column, _ in expected}
    assert names in ({"synthetic"}, {"CBSD68", "Rain100L"})


def test_a_training_set_needs_data_sets_on_disk() -> None:
    with pytest.raises(UsageError, match="--train-set denoise=wed is about data sets on disk"):
        open_source(None, False, {"denoise": "wed"}, {})

"""The benchmark for everyone: statistics, verdicts, its file, its flags, and one measured row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import harness
from harness import api
from harness.api.speed import benchmark, growth
from harness.api.speed.case import Case, Context, matrix, training_sides
from harness.api.speed.comparison import compare_results
from harness.api.speed.cuda_rows import CUDA_ROWS
from harness.api.speed.growth import Growing, exponent, measure_curve
from harness.api.speed.networks import NetworkCase
from harness.api.speed.options import BenchOptions
from harness.api.speed.result import (
    BenchResult,
    Curve,
    Machine,
    Measurement,
    Timed,
    load_bench,
)
from harness.api.speed.rows import ROWS, NotHereError, Row
from harness.api.speed.sides import KEEPING, MATRIX, MATRIX_GFLOP, OURS, PUBLISHED
from harness.api.speed.spread import Spread, paired, verdict
from harness.api.speed.subject import Subject
from harness.api.speed.timers import CudaTimer, WallTimer
from harness.api.speed.turns import NotMeasuredError, measure
from harness.cli import app
from harness.config.errors import UsageError

ROOT = Path(__file__).parents[1]
TINY = NetworkCase(size="tiny", batch=2, side_px=32)
MACHINE = Machine(
    processor="a processor",
    cores=2,
    threads=2,
    torch="2.6",
    python="3.11",
    fp32_gflops=100,
    bf16_gflops=50,
    copy_gb_s=10,
)


def measurement(ours: tuple[float, ...], rate: float = 100, **sides: tuple[float, ...]) -> Any:
    timed = {OURS: Timed(seconds=ours, added_bytes=2**20)}
    for name, seconds in sides.items():
        timed[name.replace("_", " ")] = Timed(seconds=seconds, added_bytes=2**21)
    return Measurement(row="a", what="a step", sides=timed, gflop=10, fp32_gflops=rate)


def result(*measurements: Measurement, machine: Machine = MACHINE, **values: Any) -> BenchResult:
    return BenchResult(
        version="0",
        command="python -m harness bench",
        date="2026-11-26",
        machine=machine,
        measurements=measurements,
        **values,
    )


def unseen(*values: object) -> None:
    pass


# Statistics


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], (3, 3, 3)),
        ([1.0, 2.0], (1.5, 1.25, 1.75)),
        ([4.0, 1.0, 3.0, 2.0, 5.0], (3, 2, 4)),
    ],
)
def test_median_and_quartiles(values: list[float], expected: tuple[float, float, float]) -> None:
    assert Spread.of(values) == Spread(*expected)


def test_ratios_are_taken_inside_each_turn() -> None:
    # The machine is ten times slower in the second turn, for both sides.
    assert paired([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == Spread(2, 2, 2)
    with pytest.raises(ValueError, match="shorter"):
        paired([1.0, 2.0], [1.0])


def test_rates_are_shares_of_a_product_in_the_same_turn() -> None:
    # A product of 17.18 GFLOP in 0.2 s, and 10 GFLOP in twice the time.
    found = measurement((0.4, 0.8), matrix_product=(0.2, 0.4))
    assert found.share is not None
    assert found.share.median == pytest.approx(10 / MATRIX_GFLOP / 2)
    assert measurement((0.4, 0.8)).share is None


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_an_exponent_is_the_slope_of_logarithms(power: float) -> None:
    values = [2.0, 4.0, 16.0]
    assert exponent(values, [3 * value**power for value in values]) == pytest.approx(power)


# Verdicts


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((1.00, 0.98, 1.02), (1.20, 1.15, 1.25), "slower"),
        ((1.20, 1.15, 1.25), (1.00, 0.98, 1.02), "faster"),
        ((1.00, 0.90, 1.20), (1.15, 1.10, 1.30), "same"),  # the quartiles meet
        ((1.000, 0.999, 1.001), (1.010, 1.009, 1.011), "same"),  # apart, and one per cent
        ((1.00, 1.00, 1.00), (1.03, 1.03, 1.03), "slower"),
        ((1.03, 1.03, 1.03), (1.00, 1.00, 1.00), "faster"),
    ],
)
def test_verdicts(old: tuple[float, ...], new: tuple[float, ...], expected: str) -> None:
    assert verdict(Spread(*old), Spread(*new)) == expected


def test_a_slower_machine_is_no_slower_program() -> None:
    old = result(measurement((0.4, 0.4, 0.4), matrix_product=(0.2, 0.2, 0.2)))
    machine = MACHINE.model_copy(update={"fp32_gflops": 50.0, "processor": "another"})
    slow = measurement((0.8, 0.8, 0.8), rate=50, matrix_product=(0.4, 0.4, 0.4))
    comparison = compare_results(old, result(slow, machine=machine))
    (row,) = comparison.rows
    assert (row.verdict, row.reference, row.change) == ("same", MATRIX, 1)
    assert row.at_equal_rate == pytest.approx(1)
    assert not comparison.same_machine
    assert "then: a processor" in str(comparison)
    assert "now: another" in str(comparison)


def test_without_anything_in_common_seconds_decide_at_equal_rate() -> None:
    old = result(measurement((0.4, 0.4)))
    new = measurement((0.4, 0.4), rate=200)
    (row,) = compare_results(old, result(new)).rows
    assert (row.reference, row.verdict, row.change) == ("", "same", 1)
    another = MACHINE.model_copy(update={"processor": "another"})
    (row,) = compare_results(old, result(new, machine=another)).rows
    assert (row.reference, row.verdict, row.change) == ("", "slower", 2)


def test_a_peer_is_the_reference_where_both_have_one() -> None:
    old = result(measurement((0.4, 0.4), published=(0.8, 0.8)))
    new = result(measurement((0.4, 0.4), published=(0.4, 0.4), matrix_product=(0.1, 0.1)))
    (row,) = compare_results(old, new).rows
    assert (row.reference, row.verdict) == (PUBLISHED, "slower")


def test_what_one_benchmark_alone_measured_is_named() -> None:
    other = measurement((0.4, 0.4)).model_copy(update={"row": "b"})
    comparison = compare_results(result(measurement((0.4, 0.4))), result(other))
    assert comparison.rows == ()
    assert comparison.alone == {"a: a step": "old", "b: a step": "new"}
    assert "only in the old benchmark: a: a step" in str(comparison)


# The file


def full_result() -> BenchResult:
    curve = Curve(
        name="batch",
        quantity="batch, training step",
        values=(2, 4),
        seconds=(1, 2),
        added_bytes=(2**20, 2**21),
        time_exponent=1,
        memory_exponent=1,
    )
    waited = measurement((0.4, 0.5), published=(0.8, 1.5), matrix_product=(0.2, 0.3))
    sides = {**waited.sides, OURS: Timed(seconds=(0.4, 0.5), waited_s=(0.1, 0.1))}
    waited = waited.model_copy(update={"sides": sides})
    return result(waited, curves=(curve,), left_out={"b": "no memory"})


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = full_result()
    found.write(tmp_path / "a.json")
    assert load_bench(tmp_path / "a.json") == found


def test_a_result_is_shown(tmp_path: Path) -> None:
    text = full_result().text(200)
    for shown in ("waiting: 22%", "published, 1.15 s", "2.50 (2.25 to 2.75)", "left out, b"):
        assert shown in text
    paths = full_result().draw(tmp_path)
    assert [path.name for path in paths] == ["growth-batch.png", "growth-batch.pdf"]
    assert all(path.stat().st_size > 3000 for path in paths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "format 1"),
        ({"machine": {}}, "machine"),
        ({"measurements": [{}]}, "measurements"),
        ({"more": 1}, "more"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    content = {**full_result().model_dump(mode="json"), **change}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=message):
        load_bench(path)


@pytest.mark.parametrize("seconds", [[0.4], [0.4, 0.0]])
def test_turns_that_cannot_be_are_refused(tmp_path: Path, seconds: list[float]) -> None:
    content = full_result().model_dump(mode="json")
    content["measurements"][0]["sides"]["published"]["seconds"] = seconds
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="row a has"):
        load_bench(path)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("speed", {"train-full", "train-mini", "inference", "stream", "cached"}),
        ("speed-2026-11-26", {"train-full", "train-mini-1", "wait", "first-start", "scoring"}),
        ("speed-avx2", {"changes"}),
    ],
)
def test_a_record_is_a_result(name: str, rows: set[str]) -> None:
    record = load_bench(ROOT / "results" / "reference" / f"{name}.json")
    names = {measurement.row for measurement in record.measurements}
    assert rows <= names
    assert names <= set(ROWS)
    comparison = record.compare(record)
    assert not comparison.slower
    assert len(comparison.rows) == len(record.measurements)


# Flags


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rows", "train-mni"], "did you mean 'train-mini'"),
        (["--rows", "cuda-train"], "there is no row 'cuda-train'"),
        (["--rows", "help", "--quick"], "leave --quick out"),
        (["--quick", "--full"], "exclude each other"),
        (["--turns", "1"], "--turns 1"),
        (["--threads", "0"], "--threads 0"),
        (["--compare", "missing.json"], "missing.json does not exist"),
        (["--json", "."], "is a folder"),
        (["--growth", "--device", "cuda"], "leave --device out"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_measured(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "describe_machine", unseen)
    found = CliRunner().invoke(app, ["bench", *words])
    assert isinstance(found.exception, UsageError)
    assert message in str(found.exception)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'turns'"):
        harness.bench(turn=3)


def test_rows_are_listed() -> None:
    found = CliRunner().invoke(app, ["bench", "--list"])
    assert found.exit_code == 0
    assert all(name in found.stdout for name in (*ROWS, *CUDA_ROWS))


@pytest.mark.parametrize(
    ("options", "some", "others"),
    [
        (BenchOptions(threads=2), {"train-mini", "train-mini-1", "help"}, {"train-full"}),
        (BenchOptions(threads=1), {"train-mini"}, {"train-mini-1"}),
        (BenchOptions(amount="full", threads=2), set(ROWS) - {"changes"}, {"changes"}),
        (BenchOptions(rows=("changes",)), {"changes"}, {"help"}),
        (BenchOptions(growth=True), set(), {"help"}),
        (BenchOptions(amount="full", device="cuda"), set(CUDA_ROWS), {"help"}),
    ],
)
def test_rows_that_are_measured(options: BenchOptions, some: set[str], others: set[str]) -> None:
    found = set(benchmark.rows_of(options))
    assert some <= found
    assert not others & found


# Measuring


@pytest.fixture(scope="module")
def tiny() -> BenchResult:
    """One row with tiny sizes, through the whole of a benchmark, without the peer."""
    rows = {"tiny": Row("a tiny step", tiny_step, 1), "absent": Row("nothing", absent, 1)}
    options = BenchOptions(turns=2, threads=1)
    clock = benchmark.Clock(2, unseen)
    bench = benchmark.Bench(options, rows, clock, MACHINE)
    bench.measure_rows()
    return bench.result(is_complete=True)


def tiny_step(context: Context) -> Any:
    sides = training_sides(TINY, context.threads, (PUBLISHED, KEEPING), has_peer=False)
    yield Case("training step, tiny", sides, 5)


def absent(context: Context) -> Any:
    raise NotHereError("this machine has none")
    yield


def test_a_row_is_measured_without_its_peer(tiny: BenchResult) -> None:
    (found,) = tiny.measurements
    assert set(found.sides) == {OURS, MATRIX}
    assert len(found.ours.seconds) == 2
    assert found.gflop is not None
    assert found.share is not None
    assert 0 < found.share.median < 1
    assert tiny.left_out == {"absent": "this machine has none"}
    assert "training step, tiny" in str(tiny)


def test_the_peer_has_our_weights_and_results() -> None:
    pytest.importorskip("spandrel_extra_arches")
    from harness.execution.networks import build

    image = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    exact = replace(TINY, options={"unused_convolutions": "false"})
    ours, published = (build(*case.specs(), {}).eval() for case in (exact, exact.published()))
    with torch.no_grad():
        torch.testing.assert_close(published.restore(image), ours.restore(image))
    assert type(published) is not type(ours)


def test_operations_are_those_of_the_convolutions() -> None:
    from harness.execution.step_flop import gflop_of_restoring, gflop_of_step

    spec, train = NetworkCase(size="tiny", batch=1, side_px=32).specs()
    once = gflop_of_restoring(spec, train, 32, 32)
    step = gflop_of_step(spec, train)
    assert once is not None
    assert step is not None
    # Each product has two gradients, and attention's backward pass has fewer.
    assert 2.5 < step / once < 3.2


def test_a_subject_that_fails_or_is_killed_is_named() -> None:
    failing = Subject("commands:command", {"words": ["no-such-subcommand"]})
    with pytest.raises(NotMeasuredError, match="ours failed"):
        measure({OURS: failing}, 2, unseen)
    unknown = Subject("commands:nothing", {})
    with pytest.raises(NotMeasuredError, match="nothing"):
        measure({OURS: unknown}, 2, unseen)


def test_peers_that_do_not_fit_into_memory_are_left_out() -> None:
    sides = dict.fromkeys((PUBLISHED, KEEPING, OURS), matrix(1))
    case = Case("a step", sides, 3, {PUBLISHED: 10, KEEPING: 10, OURS: 5})
    for free, expected in ((30, 3), (20, 2), (10, 1), (None, 3)):
        fitting = case.within(free)
        assert fitting is not None
        assert len(fitting.sides) == expected
    assert case.within(4) is None


def test_a_curve_is_measured() -> None:
    def points(context: Context) -> Any:
        for side in (16, 32):
            values = {"case": {"size": "tiny"}, "threads": 1, "size": (side, side)}
            yield float(side**2), Subject("steps:restoring", values)

    found = measure_curve("tiny", Growing("pixels, inference", points, 1), threads=1)
    assert found.values == (256, 1024)
    assert found.time_exponent == pytest.approx(exponent(found.values, found.seconds))


def test_every_curve_has_values() -> None:
    context = Context(1, Path("nowhere"), has_peer=False)
    for name, curve in growth.CURVES.items():
        if name == "rows":
            continue  # it writes files
        values = [value for value, _ in curve.points(context)]
        assert len(values) >= 3
        assert values == sorted(values)


def test_a_stop_returns_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(context: Context) -> Any:
        raise KeyboardInterrupt
        yield

    rows = {"help": Row("nothing", stop, 1)}
    monkeypatch.setattr(benchmark, "rows_of", lambda options: rows)
    monkeypatch.setattr(benchmark, "describe_machine", lambda threads, device: MACHINE)
    found = benchmark.run_bench(BenchOptions(), unseen)
    assert not found.is_complete
    assert "was stopped" in str(found)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals of a POSIX system")
def test_ctrl_c_prints_and_ends_with_130(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "harness", "bench", "--rows", "help", "--turns", "60"]
    with subprocess.Popen(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as job:
        assert job.stderr is not None
        job.stderr.readline()  # the row begins
        time.sleep(0.5)
        job.send_signal(signal.SIGINT)
        printed, _ = job.communicate(timeout=60)
    assert job.returncode == 130
    assert b"The benchmark was stopped" in printed


def test_a_slower_row_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = result(measurement((0.2, 0.2), matrix_product=(0.2, 0.2)))
    new = result(measurement((0.4, 0.4), matrix_product=(0.2, 0.2)))
    old.write(tmp_path / "old.json")
    for found, code in ((new, 1), (old, 0)):
        monkeypatch.setattr(api, "bench", lambda options, found=found: found)
        words = ["bench", "--compare", str(tmp_path / "old.json")]
        ended = CliRunner().invoke(app, [*words, "--json", str(tmp_path / "new.json")])
        assert ended.exit_code == code, ended.output
        assert load_bench(tmp_path / "new.json") == found
        assert ("slower by more than the noise: a (a step)" in ended.stdout) == bool(code)


# A GPU, which a fake stands in for


class FakeCuda:
    """Counts milliseconds on a clock that only queued work moves on."""

    def __init__(self) -> None:
        self.clock_ms, self.calls = 0.0, list[str]()

    def Event(self, enable_timing: bool) -> FakeEvent:  # noqa: N802 - torch's name
        assert enable_timing
        return FakeEvent(self)

    def synchronize(self) -> None:
        self.calls.append("synchronize")


class FakeEvent:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.at_ms = cuda, 0.0

    def record(self) -> None:
        self.cuda.calls.append("record")
        self.at_ms = self.cuda.clock_ms

    def elapsed_time(self, later: FakeEvent) -> float:
        return later.at_ms - self.at_ms


def test_a_gpu_is_timed_by_events_around_the_work() -> None:
    cuda = FakeCuda()

    def work() -> None:
        cuda.calls.append("work")
        cuda.clock_ms += 250

    assert CudaTimer(cuda).seconds(work) == pytest.approx(0.25)
    assert cuda.calls == ["synchronize", "record", "work", "record", "synchronize"]
    assert WallTimer().seconds(lambda: time.sleep(0.02)) >= 0.02


def test_steps_of_a_gpu_are_shown_by_the_second() -> None:
    machine = MACHINE.model_copy(update={"device": "a GPU"})
    found = result(measurement((0.1, 0.1), published=(0.2, 0.2)), machine=machine)
    assert "0.1 (0.1 to 0.1); 10 a second" in found.text(200)


def test_rows_on_a_gpu_cover_arithmetic_and_compilation() -> None:
    context = Context(1, Path("nowhere"), has_peer=True)
    cases = list(CUDA_ROWS["cuda-train"].cases(context))
    assert len(cases) == 6
    for case in cases:
        assert set(case.sides) == {PUBLISHED, OURS, MATRIX}
        for side in case.sides.values():
            assert side.device == side.values["device"] == "cuda"
    words = " ".join(case.what for case in cases)
    assert all(word in words for word in ("fp32", "tf32", "bf16", "not compiled", "8 x 128²"))
    json.dumps([replace(side, device="cpu").values for side in cases[0].sides.values()])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_is_measured_on_a_gpu() -> None:
    values = {"case": {"size": "tiny", "batch": 2, "side_px": 32}, "threads": 1, "device": "cuda"}
    found = measure({OURS: Subject("steps:our_training", values, device="cuda")}, 2, unseen)
    assert min(found.sides[OURS].seconds) > 0
    assert (found.sides[OURS].added_bytes or 0) > 0

"""Plug-in methods: a file, an installed package, and files that cannot be imported."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import HarnessError, UsageError, is_out_of_memory, reason_of
from harness.config.python_files import import_python_file, sha256_at_import
from harness.data.synthetic.degrade import degrade
from harness.evaluation.metrics.definition import Metric
from harness.execution.execute import RunOutcome, execute
from harness.execution.process import Worker
from harness.execution.status import estimated_s
from harness.launch import launcher
from harness.method import MethodSpec, NoOptions
from harness.registry import catalogue, find, use_plugins
from harness.registry.catalogue import known_methods
from harness.registry.plugins import PLUGINS_VARIABLE, load_plugins, plugin_files
from tests.plans import plan_of

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def harness(*words: str, path: Path | None = None) -> str:
    """Run a command in a process of its own; plug-ins are state of a process."""
    paths = [str(ROOT)]
    if path is not None:
        paths.append(str(path))
    result = subprocess.run(
        [sys.executable, "-m", "harness", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def code_lines(path: Path) -> int:
    text = path.read_text().split('"""', 2)[2]
    return sum(bool(line.strip()) for line in text.splitlines())


def test_a_file_of_at_most_forty_lines_trains_and_is_in_the_table(tmp_path: Path) -> None:
    plugin = EXAMPLES / "residual_cnn.py"
    assert code_lines(plugin) <= 40
    assert "residual-cnn" in harness("methods", "--plugin", str(plugin))
    # Two workers, which must find the file too.
    printed = harness(
        *("run", "--recipe", "smoke", "--jobs", "2", "--out", str(tmp_path)),
        *("--plugin", str(plugin), "--methods", "residual-cnn:width=8,adair+cpl"),
    )
    assert "Residual CNN:width=8" in printed
    assert "AdaIR+CPL" in printed
    (path,) = tmp_path.glob("**/residual-cnn_width=8*/spec.json")
    assert json.loads(path.read_text())["options"] == {"width": 8}


def test_an_installed_package_registers_itself_and_gets_cpl(tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--target", str(site), str(EXAMPLES / "hosting_package")),
        ],
        check=True,
    )
    assert "hosting" in harness("methods", path=site)
    printed = harness(
        *("run", "--recipe", "smoke", "--out", str(tmp_path / "out")),
        *("--methods", "hosting+cpl"),
        path=site,
    )
    assert "Hosting+CPL" in printed


METHOD = """
import sys
import torch
from torch import nn
from harness.method import MethodSpec

class Unreadable(Exception):
    def __str__(self):
        sys.exit(0)

class Base(BaseException):
    pass

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def restore(self, degraded, tasks=None):
        {restore}
        return degraded + self.conv(degraded)

    def losses(self, batch, rng):
        {losses}
        return {{"l1": (self.restore(batch.degraded) - batch.clean).abs().mean()}}

def build(context):
    {build}
    return Network()

def check(options, context):
    {check}

def cost(options):
    {cost}
    return 1.0

def adapter(host):
    {adapter}

SPEC = MethodSpec(
    name="own", label="Own", summary="one convolution", prompting="none", objective="L1",
    source="", build=f"{{__name__}}:build", check=check, cost=cost, adapter=adapter,
    insertion_points=("middle",),
)
{top}
"""
PLACES = ("restore", "losses", "build", "check", "cost", "adapter", "top")


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the plug-ins of other tests."""
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    load_plugins.cache_clear()
    known_methods.cache_clear()


def plugin(folder: Path, text: str, name: str = "own.py") -> Path:
    path = folder / name
    path.write_text(text)
    use_plugins([path])
    return path


def method_file(folder: Path, **code: str) -> Path:
    parts = {place: code.get(place, "pass") for place in PLACES}
    return plugin(folder, METHOD.format(**parts))


def outcome(out: Path) -> RunOutcome:
    plan = plan_of(["own"], out)
    return execute(plan.runs[-1], plan, Worker("cpu", 1))


FAILURES = {
    "sys.exit(0)": r"it called sys.exit\(0\)",
    "raise Unreadable": "Unreadable, without a reason",
    "raise Base('ended')": "Base: ended",
    "raise MemoryError": "there is not enough memory",
}


@pytest.mark.parametrize("code", FAILURES)
@pytest.mark.parametrize("place", ["restore", "losses", "build"])
def test_whatever_a_plugin_does_its_run_fails_with_a_sentence(
    place: str, code: str, tmp_path: Path
) -> None:
    method_file(tmp_path, **{place: code})
    error = outcome(tmp_path / "out").error
    with pytest.raises(HarnessError, match=FAILURES[code]):
        raise HarnessError(error)


@pytest.mark.parametrize("code", [code for code in FAILURES if "Memory" not in code])
@pytest.mark.parametrize("place", ["check", "cost", "adapter", "top"])
def test_whatever_a_plugin_does_before_a_run_is_a_sentence(
    place: str, code: str, tmp_path: Path
) -> None:
    method_file(tmp_path, **{place: code})
    with pytest.raises(HarnessError, match=FAILURES[code]):
        ask_for(place, tmp_path)


def ask_for(place: str, out: Path) -> None:
    """Do what calls the function of ``place``."""
    if place == "adapter":
        find("restormer+own")
    plan = plan_of(["own"], out)
    estimated_s(plan.runs[-1], plan)


def test_metrics_and_degradations_that_end_the_process_are_named() -> None:
    def ends(*arguments: Any) -> Any:
        sys.exit(0)

    image = np.zeros((4, 4, 3))
    with pytest.raises(HarnessError, match=r"metric own failed: it called sys.exit\(0\)"):
        Metric("own", "Own", "", 4, True, ends).measure(image, image)
    with pytest.raises(HarnessError, match="metric own returned a NoneType that is no number"):
        Metric("own", "Own", "", 4, True, lambda a, b: None).measure(image, image)  # type: ignore

    class Own:
        apply = ends

    batch = np.zeros((1, 3, 16, 16), np.float32)
    with pytest.raises(HarnessError, match=r"degradation Own failed: it called sys.exit"):
        degrade(batch, Own(), [np.random.default_rng(0)], "round")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "holds no MethodSpec"),
        (METHOD.format(**dict.fromkeys(PLACES, "pass")).replace('"own"', '"o,wn"'), "'o,wn' holds"),
        (
            METHOD.format(**dict.fromkeys(PLACES, "pass")).replace(":build", ""),
            "not module:function",
        ),
    ],
)
def test_a_broken_plugin_is_listed_and_the_others_work(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = plugin(tmp_path, text, "broken_method.py")
    result = CliRunner().invoke(app, ["methods", "--plugin", str(path)])
    assert result.exit_code == 0
    printed = " ".join(result.output.split())
    assert "promptir" in printed
    assert "broken_method cannot be used" in printed
    assert reason in printed


def test_options_are_optional_and_must_be_a_dataclass(tmp_path: Path) -> None:
    path = method_file(tmp_path)
    spec = find("own").spec
    assert spec.options is NoOptions
    result = CliRunner().invoke(app, ["methods", "own", "--plugin", str(path)])
    assert result.output.splitlines() == [
        "own: one convolution",
        "trained with L1",
        "takes +cpl",
        "it has no options",
    ]
    with pytest.raises(UsageError, match="own has no option 'width'; nothing is known here"):
        plan_of(["own:width=3"], tmp_path)
    spec_text = METHOD.format(**dict.fromkeys(PLACES, "pass"))
    plugin(tmp_path, spec_text.replace("cost=cost", "cost=cost, options=dict"), "second.py")
    assert "not a dataclass type" in catalogue().broken["second"]


def test_entry_points_that_fail_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def __init__(self, name: str, result: Any) -> None:
            self.name, self.value, self.result = name, f"package:{name}", result

        def load(self) -> Any:
            if isinstance(self.result, BaseException):
                raise self.result
            return self.result

    class UnreadableError(Exception):
        def __str__(self) -> str:
            raise ValueError

    spec: MethodSpec = catalogue().specs["restormer"]
    points = [
        Point("ends", SystemExit(0)),
        Point("unreadable", UnreadableError()),
        Point("no-spec", 3),
        Point("no-options", dataclasses.replace(spec, options=dict)),
        Point("fine", dataclasses.replace(spec, name="fine")),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    known_methods.cache_clear()
    known = catalogue()
    assert "fine" in known.specs
    assert known.broken["ends"] == "package:ends: it called sys.exit(0)"
    assert known.broken["unreadable"] == "package:unreadable: UnreadableError, without a reason"
    assert known.broken["no-spec"] == "package:no-spec is not a MethodSpec"
    assert "not a dataclass type" in known.broken["no-options"]


@pytest.mark.parametrize("named", [True, False], ids=["--plugin", "HARNESS_PLUGINS"])
def test_a_plugin_that_changed_since_its_import_is_refused(named: bool, tmp_path: Path) -> None:
    path = method_file(tmp_path)
    before = plan_of(["own"], tmp_path / "out").runs[-1]
    assert before.train.plugin_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(path.read_text() + "\n# edited")
    asked: dict[str, Any] = {"plugins": (path,)} if named else {}
    changed = "own.py changed since this process imported it; start a new process, in a notebook a"
    with pytest.raises(UsageError, match=changed):
        plan_of(["own"], tmp_path / "out", **asked)
    path.write_text(path.read_text().removesuffix("\n# edited"))
    assert plan_of(["own"], tmp_path / "out", **asked).runs[-1].id == before.id


def test_a_run_goes_on_with_the_plugin_that_its_process_imported(tmp_path: Path) -> None:
    path = method_file(tmp_path)
    plan = plan_of(["own"], tmp_path / "out")
    path.write_text(path.read_text() + "\n# edited")
    assert execute(plan.runs[-1], plan, Worker("cpu", 1)) == RunOutcome(
        "own seed 0", plan.runs[-1].id
    )


def test_a_process_that_imports_an_edited_plugin_computes_no_run_of_the_plan(
    tmp_path: Path,
) -> None:
    path = method_file(tmp_path)
    plan = plan_of(["own"], tmp_path / "out")
    path.write_text(path.read_text() + "\n# edited")
    # Another process finds the method again by its name, and imports the file as it is now.
    forget(path)
    run = plan.runs[-1]
    elsewhere = dataclasses.replace(run, method=find("own"))
    done = execute(elsewhere, plan, Worker("cpu", 1))
    assert done.error == f"{path} changed since the plan was made; run the same command again"
    assert not run.folder.weights.exists()


def forget(path: Path) -> None:
    """Forget a plug-in file, as another process that has not imported it."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == str(path):
            del sys.modules[name]
    load_plugins.cache_clear()
    known_methods.cache_clear()


def test_an_edit_that_leaves_size_and_time_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "value.py"
    path.write_text("VALUE = 1")
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    assert import_python_file(path).VALUE == 1
    path.write_text("VALUE = 2")
    os.utime(path, ns=times)
    forget(path)
    assert import_python_file(path).VALUE == 2
    assert sha256_at_import(path) == hashlib.sha256(b"VALUE = 2").hexdigest()


def test_a_plugin_may_lie_in_a_folder_with_a_colon(tmp_path: Path) -> None:
    folder = tmp_path / f"a{os.pathsep}b"
    folder.mkdir()
    first = method_file(folder)
    second = plugin(tmp_path, "from harness.method import MethodSpec", "second.py")
    assert plugin_files() == [first, second]
    assert find("own").spec.source_file == str(first)


def test_a_plugin_that_ends_the_process_costs_the_others_nothing(tmp_path: Path) -> None:
    method_file(tmp_path, losses="sys.exit(0)")
    plan = plan_of(["own"], tmp_path / "out")
    first, second = launcher("local")(plan, Worker("cpu", 1))
    assert (first.error, second.label) == ("", "own seed 0")
    assert "it called sys.exit(0); see" in second.error
    trace = plan.runs[-1].folder.path / "traceback.txt"
    assert "sys.exit(0)" in trace.read_text()


def test_errors_for_lack_of_memory_are_recognised() -> None:
    for error in (
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libtorch_cuda.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
    ):
        assert is_out_of_memory(error), reason_of(error)
    assert not is_out_of_memory(RuntimeError("shapes differ"))

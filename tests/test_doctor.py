"""The doctor: finds what is there, says what is broken, writes nothing, and survives anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import harness
from harness import api
from harness.api.diagnosis import devices, folders, images, packages
from harness.api.diagnosis.finding import Finding
from harness.config.files import setting_names
from harness.evaluation.metrics.pyiqa_weights import WEIGHTS

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"


def by_name(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return harness.doctor(tmp_path_factory.mktemp("out"))


def doctor_process(
    folder: Path, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in ``folder`` with nothing in the environment but what is named."""
    paths = filter(None, [environment.pop("PYTHONPATH", ""), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-B", "-m", "harness", "doctor", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_all_sections_are_there(findings: list[Finding]) -> None:
    sections = list(dict.fromkeys(finding.section for finding in findings))
    assert sections == [
        *("versions", "devices", "threads and memory", "kernels", "folders", "configuration"),
        *("methods", "data", "metrics", "optional parts", "programs"),
    ]
    assert all(finding.value for finding in findings)


def test_what_is_not_well_has_advice_in_one_line(findings: list[Finding]) -> None:
    for finding in findings:
        assert finding.state == "ok" or finding.advice, finding
        assert "\n" not in finding.advice


def test_versions_are_those_of_this_process(findings: list[Finding]) -> None:
    import numpy
    import torch

    found = by_name([finding for finding in findings if finding.section == "versions"])
    assert found["harness"].value.startswith(f"{harness.__version__} in ")
    assert found["numpy"].value == numpy.__version__
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[>=<\[ ]", text)[0] for text in named} <= set(found)
    of_devices = by_name([finding for finding in findings if finding.section == "devices"])
    assert of_devices["torch"].value == f"{torch.__version__}, works"
    assert all(f"cuda:{index}" in of_devices for index in range(torch.cuda.device_count()))


def test_json_holds_the_same(harness_command: Any, tmp_path: Path) -> None:
    printed = harness_command("doctor", "--json", "--out", str(tmp_path))
    assert printed.returncode == 0
    content = json.loads(printed.stdout)
    assert [set(item) for item in content] == [set(asdict(Finding("", "", "")))] * len(content)
    assert any(item["name"] == "output" and str(tmp_path) in item["value"] for item in content)


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--strict",), 1)])
def test_strict_says_by_its_exit_code_what_is_broken(
    words: tuple[str, ...], code: int, harness_command: Any, tmp_path: Path
) -> None:
    printed = harness_command("doctor", *words, HARNESS_DATA_ROOT=str(tmp_path / "nowhere"))
    assert printed.returncode == code
    assert "needed and broken: folder of data sets" in printed.stdout


def test_strict_is_content_where_nothing_needed_is_broken(
    harness_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = [Finding("a", "b", "c"), Finding("a", "d", "e", "absent", "f")]
    monkeypatch.setattr(api, "doctor", lambda: fine)
    printed = harness_command("doctor", "--strict")
    assert printed.returncode == 0
    assert "-> f" in printed.stdout
    assert "needed and broken: nothing" in printed.stdout


def test_torch_that_cannot_be_imported_is_a_finding(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libcudart is missing')\n")
    folder = tmp_path / "empty"
    folder.mkdir()
    ended = doctor_process(
        folder, "--strict", PYTHONPATH=str(broken.parent), HOME=str(tmp_path / "home")
    )
    assert ended.returncode == 1, ended.stderr
    assert "does not work (ImportError: libcudart is missing)" in ended.stdout
    assert "needed and broken: torch" in ended.stdout
    assert not list(folder.iterdir())
    assert not (tmp_path / "home").exists()


def test_torch_that_ends_its_process_or_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def process(code: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True)

    ended = by_name(devices.devices(process("import os; os.kill(os.getpid(), 4)")))
    assert ended["torch"].state == "broken"
    assert "exit code -4" in ended["torch"].value
    monkeypatch.setattr(sys, "executable", "/no/python")
    (*_, unasked) = devices.devices(devices.start_device_report())
    assert (unasked.state, "cannot be asked" in unasked.value) == ("broken", True)
    monkeypatch.undo()
    monkeypatch.setattr(devices, "_LIMIT_S", 0.2)
    hung = by_name(devices.devices(process("import time; time.sleep(60)")))
    assert "gave no answer" in hung["torch"].value


def test_no_home_and_folders_that_may_only_be_read(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    tmp_path.chmod(0o555)
    try:
        ended = doctor_process(tmp_path, "--json", HOME="")
    finally:
        tmp_path.chmod(0o755)
    assert ended.returncode == 0, ended.stderr
    assert sorted(tmp_path.rglob("*")) == before
    if os.getuid() != 0:  # root may write everywhere
        found = {item["name"]: item for item in json.loads(ended.stdout)}
        assert found["output"]["state"] == "broken"


def test_without_any_home_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("no home")

    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HARNESS_IMAGE_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    found = by_name([*folders.cache(), *folders.configuration(), *images.metric_weights()])
    assert found["image cache"].state == found["file"].state == "absent"
    assert found["niqe"].state == "absent"
    assert "HARNESS_DATA_ROOT" in found["file"].advice


def test_an_output_folder_that_is_a_file_or_full_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (found,) = folders.output_folder(tmp_path / "file" / "runs")
    assert found.state == "broken"
    (found,) = folders.output_folder(tmp_path / "runs")
    assert (found.state, "not made yet" in found.value) == ("ok", True)
    monkeypatch.setattr(folders, "_LEAST_FREE_BYTES", 2**70)
    (found,) = folders.output_folder(tmp_path)
    assert "free space there" in found.advice
    assert not (tmp_path / "runs").exists()


def test_variables_are_shown_and_misspelt_ones_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATAROOT", "/data")
    monkeypatch.setenv("HARNESS_KERNELS", "off")
    found = by_name(folders.configuration())
    assert found["HARNESS_KERNELS"].value == "off"
    assert found["HARNESS_DATAROOT"].advice == "did you mean HARNESS_DATA_ROOT?"
    (check,) = devices.kernels()
    assert (check.state, check.value) == ("absent", "off (HARNESS_KERNELS=off)")


def test_all_variables_of_the_harness_are_known() -> None:
    named: set[str] = set()
    for room in ("harness", "methods"):
        for path in (ROOT / room).rglob("*.py"):
            named.update(re.findall(r"\"(HARNESS_[A-Z0-9_]*[A-Z0-9])\"", path.read_text()))
    assert named == set(folders.VARIABLES)


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HARNESS_KERNELS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = devices.kernels()
    assert (found.state, found.value) == ("absent", "no C++ compiler")
    assert "g++" in found.advice


def test_a_plugin_that_fails_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("raise ValueError('no')\n")
    monkeypatch.setenv("HARNESS_PLUGINS", str(plugin))
    found = by_name(folders.configuration())
    assert found["mine"].state == "broken"
    assert "ValueError: no" in found["mine"].value


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "[project]\ndependencies = ['numpy>=1', 'torch>=999', 'no-such-package>=1']\n"
        "[project.optional-dependencies]\nwandb = ['no-such-tracker>=2']\ntest = ['pytest']\n"
    )

    class Folder:
        parent = property(lambda self: self)

        def __truediv__(self, name: str) -> Any:
            return self

        def is_file(self) -> bool:
            return True

        def read_text(self, encoding: str) -> str:
            return text

    monkeypatch.setattr(packages, "PACKAGE_FOLDER", Folder())
    found = by_name(packages.versions())
    assert found["numpy"].state == "ok"
    assert "not >=999" in found["torch"].value
    assert found["no-such-package"].advice == "install it with: pip install 'no-such-package>=1'"
    (part,) = packages.optional_parts()
    assert part.state == "absent"
    assert part.advice == "for --tracker wandb: pip install 'no-such-tracker>=2'"


def test_each_optional_part_says_what_it_is_for() -> None:
    parts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    shown = {finding.name for finding in packages.optional_parts()}
    assert shown == set(parts) - {"test", "dev", "docs"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not on this machine")
def test_data_sets_are_found_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA_ROOT", str(SHARED))
    found = by_name(images.data_sets())
    assert set(setting_names()) <= set(found)
    assert "cbsd68" in found["three-task"].value
    assert found["three-task"].state == "absent"
    assert "python -m harness data show" in found["three-task"].advice


def test_the_weights_of_each_metric_are_found_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = by_name(images.metric_weights())
    assert {name: found[name].state for name in WEIGHTS} == dict.fromkeys(WEIGHTS, "absent")
    assert "curl" in found["niqe"].advice
    path = WEIGHTS["niqe"][0].path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"MATLAB")
    assert by_name(images.metric_weights())["niqe"].state == "ok"

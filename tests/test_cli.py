"""The command line end to end, as a person uses it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from harness.cli import main
from harness.config.errors import UsageError
from harness.config.files import load_setting
from tests.conftest import Run

METHODS = "cpl,promptir,explicit,oracle"
SMOKE = ("--methods", METHODS, "--recipe", "smoke")


def in_its_own_process(code: str, *arguments: str) -> str:
    """Run Python code as a program that must end well; return what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with `smoke`, shared by the tests that look at what it left."""
    out = tmp_path_factory.mktemp("run") / "out"
    command = [sys.executable, "-m", "harness", "run", *SMOKE, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    (out / "stdout.txt").write_text(done.stdout)
    return out


def test_help_does_not_import_torch() -> None:
    in_its_own_process(
        "import sys\nsys.argv = ['harness', '--help']\nfrom harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'numpy', 'pyiqa', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_run_prints_and_writes_the_table(finished: Path) -> None:
    text = (finished / "stdout.txt").read_text()
    for word in (
        "Degraded input",
        "CPL",
        "PromptIR, oracle",
        "σ=15",
        "Dehaze",
        "Average",
        "synthetic",
        "prompt-swap gap",
        "classifier accuracy on validation",
    ):
        assert word in text
    (path,) = finished.glob("tables/three-task-smoke-synthetic-*.csv")
    with path.open() as file:
        lines = list(csv.DictReader(file))
    methods = {line["method"] for line in lines}
    assert methods == {"degraded-input", "cpl", "promptir", "explicit", "oracle"}
    assert {line["column"] for line in lines} == {
        "denoise15",
        "denoise25",
        "denoise50",
        "dehaze",
        "derain",
        "average",
    }
    assert all(line["images_scored"] == line["images_expected"] for line in lines)
    ranked = {line["method"] for line in lines if line["rank"]}
    assert not ranked & {"oracle", "degraded-input"}
    for suffix in (".md", ".tex"):
        assert path.with_suffix(suffix).stat().st_size > 500


def test_runs_hold_what_made_them(finished: Path) -> None:
    (run,) = finished.glob("cpl-s0-*")
    record = json.loads((run / "provenance.json").read_text())
    assert record["versions"].keys() >= {"harness", "torch", "python"}
    assert record["peak_bytes"] > 10**8
    assert record["wall_s"] > 0
    spec = json.loads((run / "spec.json").read_text())
    assert (spec["method"], spec["options"]["top_k"], spec["seed"]) == ("cpl", 3, 0)
    assert not (run / "checkpoint.pt").exists()
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 5 * 2 * 2
    assert {row["protocol"] for row in rows} == {"rgb-float-uniform7"}


def test_a_repeated_run_computes_nothing(finished: Path, harness_command: Run) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.glob("*-s0-*/*")}
    printed = in_its_own_process(
        "import sys\nfrom harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code\n"
        "assert 'torch' not in sys.modules, 'a cached run must not load torch'\n",
        *("run", *SMOKE, "--out", str(finished)),
    )
    assert printed == (finished / "stdout.txt").read_text()
    assert {p: p.stat().st_mtime_ns for p in finished.glob("*-s0-*/*")} == before
    assert harness_command("table", *SMOKE, "--out", str(finished)).stdout == printed


def test_another_metric_trains_nothing(finished: Path, harness_command: Run) -> None:
    weights = {p: p.stat().st_mtime_ns for p in finished.rglob("weights.safetensors")}
    done = harness_command(
        *("run", "--methods", "promptir", "--recipe", "smoke", "--out", str(finished)),
        *("--metrics", "psnr_y601,gmsd"),
    )
    assert done.returncode == 0, done.stderr
    assert "GMSD" in done.stdout
    probes = json.loads(next(finished.glob("promptir-s0-*/prompt_summary.json")).read_text())
    assert probes["higher_is_better"]["pyiqa:gmsd"] is False
    assert "PSNR (Y)" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("weights.safetensors")} == weights


def test_jobs_change_nothing(finished: Path, tmp_path: Path, harness_command: Run) -> None:
    """Workers get their share of the threads; with one core each the last digits may differ."""
    done = harness_command(
        *("run", "--methods", "cpl,promptir", "--recipe", "smoke", "--out", str(tmp_path)),
        *("--jobs", "2"),
    )
    assert done.returncode == 0, done.stderr
    for method in ("cpl", "promptir"):
        (one,) = finished.glob(f"{method}-s0-*")
        (two,) = tmp_path.glob(f"{method}-s0-*")
        assert one.name == two.name
        a, b = (load_file(c / "weights.safetensors") for c in (one, two))
        assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-2


def test_dry_run_touches_nothing(tmp_path: Path, harness_command: Run) -> None:
    out = tmp_path / "out"
    done = harness_command("run", "--dry-run", "--methods", "explicit", "--out", str(out))
    assert done.returncode == 0
    assert "task-classifier" in done.stdout
    assert "missing" in done.stdout
    assert not out.exists()


@pytest.mark.parametrize("words", [("run", "--methods", "degraded-input"), ("ablate",)])
def test_an_export_that_would_write_nothing_is_refused(
    words: tuple[str, ...], tmp_path: Path, harness_command: Run
) -> None:
    out, kept = tmp_path / "out", tmp_path / "kept"
    asked = (*words, "--recipe", "smoke", "--out", str(out), "--export", str(kept))
    done = harness_command(*asked, "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--dry-run shows the plan only, and --export {kept} would write" in done.stderr
    assert "leave one of them out" in done.stderr
    kept.write_text("")
    done = harness_command(*asked)
    assert done.returncode == 2
    assert f"--export {kept} is a file; name a folder" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("command", ["run", "ablate"])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--dry-run",),
            "--dry-run shows the plan only, and --import results/reference would write to the "
            "output folder; leave one of them out",
        ),
        (("--device", "nowhere"), "--device nowhere cannot be used"),
        (("--launcher", "nobody"), "--launcher nobody is unknown"),
        (("--wait",), "--wait is about --launcher slurm"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_nothing_is_imported_before_all_flags_are_checked(
    command: str, more: tuple[str, ...], message: str, tmp_path: Path, harness_command: Run
) -> None:
    archive = ("--import", "results/reference", "--out", str(tmp_path / "out"))
    done = harness_command(command, *archive, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_column_of_the_table_is_checked_before_anything_is_imported(
    tmp_path: Path, harness_command: Run
) -> None:
    archive = ("--import", "results/reference", "--out", str(tmp_path / "out"))
    done = harness_command("run", *archive, "--show", "paramters")
    assert done.returncode == 2
    assert "unknown column 'paramters'" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "launcher"),
    [
        (("--slurm-options", "--time=1:00:00"), "slurm"),
        (("--wait",), "slurm"),
        (("--dask-scheduler", "tcp://host:8786"), "dask"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
@pytest.mark.parametrize("given", ["local", "dask", "slurm"])
def test_flags_of_a_launcher_are_refused_without_it(
    flag: tuple[str, ...], launcher: str, given: str, tmp_path: Path, harness_command: Run
) -> None:
    if given == launcher:
        return
    asked = () if given == "local" else ("--launcher", given)
    done = harness_command("run", "--out", str(tmp_path / "out"), *asked, *flag)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"harness: {flag[0]} is about --launcher {launcher}, and --launcher {given} does not read "
        f"it; name that launcher, or leave {flag[0]} out\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("exec", "run"), ("images",), ("figure", "grid"), ("report",)])
@pytest.mark.parametrize("flag", ["--launcher", "--dask-scheduler", "--slurm-options", "--wait"])
def test_what_computes_in_its_own_process_takes_no_launcher(
    words: tuple[str, ...], flag: str, harness_command: Run
) -> None:
    done = harness_command(*words, flag)
    assert done.returncode == 2
    assert f"No such option: {flag}" in done.stderr


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--method", "promptir"), "--method"),
        (("--required", "task-classifier=c.pth"), "--required"),
        (("--prompt-maps", "maps.npy"), "--prompt-maps"),
    ],
    ids=["method", "required", "prompt-maps"],
)
def test_evaluate_with_spandrel_refuses_what_it_does_not_read(
    words: tuple[str, ...], flag: str, harness_command: Run
) -> None:
    done = harness_command("evaluate", "--spandrel", "net.pth", *words)
    assert done.returncode == 2
    assert f"--spandrel net.pth recognises the network itself and does not read {flag};" in (
        done.stderr
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("runs", "list", "--out", "{}"), "{} is a file and no folder; name an output folder"),
        (
            ("runs", "prune", "--unfinished", "--out", "{}"),
            "{} is a file and no folder; name an output folder",
        ),
        (
            ("restore", "--run", "cpl", "--input", "{}", "--output", "x", "--out", "{}"),
            "{} is a file and no folder; name the folder of runs",
        ),
        (("run", "--out", "{}"), "--out {} is a file; name a folder"),
        (("table", "--out", "{}"), "--out {} is a file; name a folder"),
        (("compare", "cpl", "promptir", "--out", "{}"), "--out {} is a file; name a folder"),
        (("figure", "scatter", "--out", "{}"), "--out {} is a file; name a folder"),
        (("tune", "--out", "{}"), "--out {} is a file; name a folder"),
        (("run", "--import", "{}", "--out", "out"), "--import {} is a file; name a folder"),
        (
            ("leaderboard", "--results", "{}", "--to", "site"),
            "{} is a file and no folder; name an output folder",
        ),
        (("bench", "--compare", "folder"), "folder is a folder and no file; python -m harness"),
        (("methods", "--plugin", "folder"), "--plugin folder is a folder and no file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_file_is_no_folder_and_a_folder_no_file(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harness_command: Run,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    path = tmp_path / "file.png"
    path.write_text("")
    done = harness_command(*(word.format(path) for word in words))
    assert done.returncode in (1, 2)
    assert message.format(path) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--methods", "promptr"], "unknown method 'promptr'; did you mean 'promptir'"),
        (
            ["run", "--setting", "three-tsk"],
            "unknown setting 'three-tsk'; did you mean 'three-task'",
        ),
        (["run", "--recipe", "mni"], "unknown recipe 'mni'; did you mean 'mini'"),
        (["run", "--methods", "cpl:topk=2"], "cpl has no option 'topk'; did you mean 'top_k'"),
        (["run", "--methods", "cpr:cpr_negatives=unselected"], "this router selects all 5"),
        (["run", "--methods", ","], "names no method"),
        (["run", "--seeds", "x"], "--seeds 'x'"),
        (["run", "--seeds", "0,5-3"], "--seeds '0,5-3': 5-3 ends before it begins; write 3-5"),
        (["run", "--recipe", "absent.yaml"], "absent.yaml cannot be read"),
        (["methods", "cpll"], "did you mean 'cpl'"),
    ],
)
def test_unknown_names_exit_2_with_the_nearest(
    arguments: list[str], message: str, harness_command: Run
) -> None:
    done = harness_command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_bad_input_exits_1(tmp_path: Path, harness_command: Run) -> None:
    (tmp_path / "file").write_text("")
    done = harness_command("run", "--recipe", "smoke", "--out", str(tmp_path / "file" / "x"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    done = harness_command("table", "--out", str(tmp_path / "empty"))
    assert done.returncode == 1
    assert "holds no scores" in done.stderr


def test_an_unknown_metric_is_refused_before_training(tmp_path: Path, harness_command: Run) -> None:
    done = harness_command("run", "--recipe", "smoke", "--out", str(tmp_path), "--metrics", "lpisp")
    assert done.returncode == 2
    assert "unknown metric 'lpisp'" in done.stderr
    assert not list(tmp_path.rglob("weights.safetensors"))


def test_an_unknown_column_is_refused_before_training(tmp_path: Path, harness_command: Run) -> None:
    for more in ((), ("--dry-run",)):
        done = harness_command("run", "--out", str(tmp_path), "--show", "-h", *more)
        assert done.returncode == 2
        assert "unknown column '-h'" in done.stderr
    assert not list(tmp_path.rglob("spec.json"))


def test_a_failing_run_affects_no_other(tmp_path: Path, harness_command: Run) -> None:
    """VGG features without weights fail when the run is built; the other run is in the table."""
    done = harness_command(
        *("run", "--methods", "cpl:cpr_features=vgg16,promptir", "--recipe", "smoke"),
        *("--out", str(tmp_path)),
        HARNESS_VGG16_WEIGHTS=str(tmp_path / "none.pth"),
    )
    assert done.returncode == 1
    assert "1 of 3 runs failed: cpl:cpr_features=vgg16 seed 0" in done.stderr
    assert "none.pth is not there" in done.stderr
    lines = done.stdout.splitlines()
    assert not any("--" in line for line in lines if line.startswith("│ PromptIR"))
    assert any("--" in line for line in lines if line.startswith("│ CPL:cpr_features"))


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", "--debug", "run", "--methods", "x"])
    with pytest.raises(UsageError, match="unknown method 'x'"):
        main()


def test_methods_and_data_are_listed(harness_command: Run) -> None:
    done = harness_command("methods")
    assert all(name in done.stdout for name in ("promptir", "oracle", "cpl", "restormer"))
    assert "task-classifier" not in done.stdout
    assert "cpr_form" in harness_command("methods", "cpl").stdout
    data = harness_command("data")
    assert data.returncode == 0
    assert "synthetic version: ready" in data.stdout


SHORT = """
base: smoke
train: {steps: 2, decay_steps: 2, warmup_steps: 0, validate_every_steps: 2}
test: {images: 1, centre_px: 48}
"""


OTHERS = ("five-task", "seven-task", "all-weather", "composite", "weatherbench")
"""tests/test_field_settings.py runs foundir, weatherstream and union."""


@pytest.mark.parametrize("name", OTHERS)
def test_every_setting_runs(name: str, tmp_path: Path, harness_command: Run) -> None:
    """Three-task's runs are above; here training, scoring, probes and tables of the others."""
    recipe = tmp_path / "short.yaml"
    recipe.write_text(SHORT)
    done = harness_command(
        *("run", "--setting", name, "--methods", "promptir"),
        *("--recipe", str(recipe), "--out", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    setting = load_setting(name)
    (path,) = tmp_path.glob(f"tables/{name}-short-synthetic-*.csv")
    with path.open() as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == "promptir"]
    assert {line["column"] for line in lines} == {*(c.name for c in setting.columns), "average"}
    assert {line["metric"] for line in lines} == set(setting.protocol.metrics)
    assert all(line["images_scored"] == line["images_expected"] for line in lines)
    probes = json.loads(next(tmp_path.glob("promptir-*/prompt_summary.json")).read_text())
    assert list(probes["prompts"]["tasks"]) == list(setting.task_names)


LONG = """
base: smoke
train: {steps: 4000, decay_steps: 4000}
runtime: {checkpoint_every_steps: 5}
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_goes_on(how: signal.Signals, tmp_path: Path) -> None:
    recipe = tmp_path / "long.yaml"
    recipe.write_text(LONG)
    out = tmp_path / "out"
    arguments = ["run", "--methods", "promptir", "--recipe", str(recipe), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(out.rglob("checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, how)
    stderr = process.communicate(timeout=60)[1]
    (checkpoint,) = out.rglob("checkpoint.pt")
    if how == signal.SIGKILL:
        assert process.returncode == -how
    else:
        assert process.returncode == 130
        assert "Go on with: python -m harness run --methods promptir" in stderr
    # Training to the end would take minutes; here only where it resumes counts.
    again = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert again.stderr is not None
    seen = ""
    for line in again.stderr:
        seen += line
        if "resumes at step" in line:
            break
    again.kill()
    again.communicate()
    assert "resumes at step" in seen
    assert checkpoint.exists()

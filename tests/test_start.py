"""What a command imports, and the tables by which it finds the rest."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import harness.api
from harness.cli import app
from harness.cli.subcommands import SUBCOMMANDS, load

STUB = Path(harness.api.__file__).with_suffix(".pyi")


def imported(*words: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    code = (
        "import sys\nfrom harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_says_what_a_subcommand_says_of_itself(name: str) -> None:
    whole = load(name)
    assert SUBCOMMANDS[name].help == (whole.help or "").split("\n\n")[0]
    assert whole.name == name


def test_help_imports_no_subcommand() -> None:
    modules = imported("--help")
    assert "harness.cli.subcommands" in modules
    others = {"pydantic", "yaml", "numpy", "harness.api", "harness.cli.run", "harness.cli.options"}
    assert modules & others == set()


def test_a_subcommand_imports_no_other() -> None:
    modules = imported("runs", "list", "--out", "nowhere")
    assert "harness.cli.runs" in modules
    assert not modules & {"harness.cli.run", "harness.cli.data", "pandas", "torch"}


def test_a_run_that_is_stored_imports_nothing_that_computes(tmp_path: Path) -> None:
    words = ["run", "--methods", "promptir", "--out", str(tmp_path), "--device", "cpu"]
    archive = Path(__file__).parents[1] / "results" / "reference" / "three-task"
    assert CliRunner().invoke(app, [*words, "--import", str(archive)]).exit_code == 0
    modules = imported(*words)
    assert "harness.reporting.benchmark_table" in modules
    heavy = {"torch", "pandas", "scipy", "matplotlib", "PIL", "numpy.ma", "pyarrow"}
    others = {"harness.data.sources.on_disk", "harness.store.archive", "harness.planning.studies"}
    assert modules & (heavy | others) == set()


def test_a_command_asks_pydantic_for_no_plugins_and_keeps_its_exit_code() -> None:
    code = "import os, runpy, sys; sys.argv = ['harness', 'nothing']\n"
    code += "try:\n    runpy.run_module('harness', run_name='__main__', alter_sys=True)\n"
    code += "finally:\n    print(os.environ['PYDANTIC_DISABLE_PLUGINS'])\n"
    variables: tuple[tuple[dict[str, str], str], ...] = (
        ({}, "__all__"),
        ({"PYDANTIC_DISABLE_PLUGINS": "none"}, "none"),
    )
    for variable, shown in variables:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **variable},
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, f"{shown}\n")


def test_a_command_of_an_app_stands_beside_those_of_the_table() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert list(commands)[: len(SUBCOMMANDS)] == list(SUBCOMMANDS)
    assert {option.name for option in commands["run"].params} >= {"methods", "recipe", "out"}


def test_an_unknown_subcommand_names_the_nearest() -> None:
    result = CliRunner().invoke(app, ["tabel"])
    assert result.exit_code == 2
    assert "table" in result.stderr


def test_the_api_offers_what_its_stub_says() -> None:
    stated: dict[str, str] = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            assert ast.literal_eval(node.value) == harness.api.__all__
            continue
        assert isinstance(node, ast.ImportFrom)
        stated.update({alias.name: str(node.module) for alias in node.names})
    assert sorted(stated) == dir(harness.api)
    for name, module in stated.items():
        found = getattr(harness.api, name)
        assert found is getattr(sys.modules[module], name)
        assert inspect.getdoc(found)


def test_the_api_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = harness.api.nothing  # type: ignore[attr-defined]

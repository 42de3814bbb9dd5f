"""The command line: one file per subcommand, heavy imports inside them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli import (
    ablate,
    audit,
    bench,
    compare,
    convert,
    data,
    doctor,
    evaluate,
    figure,
    images,
    leaderboard,
    methods,
    plan,
    report,
    restore,
    run,
    runs,
    score,
    table,
    tune,
    validate,
)
from harness.cli.demo import command as demo
from harness.cli.flags import takes_groups
from harness.cli.output import make_output_patient
from harness.cli.stopping import terminable
from harness.config.errors import (
    HarnessError,
    Interrupted,
    is_out_of_memory,
    out_of_memory,
    reason_of,
)
from harness.config.ranks import rank_of_environment
from harness.config.version import __version__

app = typer.Typer(
    help="Train, score and compare all-in-one image restoration methods.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DEBUG = False


def _print_version(asked: bool) -> None:
    if asked:
        print(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Train, score and compare all-in-one image restoration methods."""
    global _DEBUG
    _DEBUG = debug


_SUBCOMMANDS = {
    "run": run.run,
    "plan": plan.plan,
    "exec": plan.execute,
    "ablate": ablate.ablate,
    "tune": tune.tune,
    "table": table.table,
    "compare": compare.compare,
    "evaluate": evaluate.evaluate,
    "figure": figure.figure,
    "images": images.images,
    "convert": convert.convert,
    "restore": restore.restore,
    "demo": demo.demo,
    "report": report.report,
    "leaderboard": leaderboard.leaderboard,
    "score": score.score,
    "audit": audit.audit,
    "validate": validate.validate,
    "methods": methods.methods,
    "doctor": doctor.doctor,
    "bench": bench.bench,
}
for _name, _function in _SUBCOMMANDS.items():
    app.command(_name)(takes_groups(_function))
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")


def main() -> None:
    """Run the command line; an expected error is one sentence and an exit code."""
    make_output_patient()
    try:
        with terminable():
            app()
    except HarnessError as error:
        if _DEBUG:
            raise
        known = error.raised_by_all or isinstance(error, Interrupted)
        if rank_of_environment() == 0 or not known:  # the first of several processes says it
            print(f"harness: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if _DEBUG:
            raise
        print(f"harness: {_sentence_on(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _sentence_on(error: Exception) -> str:
    """Return the sentence on an error that nobody expected."""
    if is_out_of_memory(error):
        return out_of_memory(error)
    return f"unexpected {reason_of(error)}; python -m harness --debug shows where"

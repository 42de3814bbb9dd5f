"""The command line: one file per subcommand, each imported when it is asked for."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from harness.cli.output import make_output_patient
from harness.cli.stopping import terminable
from harness.cli.subcommands import Subcommands
from harness.config.errors import (
    HarnessError,
    Interrupted,
    is_out_of_memory,
    out_of_memory,
    printable,
    reason_of,
)
from harness.config.ranks import rank_of_environment
from harness.config.version import __version__

app = typer.Typer(
    cls=Subcommands,
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
            print(f"harness: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if _DEBUG:
            raise
        print(f"harness: {printable(_sentence_on(error))}", file=sys.stderr)
        raise SystemExit(1) from None


def _sentence_on(error: Exception) -> str:
    """Return the sentence on an error that nobody expected."""
    if is_out_of_memory(error):
        return out_of_memory(error)
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"{os.fsdecode(error.filename)!r} cannot be read or written: {error.strerror}; check "
            "the path, its permissions and the space on its disk"
        )
    return f"unexpected {reason_of(error)}; python -m harness --debug shows where"

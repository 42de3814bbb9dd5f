"""The command line: one file per subcommand, heavy imports inside them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli import ablate, audit, convert, data, evaluate, methods, run, score, table
from harness.config.errors import HarnessError

app = typer.Typer(
    help="Train, score and compare all-in-one image restoration methods.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_DEBUG = False


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Train, score and compare all-in-one image restoration methods."""
    global _DEBUG
    _DEBUG = debug


app.command("run")(run.run)
app.command("ablate")(ablate.ablate)
app.command("table")(table.table)
app.command("evaluate")(evaluate.evaluate)
app.command("convert")(convert.convert)
app.command("score")(score.score)
app.command("audit")(audit.audit)
app.command("methods")(methods.methods)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; an expected error is one sentence and an exit code."""
    try:
        app()
    except HarnessError as error:
        if _DEBUG:
            raise
        print(f"harness: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        # The reader of our output went away; nothing is wrong.
        sys.stderr.close()
        raise SystemExit(0) from None
    except Exception as error:
        if _DEBUG:
            raise
        reason = str(error).split("\n")[0]
        print(
            f"harness: unexpected {type(error).__name__}: {reason}; python -m harness --debug "
            "shows where",
            file=sys.stderr,
        )
        raise SystemExit(1) from None

"""``python -m harness``."""

import gc
import os
import sys
from pathlib import Path


def _leave_the_working_folder_out() -> None:
    """Remove the working folder from the module path, unless this package lies in it.

    ``python -m`` puts it first, so that a folder or file there called ``methods`` or ``datasets``
    would hide a package of that name.
    """
    project = Path(__file__).resolve().parent.parent
    if sys.path and Path(sys.path[0] or ".").resolve() != project:
        del sys.path[0]


def _collect_less_often() -> None:
    """Let the garbage collector wait for more objects than a command makes that only shows a table.

    Most of them stay, and to look through them is a twentieth of the time of such a command.
    """
    gc.set_threshold(200_000, 50, 50)


def _leave_plugins_of_pydantic_out() -> None:
    """Keep pydantic from reading the metadata of every installed package for plug-ins of its own.

    They watch validations and change none; the variable, where it is set, says otherwise.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


if __name__ == "__main__":
    _leave_plugins_of_pydantic_out()
    _collect_less_often()
    _leave_the_working_folder_out()
    from harness.cli import main

    try:
        main()
    finally:
        gc.freeze()  # the interpreter looks through all objects before it ends

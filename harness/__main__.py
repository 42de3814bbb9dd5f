"""``python -m harness``."""

import gc
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
    """Let the garbage collector wait for more objects.

    Imports and plans make many objects that stay; to look through them again and again is a
    fifteenth of the time of a command that only prints a table.
    """
    gc.set_threshold(100_000, 50, 50)


if __name__ == "__main__":
    _collect_less_often()
    _leave_the_working_folder_out()
    from harness.cli import main

    main()

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
import torch

from harness.cli import main
from harness.config.files import load_setting
from harness.config.folders import INCLUDE_VARIABLE
from harness.config.settings import Setting
from harness.registry.plugins import PLUGINS_VARIABLE
from tests.pages import WatchedPage, headless_browser

# The networks of the tests are too small for a second thread to help, and on a shared machine
# threads that wait for each other cost more than the work. The variable is for the commands that
# tests run: two of them with two threads each all but stand still on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

hypothesis.settings.register_profile("machine", deadline=None)
hypothesis.settings.load_profile("machine")


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit code."""

    stdout: str
    stderr: str
    returncode: int


Run = Callable[..., Printed]


@contextmanager
def own_files_taken_back() -> Iterator[None]:
    """Take back what ``--include`` and plug-ins leave in the environment for child processes."""
    before = {name: os.environ.get(name) for name in (INCLUDE_VARIABLE, PLUGINS_VARIABLE)}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(autouse=True, scope="module")
def own_files_end_with_their_module() -> Iterator[None]:
    """Take back what the fixtures of a module leave: they are made before those of its tests."""
    with own_files_taken_back():
        yield


@pytest.fixture(autouse=True)
def own_files_end_with_their_test() -> Iterator[None]:
    with own_files_taken_back():
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with headless_browser() as found:
        yield found


@pytest.fixture
def watched(browser: Any) -> Iterator[WatchedPage]:
    """A page without network that notes what goes wrong."""
    page = WatchedPage(browser, viewport={"width": 1280, "height": 900})
    yield page
    page.close()


@pytest.fixture(scope="session")
def setting() -> Setting:
    return load_setting("three-task")


@pytest.fixture
def harness_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process: importing torch takes longer than most commands.

    Variables of the environment stay set until the test ends.
    """

    def run(*arguments: str, **environment: str) -> Printed:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        torch.set_num_threads(1)
        printed = capsys.readouterr()
        code = ended.value.code
        return Printed(printed.out, printed.err, code if isinstance(code, int) else int(bool(code)))

    return run

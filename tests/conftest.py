from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch

from harness.config.files import datasets_folder, load_setting
from harness.config.settings import Setting

# The networks of the tests are too small for a second thread to help, and on a shared machine
# threads that wait for each other cost more than the work.
torch.set_num_threads(1)

hypothesis.settings.register_profile("machine", deadline=None)
hypothesis.settings.load_profile("machine")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cards() -> Path:
    return datasets_folder()


@pytest.fixture(scope="session")
def setting() -> Setting:
    return load_setting("three-task")


@pytest.fixture
def harness_command() -> Run:
    """Run the command line in a process of its own, as a person does."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, **environment},
        )

    return run

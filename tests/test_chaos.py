"""Commands that are killed, stopped or run out of disk at any moment, and go on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from benchmarks.chaos.campaign import Chaos, content_of, warm
from benchmarks.chaos.hook import PHASES, Hook, run_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Chaos:
    """Return a campaign against ``run`` whose first folder holds the command never killed."""
    folder = tmp_path_factory.mktemp("chaos")
    warm(folder)
    made = Chaos("run", folder, random.Random(0), words=("run", "--methods", "promptir"))
    made.begin()
    return made


def attempt(chaos: Chaos, folder: Path, hook: Hook) -> tuple[int, str, float]:
    """Return exit code, what was printed on standard error, and the seconds until then."""
    chaos.shared.begin()
    process = os.fork()
    if process == 0:
        run_command(folder, chaos.words, hook)
    began = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, (folder / "stderr").read_text(), time.monotonic() - began


def test_twenty_kills_change_nothing(chaos: Chaos) -> None:
    chaos.kill(20, in_a_row=10)
    assert chaos.kills == 20
    assert not chaos.differences, chaos.report()
    assert chaos.compared >= 2
    assert "differences 0" in chaos.report()


def test_a_difference_is_found(chaos: Chaos) -> None:
    """A campaign that cannot fail would show nothing."""
    folder = chaos.new_folder("doubled")
    assert attempt(chaos, folder, Hook(chaos.shared))[0] == 0
    assert content_of(folder) == chaos.expected
    rows = next((folder / "out").glob("promptir-*/results.jsonl"))
    rows.write_bytes(rows.read_bytes() + rows.read_bytes().splitlines(keepends=True)[0])
    (folder / "out" / ".left.tmp").touch()
    found = content_of(folder)
    differing = {name for name in found if found[name] != chaos.expected.get(name)}
    assert differing == {str(rows.relative_to(folder)), "out/.left.tmp"}


@pytest.mark.parametrize("phase", PHASES)
def test_sigterm_stops_soon_and_the_command_goes_on(chaos: Chaos, phase: str) -> None:
    folder = chaos.new_folder(f"stopped-{phase}")
    code, said, _ = attempt(chaos, folder, Hook(chaos.shared, stop_in=phase))
    assert code == 130, said
    assert "harness: stopped; nothing is lost. Go on with: python -m harness run" in said
    assert "Traceback" not in said
    code, said, _ = attempt(chaos, folder, Hook(chaos.shared))
    assert code == 0, said
    assert content_of(folder) == chaos.expected


@pytest.mark.parametrize("part", [0.0, 0.5, 0.95])
def test_a_full_disk_is_a_sentence_and_the_command_goes_on(chaos: Chaos, part: float) -> None:
    folder = chaos.new_folder(f"full-{part}")
    number = 1 + int(part * sum(map(len, chaos.whole_calls.values())))
    code, said, _ = attempt(chaos, folder, Hook(chaos.shared, at=number, full=True))
    assert code == 1, said
    assert "cannot be written: No space left on device; free space there" in said
    assert "Traceback" not in said
    code, said, _ = attempt(chaos, folder, Hook(chaos.shared))
    assert code == 0, said
    assert content_of(folder) == chaos.expected


def test_a_kill_by_signal_is_what_it_claims(chaos: Chaos) -> None:
    folder = chaos.new_folder("one kill")
    assert attempt(chaos, folder, Hook(chaos.shared, at=3))[0] == -signal.SIGKILL
    assert sum(map(len, chaos.shared.calls().values())) == 3

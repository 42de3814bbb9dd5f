"""Nothing asks the network: not an import, not a default run, not a table or report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CUT = """
import os
import sys

ASKS = {
    "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo",
}
HERE = {None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1"}


def cut(event, arguments):
    if event not in ASKS:
        return
    asked = arguments[0] if event.startswith("socket.get") else arguments[1]
    if isinstance(asked, tuple) and len(asked) > 1:
        asked = asked[0]
    elif not event.startswith("socket.get"):
        return  # the address of a socket of the file system
    if asked in HERE:
        return
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(f"{event} {asked!r} of {sys.argv}\\n")
    raise OSError(f"the network is cut: {event} {asked!r}")


sys.addaudithook(cut)
"""
"""The ``sitecustomize`` of a process and its children: what they ask is noted and refused."""

IMPORTS = """
import importlib, pkgutil, sys
import harness
from harness.method import OptionError
sys.path.insert(0, "{root}")
import methods
count = 0
for package in (harness, methods):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            try:
                importlib.import_module(found.name)
            except (OptionError, ModuleNotFoundError) as error:  # of an optional package
                assert "spandrel_extra_arches" in str(error)
                continue
            count += 1
print(count)
"""

COMMANDS = """
import sys
from harness.cli import main

ASKED = ["--recipe", "smoke", "--methods", "cpl,promptir", "--out", "runs"]
for words in (
    ["--help"],
    ["run", "--help"],
    ["run", *ASKED],
    ["run", *ASKED],
    ["table", *ASKED],
    ["report", *ASKED, "--to", "pages"],
    ["runs", "list", "--out", "runs"],
    ["methods"],
    ["data"],
):
    sys.argv = ["harness", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


class CutOff:
    """Runs Python without a network, and remembers what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "network.log"
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(CUT)
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
            "NETWORK_LOG": str(self.log),
            "OMP_NUM_THREADS": "1",
        }

    def python(self, code: str, *before: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def asked(self) -> list[str]:
        """Return what was asked of the network."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def cut_off(tmp_path: Path) -> CutOff:
    return CutOff(tmp_path)


def own_network() -> list[str]:
    """Return the words that begin a command in a network of its own that reaches nothing.

    None where the system allows no process that: what Python asks is noted and refused anyway.
    """
    words = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        return []
    allowed = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if allowed else []


@pytest.mark.parametrize(
    "code",
    [
        "import urllib.request; urllib.request.urlopen('http://example.org')",
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "import socket; socket.gethostbyname('example.org')",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        "\"import socket; socket.getaddrinfo('example.org', 80)\"], check=True)",
    ],
    ids=["page", "connection", "datagram", "name", "child"],
)
def test_what_asks_the_network_is_caught(code: str, cut_off: CutOff) -> None:
    ended = cut_off.python(code)
    assert ended.returncode == 1
    assert "the network is cut" in ended.stderr
    assert len(cut_off.asked()) == 1


def test_this_machine_is_no_network(cut_off: CutOff) -> None:
    code = """
import socket
listening = socket.create_server(("127.0.0.1", 0))
socket.create_connection(("localhost", listening.getsockname()[1]))
here = socket.socket(socket.AF_UNIX)
here.bind("socket")
here.listen()
socket.socket(socket.AF_UNIX).connect("socket")
"""
    ended = cut_off.python(code)
    assert ended.returncode == 0, ended.stderr
    assert not cut_off.asked()


def test_no_import_asks_the_network(cut_off: CutOff) -> None:
    ended = cut_off.python(IMPORTS.format(root=ROOT))
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[-1]) > 300
    assert not cut_off.asked()


def test_a_default_run_its_table_and_report_ask_nothing(cut_off: CutOff) -> None:
    ended = cut_off.python(COMMANDS, *own_network())
    assert ended.returncode == 0, ended.stderr
    assert "PromptIR" in ended.stdout
    assert (cut_off.folder / "pages" / "index.html").exists()
    assert not cut_off.asked()

"""The subcommand: opens the networks, binds the port and serves the page until Ctrl-C."""

from __future__ import annotations

import ipaddress
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import Plugins
from harness.config.errors import UsageError

if TYPE_CHECKING:
    from harness.api import RestoreRequest

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")
_PACKAGES = ("starlette", "uvicorn")


@dataclass(frozen=True)
class PageFlags:
    """Where the page is, and what it accepts."""

    host: Annotated[
        str,
        typer.Option(help="Address to listen on; others than this machine's own are warned of."),
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765
    max_megabytes: Annotated[float, typer.Option(min=0.01, help="Largest file.")] = 100.0
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Largest image.")] = 30.0


@dataclass(frozen=True)
class ComputeFlags:
    """What restoring may use."""

    memory: Annotated[
        float | None,
        typer.Option(
            help="Memory to take in GB; without it half of what is free, on a GPU nine tenths."
        ),
    ] = None
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto"
    threads: Annotated[int | None, typer.Option(min=1, help="Compute threads.")] = None


def demo(
    run: Annotated[list[str], typer.Option("--run", help="Run in --out; repeatable.")],
    page: PageFlags,
    compute: ComputeFlags,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("results/runs"),
    plugin: Plugins = None,
) -> None:
    """Open a local web page: drop an image, choose a method, compare before and after."""
    from harness.api import RestoreRequest

    _require_packages()
    request = RestoreRequest(
        inputs=(),
        output=Path(),
        out=out,
        memory_gb=compute.memory,
        plugins=tuple(plugin or ()),
        device=compute.device,
        threads=compute.threads,
    )
    listening = bound_socket(page.host, page.port)
    try:
        _serve(_opened(run, request), request, page, listening)
    finally:
        listening.close()


def _require_packages() -> None:
    """Refuse to begin without the optional packages.

    Raises:
        UsageError: names the command that installs them.
    """
    import importlib.util

    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"demo needs {' and '.join(missing)}; install it: pip install "
            "'restoration-harness[demo]'"
        )


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"--host {host} --port {port} cannot be used ({reason}); choose another --port"
        ) from error
    return bound


def _opened(runs: list[str], request: RestoreRequest) -> dict[str, Any]:
    """Return the opened networks by name."""
    from dataclasses import replace

    from harness.api import opened_restorer

    restorers: dict[str, Any] = {}
    for name in dict.fromkeys(runs):
        restorer = opened_restorer(replace(request, run=name))
        restorers[restorer.name] = restorer
    return restorers


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _serve(
    restorers: dict[str, Any], request: RestoreRequest, page: PageFlags, listening: socket.socket
) -> None:
    import uvicorn

    from harness.cli.demo.app import Limits, make_app
    from harness.cli.demo.jobs import Jobs

    is_local = is_loopback(page.host)
    if not is_local:
        print(
            f"warning: --host {page.host} lets everyone who reaches this machine upload images and "
            "use its processor; nothing is encrypted",
            file=sys.stderr,
        )
    jobs = Jobs(restorers, request)
    limits = Limits(page.max_megabytes, page.max_megapixels)
    app = make_app(jobs, limits, _LOOPBACK_NAMES if is_local else ("*",))
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, timeout_graceful_shutdown=2
    )
    shown = f"[{page.host}]" if ":" in page.host else page.host
    print(f"http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C ends it)", flush=True)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises it again once it has ended
        pass
    finally:
        jobs.close()
    print("ended")

"""Claims: each run of a plan is computed by one process, on whatever machine of a shared folder.

A claim is a file that only one process can create, with its owner in it: host, process, the time
at which the process began. It needs no ``flock``, which some network file systems grant to
everybody. Its owner renews it while it computes. A claim is taken over at once where its process
is gone from this host; where it belongs to another host, after it was not renewed for
:data:`CLAIM_S`. Whoever waits measures that on a clock of its own, so that clocks may differ.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError, Interrupted
from harness.execution.progress import Progress
from harness.planning.run import Run
from harness.store.files import is_running, not_written
from harness.store.run_folder import RunFolder

if TYPE_CHECKING:
    from filelock import SoftFileLease

CLAIM_S = 180.0
"""A claim that is not renewed for so long belongs to nobody. Network file systems may show a file's
time a minute late."""

RENEWED_EVERY_S = 15.0
"""Time between two renewals of a claim."""

_POLL_S = 1.0

_LOOKS, _LOOK_AGAIN_S = 5, 0.4
"""How often a claim is read before it counts as lost, and how long after one another."""

_EMPTY_S = 5.0
"""An owner writes its name into its claim at once; one that has none for so long was killed."""

_TAKEOVER = re.compile(r"\.claim\.(?:break|restore)\.(\d+)\.[0-9a-f]+")
"""Names that a takeover has for a moment, with the process that takes over."""


class RunIsHeld(HarnessError):  # noqa: N818 - another process computes it, which is no error
    """Another process computes the run."""


@dataclass(frozen=True)
class Claim:
    """The claim that this process has on a run."""

    run: Run
    lease: SoftFileLease

    def lost(self) -> bool:
        """Return whether another process has taken the run over.

        That happens to a process that was suspended for minutes, or cut off from the folder.
        """
        token = self.lease.token
        if token is None or self.lease.compromise is not None:
            return True
        # A network file system may show a file empty, or not at all, for a moment, and so does a
        # process that looks at a claim which it cannot take over.
        for look in range(_LOOKS):
            if look:
                time.sleep(_LOOK_AGAIN_S)
            if self._names(token):
                return False
        return True

    def _names(self, token: str) -> bool:
        """Return whether the claim's file holds ``token``, as far as that can be known now."""
        try:
            return token in self.run.folder.claim.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError):
            return True

    def check(self) -> None:
        """Raise :class:`RunIsHeld` where another process has taken the run over."""
        if self.lost():
            raise RunIsHeld(f"{self.run.label} was taken over by another process")


@contextmanager
def hold(run: Run, progress: Progress, stop: Callable[[], bool], wait: bool) -> Iterator[Claim]:
    """Claim a run while it is computed.

    Args:
        run: what is claimed.
        progress: logs, once, that another process has the claim.
        stop: asked while waiting.
        wait: whether to wait while another process has the claim.

    Raises:
        RunIsHeld: another process has the claim, and it is not waited for, or it has taken the run
            over meanwhile.
        Interrupted: ``stop`` answered yes while the claim was waited for.
        HarnessError: the folder cannot be written.
    """
    contender = _Contender.of(run.folder)
    logged = False
    while not contender.acquired():
        if not wait:
            raise RunIsHeld(f"{run.label} is computed by another process")
        if stop():
            raise Interrupted(f"{run.label} was waiting for another process")
        if not logged:
            progress.log("another process computes this run; waiting for it")
            logged = True
        time.sleep(_POLL_S)
    claim = Claim(run, contender.lease)
    try:
        _remove_broken_takeovers(run.folder.path)
        yield claim
    except Interrupted:
        claim.check()
        raise
    finally:
        contender.release()


@contextmanager
def hold_stored(folder: RunFolder) -> Iterator[bool]:
    """Claim a stored run while it is removed, and yield whether no other process has the claim.

    Raises:
        HarnessError: the folder cannot be written.
    """
    contender = _Contender.of(folder)
    held = contender.acquired()
    try:
        yield held
    finally:
        if held:
            contender.release()


def remove_dead_claims(runs: Sequence[Run]) -> None:
    """Remove the claims of processes that were killed after the last write of a run.

    Nobody computes such a run again. On a disk that may only be read they stay.
    """
    for run in runs:
        if not run.folder.claim.exists():
            continue
        contender = _Contender.of(run.folder)
        with contextlib.suppress(HarnessError, OSError):
            if contender.acquired():
                contender.release()


@dataclass
class _Contender:
    """A process that would claim a run, and what it has seen of the claim so far.

    Attributes:
        path: file of the claim.
        lease: its claim, once it has it.
        empty: inode of a claim that names no owner, and when it was first seen.
    """

    path: Path
    lease: SoftFileLease
    empty: tuple[int, float] | None = None

    @classmethod
    def of(cls, folder: RunFolder) -> _Contender:
        from filelock import SoftFileLease

        lease = SoftFileLease(
            folder.claim,
            lease_duration=CLAIM_S,
            heartbeat_interval=RENEWED_EVERY_S,
            thread_local=False,
        )
        return cls(folder.claim, lease)

    def acquired(self) -> bool:
        """Return whether the claim is this process's now."""
        from filelock import Timeout

        try:
            self.lease.acquire(timeout=0)
        except Timeout:
            with contextlib.suppress(OSError):
                self._remove_empty()
            return False
        except OSError as error:
            raise HarnessError(not_written(self.path, error)) from error
        return True

    def release(self) -> None:
        """Give the claim back; one that cannot be removed ends by itself."""
        with contextlib.suppress(OSError):
            self.lease.release()

    def _remove_empty(self) -> None:
        """Remove the claim of a process that was killed before it wrote its name into it.

        What is renamed is looked at again: meanwhile another may have claimed the run.
        """
        path = self.path
        found = path.stat()
        if found.st_size:
            self.empty = None
            return
        if self.empty is None or self.empty[0] != found.st_ino:
            self.empty = (found.st_ino, time.monotonic())
        if time.monotonic() - self.empty[1] < _EMPTY_S:
            return
        aside = path.with_name(f"{path.name}.break.{os.getpid()}.{secrets.token_hex(16)}")
        path.rename(aside)
        try:
            if aside.stat().st_size:
                os.link(aside, path)
        finally:
            aside.unlink()


def _remove_broken_takeovers(folder: Path) -> None:
    """Remove what processes of this host left that were killed while they took a claim over."""
    for path in folder.glob(".claim.*"):
        found = _TAKEOVER.fullmatch(path.name)
        if found is None or os.name != "posix" or is_running(int(found[1])):
            continue
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = path.read_text(encoding="utf-8")
            if not text or platform.node() in text:
                path.unlink()

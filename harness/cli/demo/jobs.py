"""The restorations of a demo: one at a time, in the order in which images arrived."""

from __future__ import annotations

import queue
import secrets
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.config.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.api import RestoreRequest

_KEPT_JOBS = 20
"""Results that stay on disk; older ones are removed."""


@dataclass
class Job:
    """One image and what is done with it.

    Attributes:
        id: part of the addresses of its images.
        folder: where its files are.
        upload: the image as it arrived.
        name: name of the result.
        method: name of the method.
        prompt: task whose prompts are forced; empty leaves the choice to the method.
        pixels: of the image.
        state: where it stands.
        reason: why it failed.
        done_px: pixels that are restored.
        facts: sentences on the result.
        wall_s: time that it took.
    """

    id: str
    folder: Path
    upload: Path
    name: str
    method: str
    prompt: str
    pixels: int
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    reason: str = ""
    done_px: int = 0
    facts: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def result(self) -> Path:
        """The restored image."""
        return self.folder / "result" / self.name

    def preview(self, which: str) -> Path:
        """Return the PNG file that the page shows of ``before`` or ``after``."""
        return self.folder / f"{which}.png"


class Jobs:
    """Restores images one after the other in a thread of its own.

    Args:
        restorers: opened networks by the name of their method.
        request: how large images are cut.
        most_waiting: images that may wait; further ones are refused.
    """

    def __init__(
        self, restorers: Mapping[str, Any], request: RestoreRequest, most_waiting: int = 4
    ) -> None:
        self.restorers = restorers
        self._request = request
        self._most_waiting = most_waiting
        self._jobs: dict[str, Job] = {}
        self._queue: queue.Queue[Job] = queue.Queue()
        self._root = Path(tempfile.mkdtemp(prefix="harness-demo-"))
        # A daemon: Ctrl-C ends the program in the middle of a restoration.
        threading.Thread(target=self._work, daemon=True).start()

    def close(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._root, ignore_errors=True)

    def get(self, job_id: str) -> Job | None:
        """Return a job, None if it is unknown or long gone."""
        return self._jobs.get(job_id)

    def position(self, job: Job) -> int:
        """Return how many jobs are restored before this one."""
        ahead = 0
        for other in list(self._jobs.values()):
            if other is job:
                break
            ahead += other.state in {"waiting", "running"}
        return ahead

    def is_full(self) -> bool:
        """Return whether as many images wait as may."""
        return self._queue.qsize() >= self._most_waiting

    def new_folder(self) -> Path:
        """Return the folder of a new job; its name is the job's id."""
        folder = self._root / secrets.token_urlsafe(12)
        folder.mkdir()
        return folder

    def submit(self, job: Job) -> None:
        """Let an image wait for its turn."""
        self._jobs[job.id] = job
        finished = [old for old in self._jobs.values() if old.state in {"done", "failed"}]
        for old in finished[:-_KEPT_JOBS]:
            del self._jobs[old.id]
            shutil.rmtree(old.folder, ignore_errors=True)
        self._queue.put(job)

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            job.state = "running"
            try:
                self._restore(job)
                job.state = "done" if not job.reason else "failed"
            except HarnessError as error:
                job.reason, job.state = str(error), "failed"
            except Exception as error:  # the page goes on, whatever a method does
                job.reason = f"unexpected {type(error).__name__}: {error}"
                job.state = "failed"
            job.reason = job.reason.replace(str(job.upload), job.name)

    def _restore(self, job: Job) -> None:
        from harness.api import restore_one, write_preview

        def on_pixels(more: int) -> None:
            job.done_px += more

        write_preview(job.upload, job.preview("before"))
        request = replace(self._request, prompt=job.prompt)
        restorer = self.restorers[job.method]
        found = restore_one(restorer, job.upload, job.result, request, on_pixels)
        if found.state == "failed":
            job.reason = found.reason
            return
        write_preview(job.result, job.preview("after"))
        job.wall_s = found.wall_s
        job.facts = [*found.notes, *filter(None, [found.prompts])]


def check_choice(restorers: Mapping[str, Any], method: str, prompt: str) -> None:
    """Refuse a method that is not there, or prompts that cannot be forced on it.

    Raises:
        UsageError: says which.
    """
    if method not in restorers:
        raise UsageError(f"there is no method '{method}' on this page; reload it")
    restorers[method].check_task(prompt or None)

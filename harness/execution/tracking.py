"""Reporting one run to a tracker, which can fail without the run noticing.

The store stays the truth: what a tracker receives is stored already, enters no hash and is never
read again. One small file next to the tracker's says what it has received, so that a run that goes
on repeats nothing.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError, reason_of
from harness.execution.trackers import NO_TRACKER, open_tracker
from harness.execution.trackers.protocol import Matrix, TrackedRun, Tracker
from harness.planning.run import Run
from harness.store.files import file_name, read_json_object, write_json
from harness.training.progress import Validated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "tracking"
"""Folder of all trackers in the output folder."""

_STATE_FILE = "harness.json"


@dataclass
class _Received:
    """What the tracker of a run has received, in this process and before.

    Attributes:
        id: of the run, for the tracker.
        step: of the last validation that was reported.
        reports: calls of the tracker.
        names: of the scores, images and probes that were reported.
        score_id: of the first score that was reported; others have it in their names.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    step: int = 0
    reports: int = 0
    names: list[str] = field(default_factory=list)
    score_id: str = ""


class Tracking:
    """Reports a run to its tracker. No method raises, and nothing is written before a report.

    Args:
        run: what is reported.
        tracker: name of the tracker, or ``none``.
        log: receives one line if the tracker fails; it is left alone after that.
    """

    def __init__(self, run: Run, tracker: str, log: Callable[[str], None]) -> None:
        self.run, self.name, self.log = run, tracker, log
        out = run.folder.path.parent
        self.folder = out / FOLDER / file_name(tracker) / run.id
        self._ended = tracker == NO_TRACKER
        self._lock = threading.Lock()
        self._tracker: Tracker | None = None
        self._received: _Received | None = None

    @property
    def is_on(self) -> bool:
        """Whether a tracker receives what is reported."""
        return not self._ended

    def validated(self, validated: Validated) -> None:
        """Report the course of the training, unless that of the step was reported."""
        values = {
            "training/learning_rate": validated.learning_rate,
            "training/images_per_s": validated.images_per_s,
            "validation/mean": validated.score,
        }
        for task, value in validated.per_task.items():
            values[f"validation/{task}"] = value
        for term, value in validated.losses.items():
            values[f"loss/{term}"] = value

        def send(tracker: Tracker, received: _Received) -> None:
            if validated.step > received.step:
                received.step = validated.step
                self._claim(received)
                tracker.scalars(values, validated.step)

        self._report(send)

    def scores(self, score_id: str, label: str, means: dict[str, float]) -> None:
        """Report means over images by name, without those that were reported.

        Args:
            score_id: of what was scored. The first one of a run has the group ``scores``.
            label: what the groups of others begin with.
            means: by column and metric.
        """

        def send(tracker: Tracker, received: _Received) -> None:
            received.score_id = received.score_id or score_id
            group = "scores"
            if score_id != received.score_id:
                group = f"scores {label} {score_id[:8]}"
            new: dict[str, float] = {}
            for name, value in means.items():
                if f"{group}/{name}" not in received.names:
                    new[f"{group}/{name}"] = value
            if new:
                self._claim(received, *new)
                tracker.scalars(new, self._steps)

        self._report(send)

    def image(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Report an image (H, W, 3), once."""
        self._once(name, lambda tracker: tracker.image(name, pixels, self._steps))

    def probe(self, name: str, matrix: Matrix) -> None:
        """Report what a probe measured, once."""
        self._once(name, lambda tracker: tracker.probe(name, matrix, self._steps))

    def close(self) -> None:
        """End the tracker in this process."""
        if self._tracker is not None:
            self._report(lambda tracker, _: tracker.close())
        self._ended = True

    @property
    def _steps(self) -> int:
        """The steps after which a run is scored; 0 where nothing is trained."""
        optimisation = self.run.train.optimisation
        return 0 if optimisation is None else optimisation.steps

    def _once(self, name: str, send: Callable[[Tracker], None]) -> None:
        def send_new(tracker: Tracker, received: _Received) -> None:
            if name not in received.names:
                self._claim(received, name)
                send(tracker)

        self._report(send_new)

    def _claim(self, received: _Received, *names: str) -> None:
        """Store that something is reported, before it is: a kill in between repeats nothing."""
        received.names += names
        received.reports += 1
        write_json(self._state_file, asdict(received))

    def _report(self, send: Callable[[Tracker, _Received], None]) -> None:
        with self._lock:
            if self._ended:
                return
            try:
                tracker, received = self._opened()
                send(tracker, received)
                tracker.flush()
            except (Exception, SystemExit) as error:  # whatever another's program does
                self._ended = True
                reason = str(error) if isinstance(error, HarnessError) else reason_of(error)
                self.log(
                    f"warning: the tracker {self.name} failed ({reason}); the run goes on without "
                    "it, and its folder has all results"
                )

    def _opened(self) -> tuple[Tracker, _Received]:
        if self._received is None:
            self._received = _read(self._state_file)
        if self._tracker is None:
            tracked = TrackedRun(
                id=self._received.id,
                name=f"{self.run.label} ({self.run.id})",
                folder=self.folder,
                config=self.run.train.model_dump(mode="json"),
                reports=self._received.reports,
            )
            self._tracker = open_tracker(self.name, tracked)
        return self._tracker, self._received

    @property
    def _state_file(self) -> Path:
        return self.folder / _STATE_FILE


def _read(file: Path) -> _Received:
    """Return what was received so far; a file that is no such state is an error."""
    if not file.exists():
        return _Received()
    try:
        return _Received(**read_json_object(file))
    except TypeError as error:
        raise HarnessError(f"{file} is damaged; remove its folder to track from here on") from error

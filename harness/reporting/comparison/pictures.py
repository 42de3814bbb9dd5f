"""What two methods made of the images on which they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.planning.command_line import command_line
from harness.planning.image_choice import Name
from harness.planning.plan import Plan
from harness.reporting.figures.grid import draw
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.shown_images import runs_with_images
from harness.reporting.figures.style import paper_style, save
from harness.store.image_files import image_paths

MOST_PICTURES = 50
"""Images of one grid at most."""


@dataclass(frozen=True)
class PairPictures:
    """A grid of the images on which two methods differ most.

    Attributes:
        plan: the two methods and the degraded input.
        names: column and image of each, in the order of the rows.
    """

    plan: Plan
    names: tuple[Name, ...]

    @classmethod
    def of(cls, plan: Plan, methods: Sequence[str], names: Sequence[Name]) -> PairPictures:
        """Return those of two methods of a plan, by their ids."""
        runs = []
        for run in plan.runs:
            if run.method.id in methods or not run.method.spec.trained:
                runs.append(run)
        # The id of a method is a reference to it.
        request = plan.request.model_copy(update={"methods": tuple(methods)})
        return cls(replace(plan, request=request, runs=tuple(runs), others=()), tuple(names))

    @property
    def are_kept(self) -> bool:
        """Whether all images are there, so that nothing has to be restored."""
        runs = runs_with_images(self.plan)
        for run in runs:
            assert run.score is not None
            for name in self.names:
                if not all(map(Path.exists, image_paths(run.folder, run.score, *name).all)):
                    return False
        return len(runs) > 1

    @property
    def command(self) -> str:
        """The command that makes what is missing, and draws them; empty if weights are missing."""
        if len(runs_with_images(self.plan)) < 2:
            return ""
        names = [f"{column}:{image}" for column, image in self.names[:MOST_PICTURES]]
        flags = ["grid"]
        for name in names:
            flags += ["--images", name]
        return command_line("figure", self.plan.request, flags)

    def draw(self, stem: Path) -> list[Path]:
        """Draw them as ``figure grid`` does, and return the files."""
        with paper_style():
            figure = draw(FigureRequest(self.plan, None, self.names, "auto"))
        return save(figure, stem)

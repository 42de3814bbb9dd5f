"""Files of images that are kept: restored ones with their run, test images once for all runs.

They are 8-bit RGB PNG. A restored image lies in the folder of its run, below the id of the score
that it counts in; the degraded and the clean image of a pair lie in the output folder, below the id
of the test set. Columns and images keep their names as far as a file can have them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.config.errors import HarnessError
from harness.config.hashing import spec_hash
from harness.config.quoting import quoted_file_name
from harness.config.run_specs import ScoreSpec, TestSet
from harness.store.files import write_bytes
from harness.store.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FOLDER = "images"

TestImageKind = Literal["degraded", "clean"]


@dataclass(frozen=True)
class ImagePaths:
    """Where the images of one test pair and what a run made of it are kept, if they are.

    Attributes:
        restored: what the run made of the degraded image.
        degraded: the input of all runs.
        clean: what restored images are compared to.
    """

    restored: Path
    degraded: Path
    clean: Path

    @property
    def all(self) -> tuple[Path, Path, Path]:
        """The three paths."""
        return (self.restored, self.degraded, self.clean)


def restored_path(folder: RunFolder, score_id: str, column: str, image: str) -> Path:
    """Return where the image is kept that a run restored; there need be no file."""
    return folder.path / _FOLDER / _below(score_id, column, image)


def test_image_path(out: Path, test_id: str, column: str, image: str, kind: TestImageKind) -> Path:
    """Return where a test image is kept for all runs of an output folder; there need be no file."""
    return out / _FOLDER / test_id / kind / _below(column, image)


# pytest would take the name for a test.
test_image_path.__test__ = False  # type: ignore[attr-defined]


def id_of_test_set(test: TestSet) -> str:
    """Return the id of a test set: the hash of all that decides its pairs."""
    return spec_hash(test)


def image_paths(folder: RunFolder, score: ScoreSpec, column: str, image: str) -> ImagePaths:
    """Return where the images of a run's test pair are kept."""
    out, test_id = folder.path.parent, id_of_test_set(score.test)
    return ImagePaths(
        restored=restored_path(folder, spec_hash(score), column, image),
        degraded=test_image_path(out, test_id, column, image, "degraded"),
        clean=test_image_path(out, test_id, column, image, "clean"),
    )


def write_image(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as PNG, atomically.

    Raises:
        HarnessError: the file cannot be written.
    """
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    write_bytes(path, content.getvalue())


def read_kept_image(path: Path) -> NDArray[np.uint8]:
    """Read an image that is kept: (H, W, 3) uint8 RGB.

    Raises:
        HarnessError: the file is missing or damaged; says how it is made again.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise HarnessError(
            f"image {path} cannot be read ({error}); delete it, and python -m harness images "
            "makes it again"
        ) from error


def _below(*names: str) -> Path:
    *folders, image = map(quoted_file_name, names)
    return Path(*folders) / f"{image}.png"

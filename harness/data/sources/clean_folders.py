"""The folders of clean images of a request: what is trained, validated and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.errors import UsageError
from harness.config.run_specs import CleanFolder
from harness.data.parallel_map import OnProgress, no_progress

if TYPE_CHECKING:
    from harness.data.on_disk.clean_images import CleanImages
    from harness.data.on_disk.sizes import SizeRule

_LEAST_PX = 16
"""The side of the smallest image that every degradation can be applied to."""


@dataclass(frozen=True)
class CleanFolders:
    """Clean images of folders; where there is none the embedded ones are used.

    Attributes:
        train: trained on.
        val: validated on; without it some of ``train`` are held out.
        test: tested on.
        on_progress: receives how many files have been measured.
    """

    train: CleanImages | None = None
    val: CleanImages | None = None
    test: CleanImages | None = None
    on_progress: OnProgress = no_progress

    @property
    def of_validation(self) -> CleanImages | None:
        """The folder that holds the validation images."""
        return self.train if self.val is None else self.val

    def of_training(self) -> tuple[CleanFolder | None, CleanFolder | None]:
        """Return what is trained on and what is validated on.

        Raises:
            UsageError: nothing can be held out of a folder of few images.
        """
        train, val = self.train, self.val
        validation = None if val is None else val.spec(val.pairs)
        if train is None:
            return None, validation
        from harness.data.on_disk.training_sets import held_out, trained_on

        if validation is not None:
            return train.spec(train.pairs), validation
        chosen = held_out(train.pairs, train.name)
        if not chosen:
            raise UsageError(
                f"--clean-images train: {train.where} holds {len(train.pairs)} images, too few to "
                "hold one out for validation; give 10 or more, or --clean-images val=DIR"
            )
        held = train.spec(chosen)
        return train.spec(trained_on(train.pairs, held.images)), held

    def check_training_sizes(self, multiple: int, patch_px: int) -> None:
        """Refuse images that a patch, or a validation crop of ``multiple`` pixels, does not fit in.

        Raises:
            HarnessError: names the files; or one is no image.
        """
        if self.val is not None:
            self._check(self.val, _rule(multiple))
        if self.train is not None:
            from harness.data.on_disk.sizes import SizeRule

            rule = SizeRule(
                least_px=max(patch_px, multiple, _LEAST_PX),
                what=f"the patch of {patch_px} pixels",
                way_out="take them out, or lower patch_px in the recipe",
            )
            self._check(self.train, rule)

    def check_test_sizes(self, multiple: int) -> None:
        """Refuse test images that are too small to be cut to ``multiple`` and degraded.

        Raises:
            HarnessError: names the files; or one is no image.
        """
        if self.test is not None:
            self._check(self.test, _rule(multiple))

    def _check(self, found: CleanImages, rule: SizeRule) -> None:
        from harness.data.on_disk.sizes import check_sizes

        check_sizes(found.where, found.pairs, found.sha256, rule, self.on_progress)


def _rule(multiple: int) -> SizeRule:
    from harness.data.on_disk.sizes import SizeRule

    least_px = max(_LEAST_PX, multiple)
    what = f"the {least_px} pixels that are cut to multiples of {multiple} and degraded"
    return SizeRule(least_px, what, "take them out")

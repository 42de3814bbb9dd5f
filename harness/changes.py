"""What a person changes in how a setting is scored; what is trained stays the card's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.data.cards import cards_folder, load_outside
from harness.data.protocol_cards import load_protocol
from harness.errors import UsageError
from harness.spec import NoiseRounding, Setting


@dataclass(frozen=True)
class Changes:
    """What a person changes in how a setting is scored; None leaves the card's.

    ``test_set`` names a set outside the setting that is scored instead of the setting's own.
    """

    noise_rounding: NoiseRounding | None = None
    crop_multiple: int | None = None
    protocol: str | None = None
    noise_stream: Literal["keyed", "published"] = "keyed"
    test_set: str | None = None

    def tested(self, setting: Setting, on_disk: bool) -> Setting:
        """Return ``setting`` with the columns of the test set, its own without one.

        Raises:
            UsageError: there is no such set, or the twin has none of it, or no real set is named.
        """
        if self.test_set is None:
            return setting
        outside = load_outside(self.test_set)
        if not on_disk and not outside.twin:
            raise UsageError(
                f"--test-set {outside.name} is about photographs of its own; add --data-root"
            )
        update = {
            "name": f"{setting.name}+{outside.name}",
            "title": outside.title,
            "tasks": outside.tasks,
            "columns": outside.columns,
            "real": outside.real,
        }
        return setting.model_copy(update=update)

    def apply(self, setting: Setting, on_disk: bool) -> Setting:
        """Return ``setting`` with them; another preparation has an id of its own.

        Raises:
            UsageError: there is no such protocol, or the published noise stream, which passes
                through a folder in order, is asked of a twin or with another rounding.
        """
        preparation = setting.preparation
        if self.noise_stream == "published":
            if not on_disk:
                raise UsageError("--noise-stream published is about real images; add --data-root")
            if self.noise_rounding not in (None, "truncate"):
                raise UsageError(
                    f"--noise-stream published truncates, and --noise-rounding "
                    f"{self.noise_rounding} does not; leave one of them out"
                )
        update: dict[str, Any] = {}
        if self.noise_rounding not in (None, preparation.noise_rounding):
            update["noise_rounding"] = self.noise_rounding
            update["id"] = f"{preparation.id}-noise-{self.noise_rounding}"
        if self.crop_multiple not in (None, preparation.crop_multiple):
            update["crop_multiple"] = self.crop_multiple
            update["id"] = f"{update.get('id', preparation.id)}-cropped-to-{self.crop_multiple}"
        if self.noise_stream != preparation.noise_stream:
            update["noise_stream"] = self.noise_stream
            update["id"] = f"{update.get('id', preparation.id)}-{self.noise_stream}-stream"
        found: dict[str, Any] = {"preparation": preparation.model_copy(update=update)}
        if self.protocol is not None:
            found["protocol"] = load_protocol(self.protocol, cards_folder()).protocol
        return setting.model_copy(update=found)

"""What the harness finds on this machine, and what to do about what is missing."""

from __future__ import annotations

from pathlib import Path

from harness.api.diagnosis.finding import Finding as Finding
from harness.planning.request import DEFAULT_OUT


def doctor(out: Path | str = DEFAULT_OUT) -> list[Finding]:
    """Return what the harness finds on this machine, in the order in which it is shown.

    Nothing is written, no network is used, and torch is asked in a process of its own, so that one
    that does not work is a finding too.

    Example::

        for finding in harness.doctor():
            if finding.state == "broken":
                print(finding.name, finding.value, finding.advice)

    Args:
        out: the output folder that is looked at.
    """
    from harness.api.diagnosis import devices, folders, images, packages

    asked = devices.start_device_report()
    early = [*packages.versions()]
    late = [
        *devices.threads_and_memory(),
        *devices.kernels(),
        *folders.output_folder(Path(out)),
        *folders.cache(),
        *folders.configuration(),
        *images.photographs(),
        *images.data_sets(),
        *images.metric_weights(),
        *packages.optional_parts(),
        *folders.programs(),
    ]
    return [*early, *devices.devices(asked), *late]

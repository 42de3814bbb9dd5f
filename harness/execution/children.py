"""What processes that compute runs do first, for the launchers that start them."""

from __future__ import annotations

from harness.store.files import temporary_path as process_file  # noqa: F401 - for launchers
from harness.training.child_process import follow_parent as follow_parent
from harness.training.child_process import signals_held as signals_held

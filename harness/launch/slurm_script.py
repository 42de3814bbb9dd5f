"""The batch script of an array of runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.planning.request import Resources

BEGINS = "--- begins as job "
"""Stands in the log of a run before what each attempt prints."""

_LEFT_S = 120
"""Seconds before its time limit at which a job is told to save."""

_HEAD = """\
#!/usr/bin/env bash
#SBATCH --job-name={name}
#SBATCH --array=0-{last}{at_once}
#SBATCH --chdir="{folder}"
#SBATCH --output="{logs}/{name}.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@{left_s}
"""

_BODY = """\
run=${{RUNS[$SLURM_ARRAY_TASK_ID]}}
exec >> {logs}/"$run".log 2>&1
echo "{begins}$SLURM_JOB_ID on $(hostname), attempt $((${{SLURM_RESTART_COUNT:-0}} + 1))"

# USR1: the time limit is near. TERM: preempted or cancelled. The run saves after its step. Slurm
# may repeat a signal that was not answered in time; a second TERM would kill the run as it saves.
near_limit=
trap '[ -n "$near_limit" ] || {{ near_limit=yes; kill -TERM "$child" 2> /dev/null; }}' USR1
trap 'kill -TERM "$child" 2> /dev/null' TERM
bash -c "exec ${{COMMANDS[$SLURM_ARRAY_TASK_ID]}}" &
child=$!
wait "$child"
code=$?
while kill -0 "$child" 2> /dev/null; do
  wait "$child"  # a signal had ended the first wait
  code=$?
done
if [ -n "$near_limit" ] && [ "$code" -eq 130 ]; then
  echo "the time limit is near; queued again"
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit "$code"
"""


def array_script(
    name: str, logs: Path, commands: Sequence[tuple[str, str]], resources: Resources
) -> str:
    """Return the script of an array: which jobs it has, and what each of them does.

    Args:
        name: of its jobs.
        logs: folder of the logs; each run has one, called after it.
        commands: run id and command of each job.
        resources: what each job may use. ``jobs`` above 1 is how many are computed at once.
    """
    at_once = f"%{resources.jobs}" if resources.jobs > 1 else ""
    head = _HEAD.format(
        name=name,
        last=len(commands) - 1,
        at_once=at_once,
        folder=Path.cwd(),
        logs=logs,
        left_s=_LEFT_S,
    )
    options = resources.slurm_options
    if resources.threads is not None and "cpus" not in options:
        head += f"#SBATCH --cpus-per-task={resources.threads + resources.loader_workers}\n"
    if resources.device.startswith("cuda") and "gpu" not in options and "gres" not in options:
        head += "#SBATCH --gpus=1\n"
    body = _BODY.format(logs=shlex.quote(str(logs)), begins=BEGINS)
    runs = [shlex.quote(run_id) for run_id, _ in commands]
    quoted = [shlex.quote(command) for _, command in commands]
    return "\n".join([head, _array("RUNS", runs), _array("COMMANDS", quoted), body])


def _array(name: str, values: Sequence[str]) -> str:
    lines = "\n".join(f"  {value}" for value in values)
    return f"{name}=(\n{lines}\n)"

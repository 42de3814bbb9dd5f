#!/usr/bin/env bash
# A Slurm of one node, started from nothing in a folder of its own, for as long as a command runs.
#
#   benchmarks/slurm_one_node.sh FOLDER COMMAND ARGUMENTS…
#   benchmarks/slurm_one_node.sh /tmp/slurm \
#     python -m harness run --recipe smoke --launcher slurm --wait --out /tmp/slurm/runs
#
# It needs munge and slurm-wlm (Debian, Ubuntu). Nothing of the system's own Slurm is touched: keys,
# sockets, logs and states lie in FOLDER, and what was started is ended by its process id.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "slurm_one_node.sh needs a folder and a command" >&2
  exit 2
fi
for program in munged slurmctld slurmd sbatch; do
  if ! PATH="$PATH:/usr/sbin" command -v "$program" > /dev/null; then
    echo "$program is not installed; on Debian: apt-get install slurm-wlm munge" >&2
    exit 3
  fi
done
PATH="$PATH:/usr/sbin"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
host=$(hostname -s)
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

install -d -m 700 "$folder/munge" "$folder/spool" "$folder/state"
(umask 077 && head -c 128 /dev/urandom > "$folder/munge/key")
chmod 755 "$folder/munge"  # other users' clients reach the socket

cat > "$folder/slurm.conf" << END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=10  # a job that is queued again waits so long
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
# No control groups: containers often have none to give.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,requeue_delay=1
KillWait=10
MessageTimeout=60  # on a busy machine
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF="$folder/slurm.conf"

started=()
stop() {
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do
    kill "${started[$i]}" 2> /dev/null || true
    wait "${started[$i]}" 2> /dev/null || true
  done
}
trap stop EXIT
trap 'exit 143' TERM
munged --foreground --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
  --force > "$folder/munge/out" 2>&1 &
started+=($!)
for _ in $(seq 50); do [ -S "$folder/munge/socket" ] && break; sleep 0.1; done
slurmctld -D > "$folder/slurmctld.out" 2>&1 &
started+=($!)
slurmd -D > "$folder/slurmd.out" 2>&1 &
started+=($!)
for _ in $(seq 150); do
  state=$(sinfo --noheader --format=%T 2> /dev/null || true)
  [ "$state" = idle ] && break
  sleep 0.2
done
if [ "$state" != idle ]; then
  echo "Slurm did not start (node: ${state:-no answer}); its logs are in $folder" >&2
  exit 3
fi
echo "Slurm is ready: SLURM_CONF=$SLURM_CONF" >&2
"$@"

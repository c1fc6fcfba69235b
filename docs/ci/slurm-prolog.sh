#!/bin/sh
# slurm.conf: Prolog=/etc/slurm/prolog.d/* and PrologFlags=Alloc
# A prolog that fails drains the node and requeues the job. So it fails only for what is proven: a node of which
# something could not be determined, or a slip in this file, must not take a cluster away.
set -u

[ -n "${SLURM_JOB_GPUS:-}" ] || exit 0

doctor=/opt/gpu-doctor/bin/gpu-doctor
said=$("$doctor" preflight --prefix /opt/app/venv --deadline 20s \
    --require "driver>=570" --require "gpus>=1" --require "vram>=24GB" --require "shm>=8GB" 2>&1)
code=$?

case $code in
0) exit 0 ;;
1) what="unmet" ;;
*) what="no verdict (exit $code)" ;;
esac
printf 'job %s: GPU preflight: %s\n%s\n' "${SLURM_JOB_ID:-?}" "$what" "$said" | logger -t gpu-doctor -p daemon.err
[ "$code" -ne 1 ]

#!/usr/bin/env bash
# Starts the processes of one node; srun runs it once on each (many_nodes.sbatch).
#
# HEAD, PORT: where the nodes meet. The SLURM_ variables come from srun.
set -euo pipefail

# The head node holds the rendezvous, and says so itself: its name may differ from what its own
# system calls it. The others wait for it, here for up to ten minutes.
is_host=false
if [[ "$SLURM_NODEID" == 0 ]]; then is_host=true; fi

# --rdzv_id keeps jobs apart that meet at one address.
# --local_addr is the name by which the other nodes reach this one.
# exec: Slurm's signals reach the launcher itself.
exec python -m deploy.torchrun \
    --nnodes "$SLURM_NNODES" \
    --nproc_per_node "$SLURM_GPUS_ON_NODE" \
    --rdzv_backend c10d \
    --rdzv_endpoint "$HEAD:$PORT" \
    --rdzv_id "$SLURM_JOB_ID" \
    --rdzv_conf "is_host=$is_host,join_timeout=600" \
    --local_addr "$SLURMD_NODENAME" \
    -m stages.train

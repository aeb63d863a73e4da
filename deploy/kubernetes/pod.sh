#!/usr/bin/env bash
# Starts the processes of one pod (many_pods.yaml, which says what the variables are).
set -euo pipefail

# The first pod holds the rendezvous; the others wait for it, here for up to ten minutes.
is_host=false
if [[ "$JOB_COMPLETION_INDEX" == 0 ]]; then is_host=true; fi

# --local_addr is the name by which the other pods reach this one.
# exec: the launcher becomes the process that Kubernetes signals.
exec python -m deploy.torchrun \
    --nnodes "$NODES" \
    --nproc_per_node "$GPUS" \
    --rdzv_backend c10d \
    --rdzv_endpoint "$HEAD:$PORT" \
    --rdzv_id "$RUN" \
    --rdzv_conf "is_host=$is_host,join_timeout=600" \
    --local_addr "$(hostname).$SERVICE" \
    -m stages.train

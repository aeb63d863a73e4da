"""Small stand-ins for the programs of clusters and package registries, for the PATH of a page's commands."""

import sys
from pathlib import Path

from tests.forked import programs

# Takes what `pip install` names from this environment or fails: nothing is fetched.
_PIP = '#!/usr/bin/env bash\nexec python -m pip "$@" --no-index --disable-pip-version-check\n'

_MAKE = """#!/usr/bin/env bash
# make setup: .venv with the programs of this environment.
[[ "$*" == setup ]] && mkdir -p .venv && ln -sfn {programs} .venv/bin
"""

_SBATCH = """#!/usr/bin/env bash
# Runs the job at once, prints its number, and ends as it does. The number gives many_nodes.sbatch its port.
set -euo pipefail
nodes=1
while [[ "$1" == --* ]]; do
    case "$1" in
        --nodes) nodes=$2; shift;;
        --dependency=afterok:*) [[ "$(cat "job-${1##*:}")" == 0 ]];;
        --parsable) ;;
        *) echo "sbatch: what is $1?" >&2; exit 1;;
    esac
    shift
done
export SLURM_JOB_ID=$$ SLURM_JOB_NODELIST="n[1-$nodes]" SLURM_NNODES=$nodes
export SLURM_GPUS_ON_NODE=1 SLURM_CPUS_PER_TASK=8
code=0
bash "$1" >&2 || code=$?
echo "$code" > "job-$$"
echo $$
exit "$code"
"""

_SRUN = """#!/usr/bin/env bash
# Runs a command on each node of the job, all of which are this machine; ends with 1 when one of them fails.
set -u
while [[ "$1" == --* ]]; do shift; done
tasks=()
for ((node = 0; node < SLURM_NNODES; node++)); do
    SLURM_NODEID=$node SLURMD_NODENAME=127.0.0.1 "$@" &
    tasks+=($!)
done
code=0
for task in "${tasks[@]}"; do wait "$task" || code=1; done
exit $code
"""

_SCONTROL = """#!/usr/bin/env bash
# The first of the nodes; a job that asks to be queued again has failed here.
[[ "$1 $2" == "show hostnames" ]] && echo 127.0.0.1
"""

_DOCKER = """#!/usr/bin/env bash
# build: the file and what it copies are there. push: that image was built.
set -euo pipefail
case "$1" in
    build) [[ "$2 $4 $6" == "-f -t ." ]]; ls $(sed -n 's/^COPY \\(.*\\) .*/\\1/p' "$3"); echo "$5" > built;;
    push) grep -Fqx "$2" built;;
    *) exit 1;;
esac
"""

_KUBECTL = """#!{python}
# apply: every object has its kind, its name and, if it is a Job, containers whose scripts are there.
# wait: that object was applied.
import sys
from pathlib import Path
from ruamel.yaml import YAML

applied = Path("applied")
match sys.argv[1:]:
    case ["apply", "-f", name]:
        for part in YAML(typ="safe").load_all(Path(name)):
            kind = {{"Job": "batch/v1", "Service": "v1", "PersistentVolumeClaim": "v1"}}
            assert part["apiVersion"] == kind[part["kind"]]
            if part["kind"] == "Job":
                [container] = part["spec"]["template"]["spec"]["containers"]
                scripts = [word for word in container["command"] if word.endswith(".sh")]
                assert all(Path(script).is_file() for script in scripts)
            with applied.open("a") as file:
                file.write(f"{{part['kind'].lower()}}/{{part['metadata']['name']}}\\n")
    case ["wait", "--for=condition=complete", "--timeout=-1s", name]:
        assert name in applied.read_text().split()
    case _:
        sys.exit(f"kubectl: what is {{sys.argv[1:]}}?")
"""


def make_standins(folder: Path) -> Path:
    """Write the programs into a folder, which is made, and return it."""
    folder.mkdir()
    texts = {
        "pip": _PIP,
        "make": _MAKE.format(programs=programs()),
        "sbatch": _SBATCH,
        "srun": _SRUN,
        "scontrol": _SCONTROL,
        "docker": _DOCKER,
        "kubectl": _KUBECTL.format(python=sys.executable),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder

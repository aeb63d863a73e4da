"""Make the shards of data/prepared on a Ray cluster (`pip install 'segpipe[ray]'`).

    python -m deploy.ray_prepare --parts 16 && dvc repro prepare

from the root of a checkout that all nodes see under the same path, with the raw files fetched
(`dvc repro fetch`). Each part is a Ray task that starts `python -m stages.prepare --part K/N` on its node:
what goes to the workers is a path and two numbers, and the files are read where the task runs. A part whose
node or worker is lost is started again, and makes what is missing of it. `dvc repro prepare` then takes the
shards, makes those that are lost for good, and reports on all samples.

The address of the cluster is that of `RAY_ADDRESS`; without one Ray starts on this machine.
Exit codes: 0; 1 where a part failed, which is named.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import ray


def main() -> int:
    """Run all parts; return the exit code."""
    options = _options()
    # Nothing is reported to Ray's makers, unless the caller's environment says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init()
    task = ray.remote(num_cpus=options.cpus, max_retries=options.retries)(run_part)
    parts = [f"{number}/{options.parts}" for number in range(1, options.parts + 1)]
    begun = [(part, task.remote(str(Path.cwd()), part)) for part in parts]
    failed = [part for part, future in begun if not _succeeded(part, future)]
    return 1 if failed else 0


def run_part(root: str, part: str) -> int:
    """Make one part below `root`, on the node that this is called on; return its exit code."""
    command = [sys.executable, "-m", "stages.prepare", "--part", part]
    return subprocess.run(command, cwd=root, check=False).returncode


def _succeeded(part: str, future: "ray.ObjectRef[int]") -> bool:
    try:
        code: int = ray.get(future)
    except ray.exceptions.RayError as error:
        print(f"part {part}: {error}", file=sys.stderr)
        return False
    if code:
        print(f"part {part}: ended with {code}; its own lines say why", file=sys.stderr)
    return code == 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=int, required=True, help="how many tasks share the shards")
    parser.add_argument(
        "--cpus", type=int, default=1, help="cores of its node that a task asks for"
    )
    parser.add_argument(
        "--retries", type=int, default=3, help="new tries of a part whose node or worker is lost"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

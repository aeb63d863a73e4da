"""Kill -9 and another number of processes: what a training with Accelerate, Lightning or segpipe makes of it.

All train the same U-Net on the same generated scenes (bench/peers/task.py), on CPUs, one thread a process.
For each: the run twice; once more, killed and started again until it is done; on two processes, with batch
norm and dropout, and with group norm and without dropout. Every second kill comes while a checkpoint is
written, the others at random moments. Lightning and torchdata are no part of segpipe: install them into
an environment of their own beside what segpipe needs (`pip install lightning torchdata`), and name its
Python with --python; without them their rows say so.

Examples:
  python -m bench.peers --python ~/peers/bin/python --out peers
  python -m bench.peers --only accelerate segpipe --kills 6
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.peers import task
from bench.peers.compare import difference, read_steps, sample_faults
from bench.peers.runs import SCRIPTS, Moment, Run, Script, moments, train

# The comparisons, and their columns.
PARTS = {
    "again": "the same run again",
    "killed": "killed, started again until done",
    "batch": "2 processes: batch norm, dropout",
    "group": "2 processes: group norm",
}
PACKAGES = ("torch", "accelerate", "lightning", "torchdata")


def main() -> None:
    """Run what is asked for and print the table of all rows that are known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=tuple(SCRIPTS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=tuple(PARTS))
    parser.add_argument("--kills", type=int, default=3, help="of a run, up to 10 (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--python", default=sys.executable, help="that has Lightning and torchdata")
    parser.add_argument("--out", type=Path, help="a folder for the rows; those that are known stay")
    options = parser.parse_args()
    rows: dict[str, list[str]] = {}
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        if (options.out / "rows.json").is_file():
            rows = json.loads((options.out / "rows.json").read_text())
    for name in options.only:
        began = time.monotonic()
        kills = tuple(moments(options.kills, options.seed))
        rows[name] = row(SCRIPTS[name], options.python, options.parts, kills)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        if options.out:
            (options.out / "rows.json").write_text(json.dumps(rows, indent=1))
    text = table([rows[name] for name in SCRIPTS if name in rows], about(options.python))
    print(text)
    if options.out:
        (options.out / "table.md").write_text(text)


def row(script: Script, python: str, parts: Sequence[str], kills: tuple[Moment, ...]) -> list[str]:
    """Return the cells of a script's row, or why there are none."""
    found = versions(python)
    if missing := [name for name in script.packages if name not in found]:
        return [script.title, f"not run: pip install {' '.join(missing)}", "", "", ""]
    cells = dict.fromkeys(PARTS, "not run")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        run = partial(train, script, python)
        whole = run(root / "whole").folder
        if "again" in parts:
            cells["again"] = difference(whole, run(root / "again").folder)
        if "killed" in parts:
            killed = run(root / "killed", kills=kills)
            cells["killed"] = f"{difference(whole, killed.folder)}; {describe(killed)}"
        if "batch" in parts:
            cells["batch"] = difference(whole, run(root / "two", processes=2).folder)
        if "group" in parts:
            group = [run(root / f"group{n}", norm="group", processes=n).folder for n in (1, 2)]
            cells["group"] = difference(group[0], group[1])
    return [script.title, *cells.values()]


def describe(killed: Run) -> str:
    """Return what a run that was killed went through, and what became of its samples."""
    again, left_out = sample_faults(read_steps(killed.folder))
    refused = f", {killed.refused} starts failed on a checkpoint" if killed.refused else ""
    faults = (
        f"; {again} samples again in an epoch, {left_out} left out" if again or left_out else ""
    )
    return f"{killed.kills} kills{refused}{faults}"


def versions(python: str) -> dict[str, str]:
    """Return the versions of the packages that the peers need, as far as this Python finds them."""
    question = (
        "import importlib.metadata as m, json, sys\n"
        "found = {name: [d.version for d in m.distributions(name=name)] for name in sys.argv[1:]}\n"
        "print(json.dumps({name: versions[0] for name, versions in found.items() if versions}))"
    )
    command = [python, "-c", question, *PACKAGES]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(answer.stdout))


def about(python: str) -> str:
    """Return a line on versions, hardware and the task."""
    found = ", ".join(f"{name} {version}" for name, version in versions(python).items())
    return (
        f"{datetime.date.today()}, Python {platform.python_version()}, {found}; CPU, gloo, one thread a "
        f"process, fp32. U-Net of width {task.UNETS['batch'].width}, {task.SAMPLES} scenes, crops of "
        f"{task.CROP_HEIGHT}x{task.CROP_WIDTH}, global batch {task.BATCH}, {task.EPOCHS} epochs of "
        f"{task.EPOCH_STEPS} steps, a checkpoint every {task.CHECKPOINT_STEPS} steps."
    )


def table(rows: list[list[str]], line: str) -> str:
    """Return the rows as a Markdown table above a line on how they were made."""
    header = ["training", *PARTS.values()]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in lines] + ["", line, ""])


if __name__ == "__main__":
    main()

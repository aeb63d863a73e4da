"""What goes wrong in one of several processes: all end soon, and a person is told what and where."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from segpipe.loading.order import epoch_batches
from tests.forge import (
    checkpoints,
    child_environment,
    make_folder,
    make_prepared,
    poisoned_bands,
    run_python,
    runs,
    workspace_with,
)

pytestmark = pytest.mark.slow

# A stage that starts itself in two processes, as stages/train.py does, with something broken.
DRIVER = """
import os, sys
from pathlib import Path
from segpipe.training import loop
from segpipe.training import step
from segpipe.training.distributed.launch import launch
from segpipe.runtime.process_exit import explained
from stages import train

Path(f"pid-{{os.getpid()}}").touch()
if "WORLD_SIZE" not in os.environ:
    sys.exit(explained(lambda: launch("driver", 2)))
rank = int(os.environ["RANK"])
{broken}
sys.exit(explained(train.start))
"""


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of eight training images after fetch and prepare."""
    root = tmp_path_factory.mktemp("eight")
    return make_prepared(root / "w", make_folder(root / "data", train=8, val=2))


@pytest.fixture
def workspace(eight: Path, tmp_path: Path) -> Path:
    """Two steps an epoch."""
    return workspace_with(eight, tmp_path / "w", train__length=3)


def launched(workspace: Path, broken: str) -> subprocess.CompletedProcess[str]:
    (workspace / "driver.py").write_text(DRIVER.format(broken=broken))
    done = subprocess.run(
        [sys.executable, "-m", "driver"],
        cwd=workspace,
        env=child_environment(PYTHONFAULTHANDLER=""),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    pids = [int(path.name.partition("-")[2]) for path in workspace.glob("pid-*")]
    assert len(pids) >= 3, done.stderr
    assert [pid for pid in pids if runs(pid)] == [], "no process is left behind"
    return done


def saved(workspace: Path) -> list[int]:
    """The steps of the checkpoints."""
    return [int(path.name.partition("-")[2]) for path in checkpoints(workspace)]


def test_an_error_in_one_process_ends_all_and_tells_of_its_samples(workspace: Path) -> None:
    """In the augmentation of the fourth step, in the middle of an epoch."""
    broken = """
import time
real = step.draw
def draw(params, seed, epoch, rows, **sizes):
    if rank == 1 and epoch == 1 and Path("second").exists():
        Path("raised").write_text(str(time.time()) + " " + str(rows["row"].tolist()))
        raise ValueError("the zoom is not a number")
    if rank == 1 and epoch == 1:
        Path("second").touch()
    return real(params, seed, epoch, rows, **sizes)
step.draw = draw
"""
    done = launched(workspace, broken)
    ended = time.time()
    raised, _, rows = (workspace / "raised").read_text().partition(" ")
    # A second or two where nothing else runs; without being ended it would be ten minutes.
    assert ended - float(raised) < 90
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("Traceback (most recent call last)") == 1, done.stderr
    assert "ValueError: the zoom is not a number" in done.stderr
    [names] = re.findall(r"rank 1, epoch 2, step 2, samples (.*)", done.stderr)
    index = (workspace / "data/prepared/train/index.csv").read_text().splitlines()[1:]
    assert names.split(", ") == [index[row].split(",")[0] for row in json.loads(rows)]
    assert "rank 0: another process is gone, so this one ends" in done.stderr
    assert "the process of rank 1 failed, with exit code 1" in done.stderr
    assert saved(workspace)[-1] == 2


def test_a_killed_process_is_named_with_its_signal(workspace: Path) -> None:
    broken = """
real = loop.train_step
def train_step(job, pieces, **options):
    if rank == 1 and options["epoch"] == 1:
        os.kill(os.getpid(), 9)
    return real(job, pieces, **options)
loop.train_step = train_step
"""
    done = launched(workspace, broken)
    assert done.returncode == 128 + 9, done.stderr
    assert "the process of rank 1 was ended by SIGKILL (signal 9); the system does" in done.stderr
    assert "Traceback" not in done.stderr
    assert saved(workspace)[-1] == 2


def test_a_crash_of_native_code_says_where_python_was(workspace: Path) -> None:
    broken = """
import ctypes
real = step.draw
def draw_and_crash(*arguments, **sizes):
    if rank == 1 and Path("second").exists():
        ctypes.string_at(0)
    Path("second").touch()
    return real(*arguments, **sizes)
step.draw = draw_and_crash
"""
    done = launched(workspace, broken)
    assert done.returncode == 128 + 11, done.stderr
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert "in draw_and_crash" in done.stderr
    assert "the process of rank 1 was ended by SIGSEGV (signal 11)" in done.stderr


def test_a_spoilt_image_is_named_whichever_process_has_it(workspace: Path) -> None:
    """The last sample of the second step's batch is the second process's."""
    row = int(epoch_batches(0, 0, 8, 4)[1][-1])
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("validate_every: 1", "validate_every: 1 step"))
    name = poisoned_bands(workspace / "data/prepared", "train", row)
    done = launched(workspace, "")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("is not finite at epoch 1, step 2") == 1
    assert f"hold values that are not finite:\n  {name}\n" in done.stderr
    assert "rank 1: ends with the leading process" in done.stderr
    assert "Traceback" not in done.stderr
    assert saved(workspace) == [1]
    for file in workspace.glob(".segpipe/state/*/checkpoint-*/*.safetensors"):
        assert all(np.isfinite(value).all() for value in load_file(file).values()), file


STARVED = """
real = loop.train_step
def train_step(job, pieces, **options):
    if rank == 1 and options["epoch"] == 1:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")
    return real(job, pieces, **options)
loop.train_step = train_step
"""


@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_memory_that_falls_short_in_one_is_explained_and_the_state_goes_on(
    sharding: str, workspace: Path
) -> None:
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("sharding: none", f"sharding: {sharding}"))
    done = launched(workspace, STARVED)
    assert done.returncode == 1, done.stderr
    assert "out of memory at step 3, with 2 sample(s) of " in done.stderr
    assert "raise train.accumulation to 2," in done.stderr
    assert done.stderr.count("rank 0: another process is gone, so this one ends") == 1
    assert "Traceback" not in done.stderr
    assert saved(workspace)[-1] == 2
    path.write_text(path.read_text().replace("\n  accumulation: 1\n", "\n  accumulation: 2\n"))
    again = launched(workspace, "")
    assert again.returncode == 0, again.stderr
    assert "resuming at epoch 2, step 1" in again.stdout
    assert "accumulation was 1 and is 2 now" in again.stdout
    summary = json.loads((workspace / "metrics/training.json").read_text())
    assert (summary["accumulation"], summary["processes"], summary["steps"]) == (2, 2, 6)


# Rank 1 does not come to build its network, while rank 0 waits for it.
IN_SET_UP = """
from segpipe.training import setup
real = setup.build_model
def build_model(*arguments):
    if rank == 1:
        {strike}
    return real(*arguments)
setup.build_model = build_model
"""


@pytest.mark.parametrize(
    ("strike", "code", "words"),
    [
        (
            'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you asked for 9 GB")',
            1,
            "error: out of memory in segpipe.training.setup, set_up: DefaultCPUAllocator: can't",
        ),
        ("os.kill(os.getpid(), 9)", 137, "the process of rank 1 was ended by SIGKILL (signal 9)"),
    ],
    ids=["raises", "killed"],
)
def test_memory_that_falls_short_in_the_set_up_of_one(
    strike: str, code: int, words: str, workspace: Path
) -> None:
    begun = time.monotonic()
    done = launched(workspace, IN_SET_UP.format(strike=strike))
    # Without being ended, rank 0 would wait for ten minutes.
    assert time.monotonic() - begun < 150
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert saved(workspace) == []


# From its first step on the process may grow by so much and no further.
LIMITED = """
import re, resource, sys
from pathlib import Path
from segpipe.training import loop
from segpipe.runtime.process_exit import explained
from stages import train
real = loop.train_step
def train_step(job, pieces, **options):
    taken = re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())
    limit = (int(taken[1]) << 10) + (450 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return real(job, pieces, **options)
loop.train_step = train_step
sys.exit(explained(train.start))
"""


def test_memory_that_really_falls_short(tmp_path: Path) -> None:
    """Eight samples at a time keep some 800 MB for the backward pass."""
    data = make_folder(tmp_path / "data", train=8, val=2)
    sides = {"prepare__height": 256, "prepare__width": 256, "model__unet__width": 16}
    options = {**sides, "train__batch_size": 8, "train__length": "2 steps", "train__lr": 0.001}
    workspace = make_prepared(tmp_path / "w", data, **options)
    done = run_python(["-c", LIMITED], workspace)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "out of memory at step 1, with 8 sample(s) of 256x256 at a time" in done.stderr
    assert re.search(r"the forecast for it is [\d,]+ MB a process", done.stderr), "room was made"
    assert "raise train.accumulation to 2 or 4 or 8" in done.stderr
    assert "Traceback" not in done.stderr

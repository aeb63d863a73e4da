"""Two machines train; one is lost, and comes back. Each is a network namespace of its own.

So each has its own address, name and processes, and a copy of the prepared data that it alone reads; what
they share is the checkout with its `.segpipe`, as on a network file system. The loss of a machine is the
SIGKILL of all its processes at once.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge import (
    ROOT,
    checkpoints,
    child_environment,
    children,
    wait_until,
    workspace_with,
)
from tests.published import Result
from tests.trainers import Trainers

ADDRESSES = {"node-a": "10.77.0.1", "node-b": "10.77.0.2"}
# What follows it runs as the first process of a machine, whose end is the end of all of them.
ENTER = (
    "nsenter --net=/run/netns/{network} unshare --uts --mount-proc --pid --fork --kill-child "
    "sh -ec 'hostname {name}; mount --bind {hosts} /etc/hosts; exec \"$@\"' sh"
)
TORCHRUN = (
    "-m deploy.torchrun --nnodes 1:2 --nproc_per_node 1 --max_restarts 3 --rdzv_backend c10d "
    "--rdzv_endpoint node-a:29400 --rdzv_id run1 --local_addr {name} "
    "--rdzv_conf is_host={is_host},join_timeout=600,last_call_timeout=3 -m stages.train"
)
OPTIONS = {
    "train__batch_size": 4,
    "train__lanes": 2,
    "train__length": 15,
    "train__ema": 0.9,
    "model__unet__dropout": 0.2,
    "checkpoint__steps": 1,
}


class Machines:
    """Two machines with a cable between them."""

    def __init__(self, folder: Path) -> None:
        self._hosts = folder / "hosts"
        self._started: list[subprocess.Popen[str]] = []

    def connect(self) -> None:
        """Make the machines; PermissionError where that is not allowed here."""
        lines = [f"{address} {name}" for name, address in ADDRESSES.items()]
        self._hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        a, b = (self._network(name) for name in ADDRESSES)
        self._ip(f"netns add {a}")
        self._ip(f"netns add {b}")
        self._ip(f"-n {a} link add eth0 type veth peer name eth0 netns {b}")
        for name, address in ADDRESSES.items():
            self._ip(f"-n {self._network(name)} address add {address}/24 dev eth0")
            for device in ("lo", "eth0"):
                self._ip(f"-n {self._network(name)} link set {device} up")
        tried = self.start("node-a", ["true"], self._hosts.parent)
        said, _ = tried.communicate(timeout=60)
        if tried.returncode:
            raise PermissionError(said)

    def start(
        self, name: str, command: list[str], folder: Path, **environment: str
    ) -> "subprocess.Popen[str]":
        """Run a command in `folder` as all that a machine runs; to kill it is to lose the machine."""
        enter = ENTER.format(network=self._network(name), name=name, hosts=self._hosts)
        process = subprocess.Popen(
            [*shlex.split(enter), *command],
            cwd=folder,
            env=child_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Take the machines down, with what still runs on them."""
        for process in self._started:
            process.kill()
            process.communicate()
        for name in ADDRESSES:
            subprocess.run(
                ["ip", "netns", "delete", self._network(name)], capture_output=True, check=False
            )

    def _network(self, name: str) -> str:
        return f"segpipe-{os.getpid()}-{name}"

    def _ip(self, words: str) -> None:
        done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PermissionError(f"ip {words}: {done.stderr}")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    if missing := [tool for tool in ("ip", "nsenter", "unshare") if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (iproute2, util-linux)")
    made = Machines(tmp_path)
    try:
        try:
            made.connect()
        except PermissionError as error:
            pytest.skip(f"network namespaces cannot be made, which takes root: {error}")
        yield made
    finally:
        made.close()


def start(machines: Machines, name: str, workspace: Path) -> "subprocess.Popen[str]":
    """Type on a machine what docs/distributed.md says."""
    options = TORCHRUN.format(name=name, is_host=str(name == "node-a").lower())
    disk = str(workspace.parent / name)
    return machines.start(
        name,
        [sys.executable, *options.split()],
        workspace,
        ACCELERATE_USE_CPU="1",
        SEGPIPE_PREPARED=disk,
    )


def trainer_of(machine: "subprocess.Popen[str]") -> int:
    """The process that trains on a machine; its number is that of the system that holds both."""
    [launcher] = children(machine.pid)
    [trainer] = children(launcher)
    return trainer


def is_told_to_stop(process: int) -> bool:
    """Whether a SIGTERM waits for a process that does not run at present (proc(5))."""
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if ":\t" in line
    )
    waiting = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
    return bool(waiting >> (signal.SIGTERM - 1) & 1)


def saved_by(workspace: Path) -> int:
    """How many processes the training had that wrote the newest checkpoint; 0 before the first."""
    for path in reversed(checkpoints(workspace)):
        try:
            return int(json.loads((path / "progress.json").read_text())["about"]["processes"])
        except FileNotFoundError:  # there are newer ones by now
            continue
    return 0


@pytest.mark.slow
def test_a_machine_is_lost_and_comes_back_and_the_bits_are_those_of_one_left_alone(
    machines: Machines, tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    """The machine that is left goes on alone, is held in a step, and is joined again by the other."""
    whole = workspace_with(prepared, tmp_path / "whole", **OPTIONS)
    assert trainers.train(whole, 1).codes == [0]
    workspace = workspace_with(prepared, tmp_path / "shared", **OPTIONS)
    (workspace / "deploy").symlink_to(ROOT / "deploy")
    shared = workspace / "data/prepared"
    for name in ADDRESSES:
        shutil.copytree(shared, tmp_path / name)
    for arrays in shared.glob("*/"):
        shutil.rmtree(arrays)
    second, first = (start(machines, name, workspace) for name in ("node-b", "node-a"))

    def reached(processes: int) -> bool:
        if first.poll() is not None:
            raise AssertionError(first.communicate())
        return saved_by(workspace) == processes

    wait_until(lambda: reached(2))
    second.kill()
    wait_until(lambda: reached(1))
    trainer = trainer_of(first)
    os.kill(trainer, signal.SIGSTOP)
    second = start(machines, "node-b", workspace)
    wait_until(lambda: is_told_to_stop(trainer))
    os.kill(trainer, signal.SIGCONT)
    said, its = (machine.communicate(timeout=600)[0] for machine in (first, second))
    print(said, its)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "processes was 2 and is 1 now" in said
    assert "processes was 1 and is 2 now" in said
    assert Result(workspace).differences(Result(whole)) == []

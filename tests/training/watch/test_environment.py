"""environment.json: that it says what ran, and nobody's business."""

import getpass
import json
import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe.bundle import plain_weights
from segpipe.params.length import Length
from segpipe.training.watch.environment import (
    chosen_variables,
    command_line,
    environment,
    machines_of,
    redacted_text,
)
from segpipe.training.watch.publish import write_bundle
from tests.training.conftest import MODEL

CPU = torch.device("cpu")


def test_it_says_what_ran() -> None:
    found = environment(CPU, processes=4, machines=2)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["packages"]["numpy"] == np.__version__
    assert found["packages"]["segpipe"]
    assert found["threads"]["within"] == torch.get_num_threads()
    assert (found["processes"], found["machines"], found["gpus"]) == (4, 2, [])
    assert found["processor"]["memory_mb"] > 100
    assert 1 <= found["processor"]["usable_cores"] <= found["processor"]["cores"]
    assert found["system"]["name"] == platform.system()
    assert len(found["git"]["commit"] or "0" * 40) == 40
    assert found == environment(CPU, 4, 2), "it does not depend on the time"


def test_it_gives_nobody_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "verysecret")
    monkeypatch.setenv("CITYSCAPES_PASSWORD", "swordfish")
    monkeypatch.setenv("OMP_TOOL_LIBRARIES", f"{tmp_path}/lib.so:{Path.home()}/other.so")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("AWS_REGION", "somewhere")
    arguments = ["--password=verysecret", "swordfish", f"--out={tmp_path}/x", "~/data", "-n2"]
    program = str(tmp_path / "venv/bin/python3")
    monkeypatch.setattr("sys.orig_argv", [program, "-m", "stages.train", *arguments])
    found = environment(CPU, 1, 1)
    hidden = ["--password=***", "***", "--out=PATH", "PATH", "-n2"]
    assert found["command"] == ["python3", "-m", "stages.train", *hidden]
    assert found["variables"]["OMP_NUM_THREADS"] == "3"
    assert found["variables"]["OMP_TOOL_LIBRARIES"] == "PATH:PATH"
    text = json.dumps(found)
    private = ["verysecret", "swordfish", "somewhere", str(tmp_path), str(Path.home()) + "/"]
    assert [word for word in private if word in text] == []
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
    if getpass.getuser() != "root":  # which is no one's name
        assert getpass.getuser() not in text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("stages/train.py", "stages/train.py"),
        ("1/2", "1/2"),
        ("/etc/passwd", "PATH"),
        ("a=/x/y,b=/z", "a=PATH,b=PATH"),
        ("/", "/"),
        ("granularity=fine,compact,1,0", "granularity=fine,compact,1,0"),
    ],
)
def test_paths(text: str, kept: str) -> None:
    assert redacted_text(text, {}) == kept


def test_a_path_below_the_current_folder_is_relative() -> None:
    assert command_line(["python", f"{Path.cwd()}/stages/train.py"], {})[1] == "stages/train.py"


def test_only_variables_that_matter_are_kept() -> None:
    given = {
        "OMP_NUM_THREADS": "2",
        "SEGPIPE_PROCESSES": "4",
        "HOME": "/x",
        "OMPX": "1",
        "USER": "x",
    }
    assert chosen_variables(given) == {"OMP_NUM_THREADS": "2", "SEGPIPE_PROCESSES": "4"}


@pytest.mark.parametrize(
    ("variables", "processes", "machines"),
    [({}, 1, 1), ({"LOCAL_WORLD_SIZE": "8"}, 32, 4), ({"LOCAL_WORLD_SIZE": "2"}, 2, 1)],
)
def test_machines(variables: dict[str, str], processes: int, machines: int) -> None:
    assert machines_of(variables, processes) == machines


def test_the_bundle_has_it_and_the_model_does_not_depend_on_it(
    dataset, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, progress, _ = trained(dataset, length=Length(2, "steps"))
    for name in ("one", "two"):
        monkeypatch.setenv("OMP_WAIT_POLICY", name)
        (tmp_path / name).mkdir()
        write_bundle(job, progress, plain_weights(job.learner.result), MODEL, {}, tmp_path / name)
    one, two = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert json.loads(one["environment.json"])["variables"]["OMP_WAIT_POLICY"] == "one"
    assert len(one) == 4
    assert {name for name in one if one[name] != two[name]} == {"environment.json"}

"""A training on shards as DVC starts it, with everything that it publishes, against whole weights."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.forge import make_folder, make_prepared, run_stage, workspace_with

COLUMNS = ("step", "lr", "train_loss", "val_loss")


def losses(workspace: Path) -> np.ndarray:
    with (workspace / "metrics/history.csv").open() as file:
        return np.array([[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)])


@pytest.mark.slow
def test_what_is_published_is_what_whole_weights_would_have_become(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "data", train=11, val=5)
    prepared = make_prepared(tmp_path / "prepared", data)
    options = {"train__length": 2, "train__lr": 0.003, "train__ema": 0.8}
    shared_out = {"train__sharding": "fsdp2", "tracking__enabled": True}
    one = workspace_with(prepared, tmp_path / "one", data, **options)
    two = workspace_with(prepared, tmp_path / "two", data, **shared_out, **options)
    for workspace, processes in ((one, "1"), (two, "2")):
        done = run_stage("train", workspace, SEGPIPE_PROCESSES=processes)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("each process has its part" in done.stdout) == (processes == "2")
    np.testing.assert_allclose(losses(one), losses(two), rtol=1e-4)
    for name in ("model", "last"):
        ours, theirs = (load_file(w / f"models/{name}.safetensors") for w in (one, two))
        assert {key: value.shape for key, value in ours.items()} == {
            key: value.shape for key, value in theirs.items()
        }
        kernels = [key for key in ours if ours[key].ndim == 4]
        assert max(float(np.abs(ours[key] - theirs[key]).max()) for key in kernels) < 2e-4
    told = [json.loads((w / "metrics/training.json").read_text()) for w in (one, two)]
    assert [summary["processes"] for summary in told] == [1, 2]
    assert told[0]["parameters"] == told[1]["parameters"]
    assert len(list(two.rglob("validation/step_*.png"))) == 2
    assert not list((two / ".segpipe/state").glob("*/")), "nothing is left to go on from"

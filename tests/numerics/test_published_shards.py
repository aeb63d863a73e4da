"""A training on shards with everything that it publishes, against whole weights."""

from pathlib import Path

import pytest

from tests.forge import workspace_with
from tests.published import Result
from tests.trainers import Trainers


@pytest.mark.slow
def test_what_is_published_is_what_whole_weights_would_have_become(
    tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    options = {"train__length": 2, "train__lr": 0.003, "train__ema": 0.8}
    shared_out = {"train__sharding": "fsdp2", "tracking__enabled": True}
    one = workspace_with(prepared, tmp_path / "one", **options)
    two = workspace_with(prepared, tmp_path / "two", **shared_out, **options)
    for workspace, processes in ((one, 1), (two, 2)):
        done = trainers.train(workspace, processes)
        assert done.codes == [0] * processes, done.said
        assert ("each process has its part" in done.said[0]) == (processes == 2)
    whole, shards = Result(one), Result(two)
    assert shards.loss_difference(whole) < 1e-4
    for kind in ("model", "last"):
        ours, theirs = shards.weights[kind], whole.weights[kind]
        assert {name: value.shape for name, value in ours.items()} == {
            name: value.shape for name, value in theirs.items()
        }
        assert shards.weight_difference(whole, kind) < 2e-4
    assert [result.summary.processes for result in (whole, shards)] == [1, 2]
    assert whole.summary.parameters == shards.summary.parameters
    assert len(list(two.rglob("validation/step_*.png"))) == 2
    assert not list((two / ".segpipe/state").glob("*/")), "nothing is left to go on from"

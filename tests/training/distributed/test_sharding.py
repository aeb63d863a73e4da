"""Training on shards of the weights, in two processes of gloo, against whole weights in one."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from segpipe.dataset.reader import open_dataset
from segpipe.params.loss import LossParams
from segpipe.params.train import TrainParams
from segpipe.training.distributed.sharding import units
from segpipe.training.state.checkpoint import BEST, NETWORK, OPTIMIZER, Checkpoints, Progress, State
from segpipe.training.watch.console import announce
from segpipe.training.watch.pictures import validation_pictures
from tests.forge import ROOT, run_python
from tests.training import sharded
from tests.training.conftest import prepared
from tests.training.sharded import RUNS, STEPS, begun

LEARNT = ("step", "lr", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the states of all runs, trained on whole weights and on shards."""
    folder = tmp_path_factory.mktemp("sharded")
    data = prepared(folder, None)
    for name in RUNS:
        sharded.trained(data, folder / "one" / name, name, "none")
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    strict = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::UserWarning"}
    done = run_python([*two, "-m", "tests.training.sharded", str(folder)], ROOT, **strict)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def at_end(state: Path) -> State:
    return Checkpoints(state).read(STEPS)


def learnt(state: State) -> np.ndarray:
    return np.array([[row[key] or 0 for key in LEARNT] for row in state.progress.history])


def assert_agree(first: State, second: State) -> None:
    """To the tolerance of the numbers of processes (tests/numerics)."""
    assert first.tensors.keys() == second.tensors.keys()
    np.testing.assert_allclose(learnt(first), learnt(second), rtol=1e-4)
    for part, tensors in first.tensors.items():
        others = second.tensors[part]
        assert {name: tensor.shape for name, tensor in tensors.items()} == {
            name: tensor.shape for name, tensor in others.items()
        }
        # A bias before a norm has no effect, so only rounding moves it.
        kernels = [name for name, tensor in tensors.items() if tensor.ndim == 4]
        assert len(kernels) > 5
        for name in kernels:
            apart = tensors[name] - others[name]
            if part == OPTIMIZER:  # of very different sizes
                assert float(apart.norm()) < 1e-3 * float(tensors[name].norm()), name
            else:
                assert float(apart.abs().max()) < 2e-4, name


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_shards_learn_what_whole_weights_learn(name: str, runs: Path) -> None:
    """Batch norm, accumulation, frozen parts, the average, clipping; every optimizer."""
    one, two = at_end(runs / "one" / name), at_end(runs / "two" / name)
    assert_agree(one, two)
    assert [row["step"] for row in two.progress.history] == [2, 4, 5]
    start = Checkpoints(runs / "two" / name).read(1).tensors[NETWORK]
    end = two.tensors[NETWORK]
    kernels = [key for key in end if end[key].ndim == 4]
    assert max(float((end[key] - start[key]).abs().max()) for key in kernels) > 5e-4


@pytest.mark.slow
def test_resumed_on_shards_a_run_ends_in_the_same_bits(runs: Path) -> None:
    whole, again = at_end(runs / "two/averaged"), at_end(runs / "two/again")
    assert (learnt(whole) == learnt(again)).all()
    for part, tensors in whole.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, again.tensors[part][name]), (part, name)
    assert {NETWORK, OPTIMIZER, BEST, "average"} == set(whole.tensors)


@pytest.mark.slow
def test_checkpoints_are_the_same_with_and_without_shards(runs: Path) -> None:
    """Begun on one and gone on with on the other, in both directions."""
    wanted = at_end(runs / "one/averaged")
    assert_agree(at_end(runs / "two/taken-over"), wanted)
    begun(runs / "two/averaged", runs / "one/taken-over", 3)
    sharded.trained(open_dataset(runs / "prepared"), runs / "one/taken-over", "averaged", "none")
    assert_agree(at_end(runs / "one/taken-over"), wanted)


@pytest.mark.slow
def test_each_process_has_its_part(runs: Path) -> None:
    held = [json.loads((runs / f"held-{rank}.json").read_text()) for rank in (0, 1)]
    for kind in ("weights", "average", "moments"):
        (total, first), (_, second) = (process[kind] for process in held)
        assert first + second == total
        assert 0.4 * total < first < 0.6 * total
    assert all(number > 1 for number in held[0]["units"].values())
    assert held[0]["units"].keys() == sharded.NETWORKS.keys(), "their gradients were compared"


@pytest.mark.slow
def test_pictures_are_those_of_the_whole_network(runs: Path) -> None:
    data = open_dataset(runs / "prepared")
    begun(runs / "two/averaged", runs / "one/drawn", STEPS)
    job = sharded.trained(data, runs / "one/drawn", "averaged", "none")  # nothing is left to train
    drawn = [validation_pictures(job, 3), (runs / "pictures.png").read_bytes()]
    ours, theirs = (np.asarray(Image.open(io.BytesIO(png))) for png in drawn)
    assert (ours == theirs).mean() > 0.999
    assert ours.std() > 10


def test_units_are_an_eighth_of_the_weights_or_more() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = nn.ModuleList([nn.Linear(10, 10, bias=False) for _ in range(4)])
            self.few = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
            self.more = nn.Sequential(nn.Linear(10, 5), nn.Linear(10, 5))

    network = Listed()
    assert units(network) == [*network.steps, network.more, network]
    assert units(nn.Linear(2, 2))[-1].weight.shape == (2, 2)


def test_compiled_networks_are_refused() -> None:
    with pytest.raises(ValidationError, match="compile and sharding exclude each other"):
        TrainParams(sharding="fsdp2", compile=True)


def test_one_process_has_everything_and_says_so(trained, dataset, capsys) -> None:
    job, progress, _ = trained(dataset, sharding="fsdp2")
    announce(job, LossParams(), Progress(), [])
    assert "train.sharding has no effect: there is one process" in capsys.readouterr().out
    assert not job.learner.sharded
    plain, its_progress, _ = trained(dataset, state="plain")
    weights: dict[str, Tensor] = plain.learner.network.state_dict()
    assert all(
        torch.equal(weights[name], w) for name, w in job.learner.network.state_dict().items()
    )
    assert progress.best_miou == its_progress.best_miou

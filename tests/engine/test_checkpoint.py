"""Checkpoints: whole, exact, and honest about what differs."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from segpipe.engine.checkpoint import Checkpoints, Progress
from segpipe.engine.optimizer import build_optimizer, optimizer_tensors
from segpipe.errors import BundleError
from segpipe.params.train import TrainParams


def parts(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network with some steps behind it, its kernels in channels-last order."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3))
    network.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(network, TrainParams())
    for _ in range(3):
        step(network, optimizer)
    return network, optimizer


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    image = torch.linspace(-1, 1, 2 * 3 * 64).reshape(2, 3, 8, 8)
    network(image).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_a_restored_run_takes_the_same_next_step(tmp_path: Path) -> None:
    network, optimizer = parts(0)
    Checkpoints(tmp_path, {}).save(
        Progress(step=7, best_row=2, loss_sum=0.1 + 0.2), network, optimizer
    )
    step(network, optimizer)
    other, its_optimizer = parts(1)
    progress, differences = Checkpoints(tmp_path, {}).resume(other, its_optimizer)
    assert (progress.best_row, progress.step, progress.loss_sum) == (2, 7, 0.1 + 0.2)
    assert differences == []
    step(other, its_optimizer)
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    restored = optimizer_tensors(its_optimizer)
    for name, value in optimizer_tensors(optimizer).items():
        assert torch.equal(value, restored[name]), name


def test_only_the_newest_is_kept_and_fresh_means_nothing_there(tmp_path: Path) -> None:
    network, optimizer = parts(0)
    checkpoints = Checkpoints(tmp_path, {})
    assert checkpoints.resume(network, optimizer) == (Progress(), [])
    for taken in (1, 2, 10):
        checkpoints.save(Progress(step=taken), network, optimizer)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000010"]
    assert checkpoints.resume(network, optimizer)[0].step == 10


def test_what_differs_is_said(tmp_path: Path) -> None:
    network, optimizer = parts(0)
    Checkpoints(tmp_path, {"code": "a", "processes": 1}).save(Progress(), network, optimizer)
    _, differences = Checkpoints(tmp_path, {"code": "b", "processes": 1}).resume(network, optimizer)
    assert differences == ["code was 'a' and is 'b' now"]


def test_a_failed_write_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, optimizer = parts(0)
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save(Progress(step=1), network, optimizer)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("segpipe.engine.checkpoint.write_json", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(Progress(step=2), network, optimizer)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000001"]


@pytest.mark.parametrize(
    "file",
    ["network.safetensors", "average.safetensors", "optimizer.safetensors", "progress.json"],
)
def test_a_damaged_checkpoint_is_refused(file: str, tmp_path: Path) -> None:
    network, optimizer = parts(0)
    checkpoints = Checkpoints(tmp_path, {})
    average = copy.deepcopy(network)
    checkpoints.save(Progress(step=1), network, optimizer, average)
    path = tmp_path / "checkpoint-000000001" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BundleError, match=r"is damaged .* delete .* to train from the start"):
        checkpoints.resume(network, optimizer, average)

"""Batch norm over several processes, against torch's own over the whole batch."""

import copy
from pathlib import Path

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from segpipe.runtime.errors import ParameterError
from segpipe.training.distributed import sync_norm
from segpipe.training.distributed.sync_norm import synchronise_norms
from tests.forge import ROOT, run_python

RANKS = """
import sys, torch, torch.distributed as dist, torch.multiprocessing as mp
from torch import nn
from segpipe.training.distributed import sync_norm
from segpipe.training.distributed.sync_norm import synchronise_norms

def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    synchronise_norms(network, torch.device("cpu"), 2)
    image = torch.load(f"{folder}/image.pt")[rank * 2 : rank * 2 + 2]
    weight = torch.load(f"{folder}/weight.pt")[rank * 2 : rank * 2 + 2]
    (network(image) * weight).sum().backward()
    found = []
    for parameter in network.parameters():
        dist.all_reduce(parameter.grad)
        found.append(parameter.grad)
    found += [buffer for buffer in network.buffers()]
    if rank == 0:
        torch.save(found, f"{folder}/found.pt")
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(work, (sys.argv[1],), nprocs=2)
"""


def test_gradients_and_statistics_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    image, weight = torch.rand(4, 3, 6, 7), torch.rand(4, 4, 4, 5)
    torch.save(image, tmp_path / "image.pt")
    torch.save(weight, tmp_path / "weight.pt")
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    done = run_python([str(script), str(tmp_path)], ROOT, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    (network(image) * weight).sum().backward()
    wanted = [parameter.grad for parameter in network.parameters()] + list(network.buffers())
    found = torch.load(tmp_path / "found.pt")
    assert len(found) == len(wanted) == 12
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_it_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against float64, channels-last, where torch's own is wrong by 1e-4 of the standard deviation."""
    monkeypatch.setattr(sync_norm, "_summed", torch.clone)  # the sums of one process alone
    torch.manual_seed(0)
    image, weight = torch.randn(2, 8, 16, 128, 256)
    image = (image + 0.5).contiguous(memory_format=torch.channels_last)
    network = nn.Sequential(nn.BatchNorm2d(16)).to(memory_format=torch.channels_last)
    exact = copy.deepcopy(network).double()
    synchronise_norms(network, torch.device("cpu"), 2)
    results = []
    for norm, kind in ((network, torch.float32), (exact, torch.float64)):
        given = image.to(kind).detach().clone().requires_grad_()
        normal = norm(given)
        normal.backward(weight.to(kind))
        assert normal.is_contiguous(memory_format=torch.channels_last)
        slopes = [parameter.grad / parameter.grad.abs().max() for parameter in norm.parameters()]
        statistics = [norm[0].running_mean, norm[0].running_var]
        results.append([normal.detach(), given.grad, *slopes, *statistics])
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() < 3e-6


def test_one_process_keeps_torchs_own() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2))
    assert synchronise_norms(network, torch.device("cpu"), 1) is network
    assert type(network[0]) is nn.BatchNorm2d


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("act", ["relu", "silu", "prelu"])
def test_an_activation_within_the_norm_is_kept(
    device: str, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timm's BatchNormAct2d; the sum over all processes is this one's here."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), BatchNormAct2d(4, act_layer=act, inplace=False))
    other = synchronise_norms(copy.deepcopy(network), torch.device(device), 2)
    assert type(other[1]) is not BatchNormAct2d
    assert other.state_dict().keys() == network.state_dict().keys()
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: None)
    image = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(other(image), network(image))
    torch.testing.assert_close(other[1].running_var, network[1].running_var)
    torch.testing.assert_close(other.eval()(image), network.eval()(image))


def test_a_norm_of_another_kind_is_refused() -> None:
    class Odd(nn.BatchNorm2d):
        pass

    network = nn.Sequential(Odd(2))
    with pytest.raises(ParameterError, match="holds Odd, a batch norm that cannot be shared"):
        synchronise_norms(network, torch.device("cpu"), 2)
    assert synchronise_norms(network, torch.device("cpu"), 1) is network


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("momentum", [0.1, 0.3])
def test_conversion_keeps_the_state(momentum: float, device: str) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=momentum))
    network(torch.rand(4, 3, 5, 5))
    network[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    synchronise_norms(network, torch.device(device), 2)
    assert [weight.requires_grad for weight in network.parameters()] == [True, False]
    assert type(network[0]) is not nn.BatchNorm2d
    assert network[0].momentum == momentum
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])

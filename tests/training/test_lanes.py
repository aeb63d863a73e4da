"""Lanes against brute force, within one process; `tests/numerics/test_lanes.py` has several."""

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from segpipe.training.distributed.sync_norm import synchronise_norms
from segpipe.training.lanes import LaneSums, PairwiseSum

LANES = 8


def tree(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of both halves, from the top."""
    half = len(tensors) // 2
    return tensors[0] if half == 0 else tree(tensors[:half]) + tree(tensors[half:])


def pairwise(tensors: Sequence[Tensor]) -> Tensor:
    found = PairwiseSum()
    for tensor in tensors:
        found.add(tensor.clone())
    return found.total()


def test_tensors_are_added_along_the_tree_and_so_are_its_branches() -> None:
    torch.manual_seed(0)
    parts = list(torch.randn(LANES, 1000) * 10.0 ** torch.randint(-3, 4, (LANES, 1000)))
    total = pairwise(parts)
    assert torch.equal(total, tree(parts))
    assert not torch.equal(total, sum(parts, torch.zeros(1000))), "the order matters"
    for processes in (2, 4, 8):
        own = LANES // processes
        branches = [pairwise(parts[place : place + own]) for place in range(0, LANES, own)]
        assert torch.equal(pairwise(branches), total)


def test_a_sum_has_a_power_of_two_of_tensors() -> None:
    with pytest.raises(ValueError, match="too many values"):
        pairwise([torch.ones(1)] * 3)


def network_of_lanes() -> nn.Sequential:
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)]
    network = nn.Sequential(*layers, nn.BatchNorm2d(4))
    # As a frozen part: without a gradient, in every lane.
    network[0].bias.requires_grad_(False)
    network.to(memory_format=torch.channels_last)
    return synchronise_norms(network, torch.device("cpu"), 1).train()


def test_each_lane_is_computed_as_if_it_were_alone() -> None:
    """Gradients and statistics of two steps, to the bit, against a copy of the network for each lane."""
    network, images = network_of_lanes(), torch.randn(2, LANES, 2, 3, 9, 10)
    for step in range(2):
        alone = [copy.deepcopy(network) for _ in range(LANES)]
        for one, image_BCHW in zip(alone, images[step], strict=True):
            one.zero_grad()
            one(image_BCHW).square().sum().backward()
        sums = LaneSums(network)
        for image_BCHW in images[step]:
            with sums.lane():
                network(image_BCHW).square().sum().backward()
        sums.put_back(rank=0, processes=1, lanes=LANES)
        assert network[0].bias.grad is None
        learnt = [weight for weight in network.parameters() if weight.requires_grad]
        parts = zip(*(one.parameters() for one in alone), strict=True)
        wanted = [tree([w.grad for w in each]) for each in parts if each[0].requires_grad]
        for weight, gradient in zip(learnt, wanted, strict=True):
            assert weight.grad is not None
            assert torch.equal(weight.grad, gradient)
            assert weight.grad.stride() == weight.stride(), "fused optimizers take no other order"
        buffers = zip(*(one.buffers() for one in alone), strict=True)
        for buffer, each in zip(network.buffers(), buffers, strict=True):
            floating = buffer.is_floating_point()
            assert torch.equal(buffer, tree(each) / LANES if floating else each[0])
            assert floating or int(buffer) == step + 1
        with torch.no_grad():
            for weight in learnt:
                weight -= 0.1 * weight.grad

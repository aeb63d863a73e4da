"""The moving average of the weights, against the formula."""

import torch
from torch import nn

from segpipe.training.state.average import WeightAverage


def test_it_is_the_recurrence_with_a_short_memory_at_first() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    network.to(memory_format=torch.channels_last)
    average = WeightAverage(network, 0.5)
    expected = {name: value.double() for name, value in network.state_dict().items()}
    parameters = dict(network.named_parameters())
    for taken in range(1, 30):
        for parameter in parameters.values():
            parameter.data += torch.randn_like(parameter)
        network(torch.rand(2, 3, 5, 5))
        average.update(taken)
        kept = min(0.5, (1 + taken) / (10 + taken))
        for name, value in network.state_dict().items():
            if name in parameters:
                expected[name] = kept * expected[name] + (1 - kept) * value.double()
            else:
                expected[name] = value.double()
    assert kept == 0.5
    for name, value in average.network.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert average.network[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_it_is_apart_from_the_network_and_learns_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(torch.bfloat16)
    average = WeightAverage(network, 0.9)
    assert not average.network.training
    assert {weight.dtype for weight in average.network.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in average.network.parameters())
    before = average.network[0].weight.clone()
    network[0].weight.data.zero_()
    assert torch.equal(average.network[0].weight, before)
    average.update(10_000)
    torch.testing.assert_close(average.network[0].weight, 0.9 * before)

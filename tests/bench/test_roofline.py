"""What is measured is a speed: its size is that of the machine, its parts must add up."""

import pytest
import torch
from torch import nn

from bench.roofline import convolution_speeds, operations, slowest_operators, timed

CPU = torch.device("cpu")


def test_convolutions_have_a_speed() -> None:
    forward, both = convolution_speeds(256, CPU, seconds=0.0)
    assert forward > 0.1 and both > 0.1


def test_the_product_takes_the_time_of_a_step_of_products() -> None:
    x = torch.randn(400, 400)

    def step() -> None:
        (x @ x).relu()

    found = slowest_operators(step, CPU, 3)
    assert found[0][0] == "aten::mm"
    assert sum(share for _, share in found) <= 1.0001
    assert timed(step, seconds=0.0) > 0


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(8, 8, 3, padding=1, groups=g) for g in (1, 2, 8)] + [nn.ConvTranspose2d(8, 8, 2, 2)],
)
def test_a_backward_pass_counts_as_two_forward_passes(layer: nn.Module) -> None:
    x = torch.randn(2, 8, 6, 10, requires_grad=True)
    forward = operations(lambda: layer(x))
    assert operations(lambda: layer(x).sum().backward()) == 3 * forward

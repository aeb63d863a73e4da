"""What is measured is a speed: its size is that of the machine, its parts must add up."""

import torch

from bench.roofline import convolution_speeds, slowest_operators, timed

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

import math
from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, PolynomialLR

from segpipe.params.train import TrainParams
from segpipe.schedules.build import learning_rate
from segpipe.schedules.cosine import cosine_factor
from segpipe.schedules.poly import poly_factor


def rates(params: TrainParams, steps_per_epoch: int) -> list[float]:
    total = params.epochs * steps_per_epoch
    return [learning_rate(params, step, steps_per_epoch) for step in range(total + 1)]


def reference(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = make(optimizer)
    seen = []
    for _ in range(steps + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_poly_without_warmup_is_torchs(power):
    expected = reference(lambda o: PolynomialLR(o, total_iters=30, power=power), 30)
    params = TrainParams(epochs=3, lr=0.1, schedule="poly", poly_power=power, warmup_epochs=0.0)
    assert rates(params, 10) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_cosine_without_warmup_is_torchs():
    expected = reference(lambda o: CosineAnnealingLR(o, T_max=30), 30)
    params = TrainParams(epochs=3, lr=0.1, schedule="cosine", warmup_epochs=0.0)
    assert rates(params, 10) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_hand_values():
    assert [poly_factor(s, 6, 2, 1.0) for s in range(7)] == pytest.approx(
        [1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4, 0]
    )
    assert [poly_factor(s, 4, 0, 2.0) for s in range(5)] == pytest.approx(
        [1, 9 / 16, 1 / 4, 1 / 16, 0]
    )
    half = math.sqrt(0.5)
    assert [cosine_factor(s, 5, 1) for s in range(6)] == pytest.approx(
        [1 / 2, 1, (1 + half) / 2, 1 / 2, (1 - half) / 2, 0]
    )


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
@pytest.mark.parametrize("warmup_epochs", [0.0, 0.5, 1.0, 1.9])
def test_it_climbs_to_the_base_rate_then_falls_to_0(schedule, warmup_epochs):
    params = TrainParams(epochs=2, lr=0.01, schedule=schedule, warmup_epochs=warmup_epochs)
    seen = rates(params, 9)
    top = seen.index(max(seen))
    assert top == round(warmup_epochs * 9) and seen[top] == 0.01 and seen[-1] == 0
    assert all(a < b for a, b in pairwise(seen[: top + 1]))
    assert all(a > b for a, b in pairwise(seen[top:]))
    assert min(seen[:-1]) > 0


def test_the_warmup_climbs_in_equal_parts():
    params = TrainParams(epochs=4, lr=1.0, warmup_epochs=2.0)
    assert rates(params, 2)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_warmup_rounded_to_the_whole_length_leaves_a_step():
    params = TrainParams(epochs=1, lr=1.0, warmup_epochs=0.99)
    assert rates(params, 10)[-2:] == [1.0, 0.0]


def test_a_schedule_of_one_step():
    assert rates(TrainParams(epochs=1, lr=0.5, warmup_epochs=0.5), 1) == [0.5, 0.0]


@pytest.mark.parametrize(("step", "total", "warmup"), [(-1, 5, 0), (6, 5, 0), (0, 5, 5), (0, 0, 0)])
def test_steps_outside_of_the_schedule_are_refused(step, total, warmup):
    with pytest.raises(ValueError, match="steps"):
        poly_factor(step, total, warmup, 0.9)
    with pytest.raises(ValueError, match="steps"):
        cosine_factor(step, total, warmup)

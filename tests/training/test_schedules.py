import math
from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
)

from segpipe.params.length import Length
from segpipe.params.schedule import (
    HalvingParams,
    OneCycleParams,
    PlateauParams,
    PolyParams,
    WarmupSqrtParams,
)
from segpipe.params.train import TrainParams
from segpipe.training.lengths import StepLengths, lengths_in_steps
from segpipe.training.schedules import learning_rate, one_cycle_factor, plateau_decay

NAMES = ["constant", "halving", "poly", "cosine", "one_cycle", "plateau", "warmup_sqrt"]


def made(length: float, warmup: float, lr: float = 0.1, **options: object) -> TrainParams:
    return TrainParams(length=Length(length), warmup=Length(warmup), lr=lr, **options)


def rates(params: TrainParams, steps_per_epoch: int) -> list[float]:
    steps = lengths_in_steps(params, steps_per_epoch)
    return [learning_rate(params, steps, step) for step in range(steps.total + 1)]


def factors(
    schedule: str, total: int, warmup: int, every: int = 1, **options: object
) -> list[float]:
    """The factor of the base rate at each step, 0 to `total`."""
    params, lengths = (
        TrainParams(schedule=schedule, lr=1.0, **options),
        lengths_of(total, warmup, every),
    )
    return [learning_rate(params, lengths, step) for step in range(total + 1)]


def lengths_of(total: int, warmup: int, every: int = 1) -> StepLengths:
    return StepLengths(1, total, warmup, validate_every=1, halve_every=every, reasons=())


def reference(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = make(optimizer)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_poly_without_warmup_is_torchs(power):
    expected = reference(lambda o: PolynomialLR(o, total_iters=30, power=power), 31)
    params = made(3, 0, schedule="poly", poly=PolyParams(power=power))
    assert rates(params, 10) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_cosine_without_warmup_is_torchs():
    expected = reference(lambda o: CosineAnnealingLR(o, T_max=30), 31)
    assert rates(made(3, 0, schedule="cosine"), 10) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("every", [Length(1), Length(7, "steps"), Length(28, "samples")])
def test_halving_without_warmup_is_torchs(every):
    params = made(3, 0, schedule="halving", halving=HalvingParams(every=every), batch_size=4)
    expected = reference(lambda o: StepLR(o, every.steps(10, 4), gamma=0.5), 31)
    assert rates(params, 10) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("total", "peak"), [(30, 0.3), (100, 0.1), (31, 0.77), (10, 0.5), (8, 0.2)]
)
def test_one_cycle_is_torchs(total, peak):
    # torch refuses to be asked once more after its last step, which is looked at below.
    expected = reference(
        lambda o: OneCycleLR(o, 0.1, total_steps=total, pct_start=peak, cycle_momentum=False),
        total - 1,
    )
    found = [0.1 * one_cycle_factor(step, total, peak, 25, 1e4) for step in range(total - 1)]
    assert found == pytest.approx(expected, rel=1e-9)
    params = made(total, 0, schedule="one_cycle", one_cycle=OneCycleParams(peak=peak))
    seen = rates(params, 1)
    assert max(seen) <= 0.1 + 1e-12
    assert seen[-2] == pytest.approx(0.1 / 25 / 1e4)


def test_one_cycle_needs_no_warmup_and_is_not_changed_by_one():
    assert rates(made(3, 0, schedule="one_cycle"), 10) == rates(
        made(3, 1, schedule="one_cycle"), 10
    )
    assert [one_cycle_factor(0, total, 0.3, 25, 1e4) for total in (1, 2, 3)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("larger", [True, False])
@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.2])
def test_plateau_is_torchs(larger, patience, threshold):
    generator = torch.Generator().manual_seed(patience)
    values = torch.rand(60, generator=generator).cumsum(0).div(10).sin().add(2).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = ReduceLROnPlateau(
        optimizer, "max" if larger else "min", 0.5, patience, threshold, eps=0
    )
    for count, value in enumerate(values, start=1):
        theirs.step(value)
        ours = plateau_decay(values[:count], larger, 0.5, patience, threshold)
        assert ours == optimizer.param_groups[0]["lr"]
    assert ours < 1


def test_plateau_takes_what_is_not_a_number_for_no_gain():
    nan = math.nan
    assert plateau_decay([nan, nan, 0.5], True, 0.1, 1, 0.0) == pytest.approx(0.1)
    assert plateau_decay([0.5, nan, 0.6, nan], True, 0.1, 1, 0.0) == 1
    params = made(9, 0, schedule="plateau", plateau=PlateauParams(metric="val_loss", patience=0))
    steps = lengths_in_steps(params, 1)
    assert learning_rate(params, steps, 5, [1.0, 2.0]) == pytest.approx(0.01)
    params = made(9, 0, schedule="plateau", plateau=PlateauParams(metric="val_miou", patience=0))
    assert learning_rate(params, steps, 5, [1.0, 2.0]) == pytest.approx(0.1)


def test_warmup_sqrt_is_the_formula_at_every_step():
    params = TrainParams(
        length=Length(1251, "steps"),
        warmup=Length(100, "steps"),
        lr=1e-3,
        schedule="warmup_sqrt",
        warmup_sqrt=WarmupSqrtParams(minimum=1e-4, decay=5e8),
    )
    seen = rates(params, 10)
    for s in range(1251):
        if s < 100:
            expected = max(1e-3 * s**2 / 100**2, 1e-4)
        else:
            expected = max(1e-3 - math.sqrt((s - 100) / 5e8), 1e-4)
        assert seen[s] == pytest.approx(expected, rel=1e-12)
    assert min(step for step in range(100, 1251) if seen[step] <= 1e-4 * (1 + 1e-9)) == 505
    assert seen[100] == 1e-3


def test_warmup_sqrt_never_exceeds_the_base_rate():
    assert max(rates(made(30, 5, lr=1e-5, schedule="warmup_sqrt"), 10)) == 1e-5


def test_hand_values():
    assert factors("poly", 6, 2, poly=PolyParams(power=1.0)) == pytest.approx(
        [1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4, 0]
    )
    assert factors("poly", 4, 0, poly=PolyParams(power=2.0)) == pytest.approx(
        [1, 9 / 16, 1 / 4, 1 / 16, 0]
    )
    half = math.sqrt(0.5)
    assert factors("cosine", 5, 1) == pytest.approx(
        [1 / 2, 1, (1 + half) / 2, 1 / 2, (1 - half) / 2, 0]
    )
    assert factors("constant", 5, 1) == [0.5, 1, 1, 1, 1, 1]
    assert factors("halving", 6, 1, every=2) == [*(0.5, 1, 0.5, 0.5, 0.25, 0.25, 0.125)]


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0, 1.9])
def test_it_climbs_to_the_base_rate_then_falls_to_0(schedule, warmup):
    seen = rates(made(2, warmup, lr=0.01, schedule=schedule), 9)
    top = seen.index(max(seen))
    assert top == round(warmup * 9) and seen[top] == 0.01 and seen[-1] == 0
    assert all(a < b for a, b in pairwise(seen[: top + 1]))
    assert all(a > b for a, b in pairwise(seen[top:]))
    assert min(seen[:-1]) > 0


@pytest.mark.parametrize("schedule", ["constant", "halving", "poly", "cosine", "plateau"])
def test_the_warmup_climbs_in_equal_parts(schedule):
    seen = rates(made(4, 2, lr=1.0, schedule=schedule), 2)
    assert seen[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("length", [Length(1, "steps"), Length(2), Length(2000, "samples")])
def test_every_schedule_alone_suits_every_length(schedule, length):
    params = TrainParams(length=length, warmup=Length(0), schedule=schedule, lr=0.5)
    seen = rates(params, 7)[:-1]
    assert len(seen) == length.steps(7, 8)
    assert all(0 < rate <= 0.5 for rate in seen)


def test_a_schedule_of_one_step():
    assert rates(made(1, 0.5, lr=0.5), 1) == [0.5, 0.0]


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize(("step", "total", "warmup"), [(-1, 5, 0), (6, 5, 0), (0, 5, 5), (0, 0, 0)])
def test_steps_outside_of_the_schedule_are_refused(schedule, step, total, warmup):
    with pytest.raises(ValueError, match="steps"):
        learning_rate(TrainParams(schedule=schedule), lengths_of(total, warmup), step)


@pytest.mark.parametrize("schedule", NAMES)
def test_a_step_beyond_the_end_is_refused(schedule):
    params = made(2, 0, schedule=schedule)
    with pytest.raises(ValueError, match="outside of the schedule of 10 steps"):
        learning_rate(params, lengths_in_steps(params, 5), 11)

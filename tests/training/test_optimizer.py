"""The optimizers: which parameters are decayed, which learn slower, and how they are restored."""

import copy

import pytest
import torch
from torch import nn

from segpipe.models.parts.network import Network
from segpipe.params.optimizer import RMSpropParams, SGDParams
from segpipe.params.train import TrainParams
from segpipe.training.optimizer import (
    build_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)

OPTIMIZERS = {
    "adamw": {},
    "adam": {},
    "sgd": {"sgd": SGDParams(momentum=0.9, nesterov=True)},
    "plain sgd": {"sgd": SGDParams(momentum=0.0, nesterov=False)},
    "rmsprop": {"rmsprop": RMSpropParams(momentum=0.5)},
}


class TwoParts(Network):
    backbone_path = "backbone"

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Conv2d(8, 2, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(image).relu())


class OnePart(Network):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


def made(name: str, **options: object) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = TwoParts().to(memory_format=torch.channels_last)
    params = TrainParams(
        optimizer=name.removeprefix("plain "), lr=0.01, **OPTIMIZERS.get(name, {}), **options
    )
    return network, build_optimizer(network, params)


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    image = torch.linspace(-1, 1, 2 * 3 * 81).reshape(2, 3, 9, 9)
    image = image.to(next(network.parameters()))
    network(image).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_takes_the_steps_of_torchs_plain_one(name: str) -> None:
    network, optimizer = made(name, weight_decay=0.1)
    other, _ = made(name)
    # Rounding apart, which Adam scales up where a gradient is nearly 0.
    for one in (network, other):
        one.double()
    kind = type(optimizer)
    decayed = [weight for weight in other.parameters() if weight.ndim > 1]
    vectors = [weight for weight in other.parameters() if weight.ndim == 1]
    options = {"lr": 0.01, "foreach": False}
    section = OPTIMIZERS[name].get(name.removeprefix("plain "))
    options |= section.model_dump() if section else {}
    theirs = kind(
        [{"params": decayed, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        **options,
    )
    for _ in range(4):
        step(network, optimizer)
        step(other, theirs)
    for ours, reference in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*OPTIMIZERS, "muon"])
def test_a_restored_one_takes_the_same_steps_bit_for_bit(name: str) -> None:
    network, optimizer = made(name)
    for _ in range(3):
        step(network, optimizer)
    other, its_optimizer = made(name)
    other.load_state_dict(network.state_dict())
    restore_optimizer(its_optimizer, optimizer_tensors(optimizer))
    for _ in range(2):
        step(network, optimizer)
        step(other, its_optimizer)
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    restored = optimizer_tensors(its_optimizer)
    for key, value in optimizer_tensors(optimizer).items():
        assert torch.equal(value, restored[key]), key


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_may_take_their_first_step_later(name: str) -> None:
    """Those of a part that was frozen; they move as by torch's plain optimizer from then on."""
    torch.manual_seed(0)
    # In double precision: Adam scales rounding up where a gradient is nearly 0.
    network = TwoParts().double().to(memory_format=torch.channels_last)
    kind = name.removeprefix("plain ")
    params = TrainParams(optimizer=kind, lr=0.01, weight_decay=0.0, **OPTIMIZERS[name])
    other = copy.deepcopy(network)
    optimizer = build_optimizer(network, params, freezes=True)
    section = OPTIMIZERS[name].get(kind)
    options = section.model_dump() if section else {"weight_decay": 0.0}
    theirs = type(optimizer)(other.parameters(), lr=0.01, foreach=False, **options)
    for one, its in ((network, optimizer), (other, theirs)):
        one.backbone.requires_grad_(False)
        step(one, its)
        one.backbone.requires_grad_(True)
        step(one, its)
        step(one, its)
    for ours, reference in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*OPTIMIZERS, "muon"])
def test_the_backbone_learns_at_its_part_of_the_rate(name: str) -> None:
    _, optimizer = made(name, backbone_lr=0.1, weight_decay=0.3)
    set_learning_rate(optimizer, 0.5)
    found = [
        (sorted(w.shape[0] for w in group["params"]), group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
    ]
    assert found == [
        ([2], 0.5, 0.3),
        ([2], 0.5, 0.0),
        ([8], 0.05, 0.3),
        ([8, 8], 0.05, 0.0),
    ]


def test_a_network_without_a_backbone_has_two_groups() -> None:
    groups = build_optimizer(OnePart(), TrainParams(backbone_lr=0.1)).param_groups
    assert [len(group["params"]) for group in groups] == [1, 3]
    assert {group["lr_factor"] for group in groups} == {1.0}


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        SGDParams(momentum=0.0, nesterov=True)

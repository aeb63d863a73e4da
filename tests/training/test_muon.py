"""Muon: against torch's for matrices, against the singular value decomposition, and for grouped kernels."""

import pytest
import torch
from torch import Tensor, nn

from segpipe.models.parts.network import Network
from segpipe.params.train import TrainParams
from segpipe.training.muon import orthogonal
from segpipe.training.optimizer import build_optimizer

LR, DECAY = 0.01, 0.1


class OfSeveralKinds(Network):
    """Kernels that are wide, tall, grouped, depthwise and transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.tall = nn.Conv2d(8, 16, 1)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4, bias=False)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.transposed = nn.ConvTranspose2d(16, 6, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        x = self.grouped(self.tall(self.wide(image)).relu())
        return self.transposed(self.norm(self.depthwise(x)).relu())


def network_and_gradients(steps: int) -> tuple[Network, list[dict[str, Tensor]]]:
    torch.manual_seed(0)
    network = OfSeveralKinds().to(memory_format=torch.channels_last)
    gradients = [
        {name: torch.randn_like(weight) for name, weight in network.named_parameters()}
        for _ in range(steps)
    ]
    return network, gradients


def matrices(name: str, weight: Tensor) -> list[Tensor]:
    """The matrices of a kernel, one for each group of its convolution, cut out by hand."""
    groups = {"grouped.weight": 4, "depthwise.weight": 16}.get(name, 1)
    return [part.flatten(1).clone() for part in weight.detach().chunk(groups)]


def test_kernels_take_the_steps_of_torchs_muon_and_vectors_those_of_adamw() -> None:
    network, gradients = network_and_gradients(4)
    weights = dict(network.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    theirs = {
        name: [nn.Parameter(matrix) for matrix in matrices(name, weight)]
        for name, weight in weights.items()
        if weight.ndim > 1
    }
    vectors = {
        name: nn.Parameter(weight.detach().clone())
        for name, weight in weights.items()
        if weight.ndim == 1
    }
    muon = torch.optim.Muon(
        [matrix for one in theirs.values() for matrix in one],
        lr=LR,
        weight_decay=DECAY,
        adjust_lr_fn="match_rms_adamw",
    )
    adamw = torch.optim.AdamW(vectors.values(), lr=LR, weight_decay=0.0)
    params = TrainParams(optimizer="muon", lr=LR, weight_decay=DECAY)
    ours = build_optimizer(network, params)
    for gradient in gradients:
        for name, weight in weights.items():
            weight.grad = gradient[name].clone()
            if name in vectors:
                vectors[name].grad = gradient[name].clone()
                continue
            for matrix, part in zip(theirs[name], matrices(name, gradient[name]), strict=True):
                matrix.grad = part
        for optimizer in (ours, muon, adamw):
            optimizer.step()
    for name, weight in weights.items():
        if name in vectors:
            torch.testing.assert_close(weight, vectors[name], rtol=1e-6, atol=1e-7)
            continue
        parts = zip(matrices(name, weight), theirs[name], matrices(name, before[name]), strict=True)
        for part, matrix, old in parts:
            # torch's computes in bfloat16, of eight bits.
            assert (part - matrix).norm() < 0.1 * (part - old).norm()


@pytest.mark.parametrize("shape", [(1, 32, 288), (1, 96, 40), (4, 16, 144), (16, 1, 9)])
def test_directions_are_kept_and_lengths_become_equal(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    given = torch.randn(shape)
    found = orthogonal(given)
    for one, result in zip(given, found, strict=True):
        u, values, v = torch.linalg.svd(one.double(), full_matrices=False)
        assert values.min() > 0.003 * one.norm()
        inner = u.T @ result.double() @ v.T
        assert (inner - inner.diag().diag()).abs().max() < 1e-4, "the singular vectors are the same"
        assert inner.diag().min() > 0.65 and inner.diag().max() < 1.25


def test_the_product_of_factors_is_the_iteration() -> None:
    """As Jordan et al. 2024 write it, in double precision; singular values from 1 to 1e-4."""
    torch.manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(side, 64))[0] for side in (64, 576))
    given = u @ torch.logspace(0, -4, 64).diag() @ v.T
    x = given.double() / given.norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    for found in (orthogonal(given[None])[0], orthogonal(given.T[None])[0].T):
        assert (found - x).norm() < 1e-3 * x.norm()


def test_a_kernel_without_a_gradient_rests() -> None:
    network, (gradient,) = network_and_gradients(1)
    optimizer = build_optimizer(network, TrainParams(optimizer="muon", lr=LR))
    before = network.wide.weight.detach().clone()
    network.tall.weight.grad = gradient["tall.weight"]
    optimizer.step()
    assert torch.equal(network.wide.weight, before)
    assert not optimizer.state[network.wide.weight]


def test_a_gradient_of_zeros_changes_nothing_but_by_decay() -> None:
    network, _ = network_and_gradients(0)
    optimizer = build_optimizer(network, TrainParams(optimizer="muon", lr=LR, weight_decay=0.0))
    before = network.wide.weight.detach().clone()
    network.wide.weight.grad = torch.zeros_like(before)
    optimizer.step()
    assert torch.equal(network.wide.weight, before)


def test_shards_have_no_whole_kernels() -> None:
    with pytest.raises(ValueError, match="muon needs whole kernels"):
        TrainParams(optimizer="muon", sharding="fsdp2")

"""The optimizers by name, and their state as plain tensors."""

from typing import Any

import torch
from torch import Tensor, nn

from segpipe.params.train import TrainParams


def build_optimizer(network: nn.Module, train: TrainParams) -> torch.optim.Optimizer:
    """Return the optimizer of `train`; all of a step runs in one fused kernel.

    adamw: decoupled weight decay (Loshchilov & Hutter 2019). adam: L2 decay in the gradient
    (Kingma & Ba 2015). Vectors (biases, norm scales) are not decayed: they have no scale to lose.
    """
    learnt = [weight for weight in network.parameters() if weight.requires_grad]
    matrices = [weight for weight in learnt if weight.ndim > 1]
    vectors = [weight for weight in learnt if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": train.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    match train.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=train.lr, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=train.lr, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's moments and step counts by `<parameter number>.<name>`, on the CPU."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value).detach().cpu().contiguous().clone()
        for number, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned.

    The fused kernels walk through a weight and its moments side by side in memory, so the moments
    must lie as the weight does (channels-last), or each would be taken for another's.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        weight = weights[int(number)]
        laid_out = tensor if tensor.ndim == 0 else torch.empty_like(weight).copy_(tensor)
        state.setdefault(int(number), {})[name] = laid_out.detach()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})

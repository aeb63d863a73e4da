"""The optimizers by name, and their state as plain tensors."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from segpipe.models.parts.network import Network
from segpipe.params.train import TrainParams
from segpipe.training.distributed.sharding import gathered, is_sharded, laid_out_as
from segpipe.training.muon import Muon

# What the learning rate of a parameter group is multiplied by.
_FACTOR = "lr_factor"
# torch has kernels for these that take a whole step at once.
_FUSED = ("cpu", "cuda")


def build_optimizer(
    network: Network, train: TrainParams, freezes: bool = False
) -> torch.optim.Optimizer:
    """Return the optimizer of `train`; a step runs in one fused kernel where torch has one.

    adamw: decoupled weight decay (Loshchilov & Hutter 2019). muon: as `Muon` says. adam: L2 decay in
    the gradient (Kingma & Ba 2015), as in sgd (with momentum, Nesterov's if asked for, as in Sutskever
    et al. 2013) and rmsprop (Hinton 2012, lecture 6e). Vectors (biases, norm scales) are not decayed:
    they have no scale to lose. The backbone's parameters take part of the learning rate. freezes: some
    weights take their first step later than others.
    """
    groups = _groups(network, train)
    fused = all(weight.device.type in _FUSED for group in groups for weight in group["params"])
    match train.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=train.lr, fused=fused)
        case "muon":
            return Muon(network, groups, train.lr)
        case "adam":
            return torch.optim.Adam(groups, lr=train.lr, fused=fused)
        case "sgd":
            sgd = train.sgd
            # torch's fused kernel of it takes no shards, nor momenta of which some have not begun.
            fused = fused and not (freezes or is_sharded(network))
            return torch.optim.SGD(
                groups, lr=train.lr, momentum=sgd.momentum, nesterov=sgd.nesterov, fused=fused
            )
        case "rmsprop":
            rms = train.rmsprop
            return torch.optim.RMSprop(groups, lr=train.lr, alpha=rms.alpha, momentum=rms.momentum)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all parameter groups; the backbone's is its part of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group[_FACTOR]


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, on_leader: bool = True
) -> dict[str, Tensor]:
    """Return the optimizer's moments and step counts by `<parameter number>.<name>`, on the CPU.

    on_leader: as `gathered` takes it.
    """
    state = optimizer.state_dict()["state"]
    tensors = {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entries in state.items()
        for name, value in entries.items()
    }
    return gathered(tensors, on_leader)


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
        laid_out = tensor if tensor.ndim == 0 else laid_out_as(weight, tensor)
        state.setdefault(int(number), {})[name] = laid_out.detach()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _groups(network: Network, train: TrainParams) -> list[dict[str, Any]]:
    """The parameters that learn, by whether they are the backbone's and whether they are decayed."""
    backbone = {id(weight) for weight in network.backbone_parameters()}
    learnt = [weight for weight in network.parameters() if weight.requires_grad]
    own = [weight for weight in learnt if id(weight) not in backbone]
    theirs = [weight for weight in learnt if id(weight) in backbone]
    groups = [*_by_decay(own, train, 1.0), *_by_decay(theirs, train, train.backbone_lr)]
    return [group for group in groups if group["params"]]


def _by_decay(
    weights: Iterable[nn.Parameter], train: TrainParams, factor: float
) -> Iterable[dict[str, Any]]:
    weights = list(weights)
    matrices = [weight for weight in weights if weight.ndim > 1]
    vectors = [weight for weight in weights if weight.ndim <= 1]
    yield {"params": matrices, "weight_decay": train.weight_decay, _FACTOR: factor}
    yield {"params": vectors, "weight_decay": 0.0, _FACTOR: factor}

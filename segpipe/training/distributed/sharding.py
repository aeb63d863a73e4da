"""Weights, gradients and optimizer state divided among the processes (`train.sharding: fsdp2`).

Each process keeps its part of every weight (Zhao et al. 2023, by torch's fully_shard). For a forward or
backward pass the processes gather the weights of one unit of the network at a time, and let go of them
after it. So whoever calls a sharded network, or wants its whole weights, does it in all processes
together, or they wait for each other for ever.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from accelerate.utils import recursively_apply
from torch import Tensor, nn

from segpipe.bundle import plain
from segpipe.models.parts.network import count_parameters

# torch's code for shards takes seconds to import, so it is imported where something is sharded.
if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

# Fraction of the weights that is gathered at a time, at least.
_UNIT = 1 / 8


def shard(network: nn.Module, device: torch.device, processes: int) -> None:
    """Leave this process its part of the weights of `network`, which is changed in place.

    The parameters are others afterwards: an optimizer has to be made after this. Buffers (batch
    norm's statistics) stay whole, for all processes have the same.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (processes,))
    # fully_shard takes no weights that lie channels-last.
    network.to(memory_format=torch.contiguous_format)
    for unit in units(network):
        unit.register_forward_hook(_in_own_memory)
        # Else a unit stays gathered after a validation, and knows nothing of the next update.
        fully_shard(unit, mesh=mesh, reshard_after_forward=True)


def units(network: nn.Module) -> list[nn.Module]:
    """Return the modules whose weights are gathered together, inner ones first, the network last.

    A unit has at least an eighth of the network's weights, less those of the units inside it.
    """
    enough = _UNIT * count_parameters(network)
    found: list[nn.Module] = []
    _collect(network, enough, found)
    return [*found, network]


def _collect(module: nn.Module, enough: float, found: list[nn.Module]) -> int:
    """Add the units inside `module`; return how many of its weights are in none of them."""
    left = sum(weight.numel() for weight in module.parameters(recurse=False))
    for child in module.children():
        inner = _collect(child, enough, found)
        # Lists and dictionaries of modules are not called, so they cannot gather anything.
        if inner >= enough and type(child).forward is not nn.Module.forward:
            found.append(child)
        else:
            left += inner
    return left


def _in_own_memory(_unit: nn.Module, _given: object, output: Any) -> Any:
    """A view that is written into would lose the hook that gathers the weights for the backward pass."""
    return recursively_apply(lambda t: t if t._base is None else t.clone(), output)


def is_sharded(network: nn.Module) -> bool:
    """Return whether each process has only its part of the weights."""
    return any(_is_part(weight) for weight in network.parameters())


def _is_part(tensor: Tensor) -> "TypeGuard[DTensor]":
    loaded = sys.modules.get("torch.distributed.tensor")
    return loaded is not None and isinstance(tensor, loaded.DTensor)


def own_part(tensor: Tensor) -> Tensor:
    """Return what this process has of a tensor; all of one that is not sharded."""
    return tensor.to_local() if _is_part(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor whole, on its device; all processes call this together if it is sharded."""
    return tensor.full_tensor() if _is_part(tensor) else tensor


def laid_out_as(model: Tensor, tensor: Tensor) -> Tensor:
    """Return a copy of a whole `tensor` as `model` lies: sharded as it is, or in its memory order.

    Every process has the whole tensor already, so nothing is sent.
    """
    if _is_part(model):
        from torch.distributed.tensor import distribute_tensor

        there = tensor.to(model.device)
        mesh, placements = model.device_mesh, model.placements
        return distribute_tensor(there, mesh, placements, src_data_rank=None)
    return torch.empty_like(model).copy_(tensor)


def gathered(tensors: Mapping[str, Tensor], on_leader: bool) -> dict[str, Tensor]:
    """Return whole copies on the CPU, in plain memory order; none unless this is `on_leader`.

    All processes call this together where a tensor is sharded; one whole tensor at a time is held on
    the device.
    """
    found = {}
    for name, tensor in tensors.items():
        complete = whole(tensor.detach())
        if on_leader:
            found[name] = plain(complete)
    return found


def restore_weights(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load whole weights into a network, of which each process then has its part where it is sharded.

    Raises RuntimeError, as torch does, when they are of another network.
    """
    present = network.state_dict()
    sharded = {name for name, tensor in present.items() if _is_part(tensor)}
    network.load_state_dict(
        {
            name: laid_out_as(present[name], tensor) if name in sharded else tensor
            for name, tensor in tensors.items()
        }
    )

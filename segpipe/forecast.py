"""How much memory a training will need, before it starts.

The network is run once on torch's meta device, where tensors have sizes and no content, and what
its backward pass would keep is added up. Shapes: B batch, T frames, C channels, K classes.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn

from segpipe.augment.draw import crop_sides
from segpipe.hardware import available_memory, best_device, choose_precision
from segpipe.models.build import build_model
from segpipe.models.network import count_parameters
from segpipe.params.model import ModelParams
from segpipe.params.train import TrainParams

_MB = 1 << 20
# What a process holds before it trains: Python, torch and its libraries; on a GPU its context.
_BASE_MB = {"cpu": 700, "cuda": 600}
# Weights, gradients and the two moments of Adam, all in 32 bits.
_BYTES_A_PARAMETER = 16


def forecast(
    model: ModelParams,
    train: TrainParams,
    height: int,
    width: int,
    channels: int,
    classes: int,
    truth_ratio: int = 1,
    frames: int = 1,
    processes: int = 1,
) -> dict[str, Any]:
    """Return what one process of a training will need, as plain values in MB (2^20 bytes).

    height, width, channels: of the prepared images; classes, truth_ratio, frames: of their data.
    The activations are counted exactly as far as autograd keeps them; what the allocator wastes and
    workspaces of convolutions are not in it, so take it as a lower bound that is good to a third.
    """
    device = best_device()
    precision = choose_precision(train.precision, device)
    size = max(1, train.batch_size // (train.accumulation * processes))
    crop = crop_sides(train.augment, height, width)
    with torch.device("meta"):
        network = build_model(model, channels, classes, truth_ratio)
        clip = (frames,) if network.takes_clips else ()
        image = torch.empty(size, *clip, channels, *crop)
    parameters = count_parameters(network)
    kept = _kept_bytes(network, image, torch.bfloat16 if precision == "bf16" else torch.float32)
    # Copies of the weights in lower precision, made anew in each step.
    cast = 2 * parameters if precision == "bf16" else 0
    states = _BYTES_A_PARAMETER * parameters + cast
    base = _BASE_MB[device.type]
    return {
        "model": model.name,
        "height": crop[0],
        "width": crop[1],
        "batch_size": size,
        "precision": precision,
        "parameters": parameters,
        "weights_mb": round(states / _MB, 1),
        "activations_mb": round(kept / _MB, 1),
        "base_mb": base,
        "total_mb": round((states + kept) / _MB + base, 1),
        "available_mb": round(available_bytes(device) / _MB, 1),
        "device": device.type,
    }


def available_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    # What the page cache holds is given up when it is needed, so `free` alone would say too little.
    return available_memory() or os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _kept_bytes(network: nn.Module, image: Tensor, dtype: torch.dtype) -> int:
    """Run forward and loss in `dtype`; return the bytes of what the backward pass needs."""
    network = network.to(dtype).train()
    own = {id(weight) for weight in network.parameters()}
    seen: set[int] = set()
    total = image.numel() * (4 + dtype.itemsize)  # the batch as it is augmented, and as it is fed

    def count(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if id(tensor) not in own and storage._cdata not in seen:
            seen.add(storage._cdata)
            held.append(tensor)  # a storage that lives cannot give its address to another
            total += storage.nbytes()
        return tensor

    held: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        outputs = network(image.to(dtype))
        for logits in outputs if isinstance(outputs, tuple) else (outputs,):
            torch.log_softmax(logits.float(), 1).sum()
            # Log-probabilities' gradient and that of the logits stand side by side for a moment.
            total += 2 * logits.numel() * 4
    return total

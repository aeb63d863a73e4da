"""How much memory a training will need, before it starts.

The network is run once on two small images, and what its backward pass would keep is added up and
brought to the size of the training's. (torch's meta device would do without arithmetic, but takes
four seconds to import.) Shapes: B batch, T frames, C channels, K classes.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn

from segpipe.augment.draw import crop_sides
from segpipe.losses.build import logits_a_pixel
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network, count_parameters
from segpipe.params.model import ModelParams
from segpipe.params.schema import Params
from segpipe.params.train import TrainParams
from segpipe.preparation.sample_job import PrepareContext
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.hardware import available_memory, best_device, choose_precision
from segpipe.training.freezing import Freezing

_MB = 1 << 20
# Shorter sides would be mostly margin, and too short for deep networks.
_LEAST = 64
# What a process holds beside what it trains: Python, torch and its libraries; on a GPU its context.
_BASE_MB = {"cpu": 1000, "cuda": 600}
# Times what is kept at once: a heap that keeps freed memory (segpipe.runtime.allocation) has gaps,
# since training and validation ask for pieces of other sizes (measured: docs/benchmarks.md).
_HEAP = {"cpu": 1.5, "cuda": 1.0}
# Weights, gradients and the two moments of Adam, all in 32 bits.
_BYTES_A_PARAMETER = 16
# Fraction of a sharded network that is whole at a time: two units of an eighth, one ahead of the other.
_GATHERED = 1 / 4


def forecast_training(params: Params, context: PrepareContext) -> dict[str, Any]:
    """Return what `forecast` says of a training on the data that `context` says how to read."""
    prepare, files = params.prepare, context.files
    return forecast(
        params.model,
        params.train,
        height=prepare.height,
        width=prepare.width,
        channels=len(files.channels),
        outputs=logits_a_pixel(params.loss, context.scheme.num_classes),
        truth_ratio=files.truth_ratio,
        frames=params.source.clip.frames,
    )


def forecast(
    model: ModelParams,
    train: TrainParams,
    *,
    height: int,
    width: int,
    channels: int,
    outputs: int,
    truth_ratio: int = 1,
    frames: int = 1,
    processes: int = 1,
) -> dict[str, Any]:
    """Return what one process of a training will need, as plain values in MB (2^20 bytes).

    height, width, channels: of the prepared images; truth_ratio, frames: of their data. outputs: of
    the network, for each pixel.
    The activations are counted exactly as far as autograd keeps them; workspaces of convolutions and
    what a validation needs are not in it, so take the total as good to a third.

    Raises ParameterError when the network cannot be trained on such images, or has no such parts as
    `model.freeze` names.
    """
    device = best_device()
    precision = choose_precision(train.precision, device)
    size = max(1, train.batch_size // (train.lanes or train.accumulation * processes))
    crop = crop_sides(train.augmentation, height, width)
    network = build_model(model, channels, outputs, truth_ratio)
    if model.freeze.on:
        # What learns later will be kept, so only what is frozen to the end counts as frozen.
        Freezing(network, model.freeze.parts).switch(model.freeze.length == "all")
    clip = (frames,) if network.takes_clips else ()
    sides = _small(network, crop, truth_ratio)
    image = torch.zeros(2, *clip, channels, *sides)
    # What is kept grows with the batch and, but for margins, with the area.
    times = size / 2 * (crop[0] * crop[1]) / (sides[0] * sides[1])
    try:
        kept = round(_kept_bytes(network, image, precision == "bf16") * times)
    except ValueError as error:
        raise ParameterError(f"params.yaml: {error}") from error
    states = _state_bytes(network, train, precision == "bf16", processes)
    base = _BASE_MB[device.type]
    return {
        "model": model.name,
        "height": crop[0],
        "width": crop[1],
        "batch_size": size,
        "precision": precision,
        "parameters": count_parameters(network),
        "weights_mb": round(states / _MB, 1),
        "activations_mb": round(kept / _MB, 1),
        "base_mb": base,
        "total_mb": round((states + _HEAP[device.type] * kept) / _MB + base, 1),
        "available_mb": round(available_bytes(device) / _MB, 1),
        "device": device.type,
    }


def available_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    # What the page cache holds is given up when it is needed, so `free` alone would say too little.
    return available_memory() or os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _state_bytes(network: Network, train: TrainParams, half: bool, processes: int) -> int:
    """Return the bytes of the weights and of what stands beside them from step to step."""
    parameters = count_parameters(network)
    # Copies of the weights in lower precision, made anew in each step.
    cast = 2 * parameters if half else 0
    average = 4 * parameters if train.ema else 0
    if train.lanes:
        # The sums of the lanes so far, one for each level of their tree, and another process's.
        levels = (train.lanes // processes).bit_length() + 1
        return (_BYTES_A_PARAMETER + 4 * levels) * parameters + cast + average
    if processes == 1:
        return _BYTES_A_PARAMETER * parameters + cast + average
    if train.sharding == "none":
        # The gradients lie once more in the buckets in which the processes exchange them.
        return (_BYTES_A_PARAMETER + 4) * parameters + cast + average
    # Weights and gradients of the units that are gathered are there whole, and all copies.
    whole = round(_GATHERED * 8 * parameters) + cast
    return (_BYTES_A_PARAMETER * parameters + average) // processes + whole


def _small(network: Network, crop: tuple[int, int], ratio: int) -> tuple[int, int]:
    """Return sides of the crop's proportions that take little time: whole fractions of its own."""
    if any(network.input_side(side // ratio) != side // ratio * ratio for side in crop):
        return crop  # without padding the margins are a large part
    fitting = [
        parts
        for parts in range(1, min(crop) // _LEAST + 1)
        if all(side % (parts * ratio) == 0 for side in crop)
    ]
    parts = max(fitting, default=1)
    return crop[0] // parts, crop[1] // parts


def _kept_bytes(network: nn.Module, image: Tensor, half: bool) -> int:
    """Run the network; return the bytes of what its backward pass and the loss need.

    half: floating values will be kept in 16 bits. They are computed in 32 here all the same, since
    some 16-bit convolutions are slow.
    """
    own = {id(weight) for weight in network.parameters()}
    seen: set[int] = set()
    held: list[Tensor] = []
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        storage = tensor.untyped_storage()
        if id(tensor) not in own and storage._cdata not in seen:
            seen.add(storage._cdata)
            held.append(tensor)  # a storage that lives cannot give its address to another
            kept += storage.nbytes() // (2 if half and tensor.is_floating_point() else 1)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        outputs = network.train()(image)
    scored = outputs if isinstance(outputs, tuple) else (outputs,)
    # The loss keeps log-probabilities in 32 bits; their gradient and the logits' stand beside them.
    loss = sum(3 * 4 * int(logits.numel()) for logits in scored)
    # The batch as it is augmented, and as it is fed.
    batch = image.numel() * (4 + (2 if half else 4))
    return kept + loss + batch

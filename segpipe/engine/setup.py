"""Everything that a training needs, made once: network, optimizer, data, processes, checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from segpipe.augment.draw import crop_sides
from segpipe.engine.checkpoint import Checkpoints
from segpipe.engine.optimizer import build_optimizer
from segpipe.engine.sync_norm import synchronise_norms
from segpipe.errors import ParameterError
from segpipe.hardware import Precision, best_device, choose_precision
from segpipe.loading.order import Share, steps_per_epoch
from segpipe.losses.build import Loss, build_loss
from segpipe.models.build import build_model
from segpipe.models.network import Network
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.train import AugmentParams, TrainParams
from segpipe.storage.reader import Dataset, Split


@dataclass
class Job:
    """One training.

    network is the model itself, model the same as Accelerate wraps it (processes, precision).
    frames: T, how many of a sample's frames the network takes. crop: sides (height, width) of what
    the network sees of a training sample. mean_C, std_C: of the training split, for images in
    0..1, on the device.
    """

    train: TrainParams
    dataset: Dataset
    train_split: Split
    val_split: Split
    accelerator: Accelerator
    precision: Precision
    network: Network
    model: nn.Module
    optimizer: Any
    loss: Loss
    frames: int
    share: Share
    steps_per_epoch: int
    crop: tuple[int, int]
    mean_C: Tensor
    std_C: Tensor
    checkpoints: Checkpoints

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return torch.device(self.accelerator.device)

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes files and speaks."""
        return bool(self.accelerator.is_main_process)


def set_up(
    dataset: Dataset,
    model: ModelParams,
    loss: LossParams,
    train: TrainParams,
    state: Path,
    about: dict[str, Any],
) -> Job:
    """Make a Job from prepared data and parameters.

    state: the folder of this run's checkpoints. about: what it is started with, kept beside them.
    Raises LaunchError when the global batch cannot be shared by the processes or exceeds the
    samples, ParameterError when crop or network do not fit the images.
    """
    precision = choose_precision(train.precision, best_device())
    accelerator = Accelerator(
        mixed_precision="bf16" if precision == "bf16" else "no", cpu=best_device().type == "cpu"
    )
    share = Share(
        train.batch_size, accelerator.num_processes, accelerator.process_index, train.accumulation
    )
    train_split, val_split = dataset.split("train"), dataset.split("val")
    steps = steps_per_epoch(len(train_split), train.batch_size)
    crop = crop_sides(train.augment, dataset.height, dataset.width)
    _repeatable(train.seed)
    _refuse_augmentation(train.augment, dataset, crop)
    network = build_model(
        model, len(dataset.mean), dataset.scheme.num_classes, dataset.truth_ratio
    )
    _refuse_too_small(network, crop)
    network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    synchronise_norms(network, accelerator.device, share.processes)
    optimizer = build_optimizer(network, train)
    compiled = torch.compile(network) if train.compile else network
    wrapped, prepared = accelerator.prepare(compiled, optimizer)
    return Job(
        train=train,
        dataset=dataset,
        train_split=train_split,
        val_split=val_split,
        accelerator=accelerator,
        precision=precision,
        network=network,
        model=wrapped,
        optimizer=prepared,
        loss=build_loss(loss),
        frames=dataset.frames if network.takes_clips else 1,
        share=share,
        steps_per_epoch=steps,
        crop=crop,
        mean_C=torch.tensor(dataset.mean, device=accelerator.device),
        std_C=torch.tensor(dataset.std, device=accelerator.device),
        checkpoints=Checkpoints(state, about),
    )


def _refuse_augmentation(augment: AugmentParams, dataset: Dataset, crop: tuple[int, int]) -> None:
    """Some of the variations do not suit every kind of data."""
    ratio, channels = dataset.truth_ratio, len(dataset.mean)
    faults = []
    if ratio > 1 and augment.scale != (1.0, 1.0):
        faults.append(
            f"scale is {list(augment.scale)}, but the truth is {ratio} times coarser than the image "
            "and cannot be scaled; set it to [1.0, 1.0]"
        )
    if any(side % ratio for side in crop):
        faults.append(
            f"the crop of {crop[0]}x{crop[1]} is no multiple of the {ratio} image pixels of a truth "
            "pixel; set crop_height and crop_width to such multiples, or to null"
        )
    if channels != 3 and augment.saturation != (1.0, 1.0):
        faults.append(
            f"saturation is a matter of red, green and blue, and the images have {channels} "
            "channels; set it to [1.0, 1.0]"
        )
    if faults:
        raise ParameterError("\n".join(f"params.yaml: train.augment: {fault}" for fault in faults))


def _refuse_too_small(network: Network, crop: tuple[int, int]) -> None:
    try:
        for side in crop:
            network.output_side(side)
    except ValueError as error:
        raise ParameterError(f"params.yaml: {error}") from error


def _repeatable(seed: int) -> None:
    """Let every run start from the same weights, and cuDNN choose the same algorithms."""
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True

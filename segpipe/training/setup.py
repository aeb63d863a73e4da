"""Everything that a training needs, made once: network, optimizer, data, processes, checkpoints."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn

from segpipe.augment.draw import crop_sides
from segpipe.dataset.reader import Dataset, Split
from segpipe.loading.centroids import Centroids
from segpipe.loading.order import Share, steps_per_epoch
from segpipe.losses.build import Loss, build_loss, is_binary
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.models.pretrained.load import load_pretrained
from segpipe.models.pretrained.matching import Loaded
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.train import TrainParams
from segpipe.runtime.hardware import Precision, best_device, choose_precision
from segpipe.training.distributed.sharding import is_sharded, shard
from segpipe.training.distributed.sync_norm import synchronise_norms
from segpipe.training.freezing import Freezing
from segpipe.training.optimizer import build_optimizer
from segpipe.training.sampling import class_centroids
from segpipe.training.schedules.lengths import StepLengths, lengths_in_steps
from segpipe.training.selection import chosen_samples
from segpipe.training.state.average import WeightAverage
from segpipe.training.state.checkpoint import Checkpoints
from segpipe.training.state.saver import Saver
from segpipe.training.suitability import outputs_of, refuse_augmentation, refuse_too_small
from segpipe.training.watch.phases import Phases
from segpipe.training.weighting import loss_weights

# Longer than a validation or a checkpoint on a slow disk; a process that hangs ends the others then.
_LONGEST_WAIT = timedelta(minutes=10)


@dataclass
class Learner:
    """The network and what makes it learn.

    network is the model itself, model the same as Accelerate wraps it (processes, precision).
    average: of the network's weights; None where `train.ema` is 0. pretrained: what it started from.
    freezing: of parts that do not learn at first.
    """

    network: Network
    model: nn.Module
    average: WeightAverage | None
    pretrained: Loaded | None
    freezing: Freezing | None
    optimizer: Any


@dataclass
class Material:
    """What is learnt from, and for how long.

    lengths: in optimizer steps. crop: sides (height, width) of what the network sees of a training
    sample. mean_C, std_C: of the training split, for images in 0..1, on the device.
    """

    dataset: Dataset
    train_split: Split
    val_split: Split
    steps_per_epoch: int
    lengths: StepLengths
    crop: tuple[int, int]
    mean_C: Tensor
    std_C: Tensor


@dataclass
class Job(Learner, Material):
    """One training.

    frozen_steps: for so many `freezing` holds. binary: the network has one logit a pixel.
    auxiliary: weight of the loss of its auxiliary heads. class_weights: in the loss, by name; None
    where all count alike. centroids: of the classes in the training images, where samples are picked
    by them. frames: T, how many of a sample's frames the network takes. phases: of a step, for
    the profile. about: what the run is started with, kept with its checkpoints. best: the best
    weights so far, in the leading process; None before the first validation.
    """

    train: TrainParams
    accelerator: Accelerator
    precision: Precision
    loss: Loss
    binary: bool
    auxiliary: float
    class_weights: dict[str, float] | None
    centroids: Centroids | None
    frozen_steps: int
    frames: int
    share: Share
    checkpoints: Checkpoints
    phases: Phases
    saver: Saver
    about: dict[str, Any]
    best: dict[str, Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return torch.device(self.accelerator.device)

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes files and speaks."""
        return bool(self.accelerator.is_main_process)

    @property
    def sharded(self) -> bool:
        """Whether each process has but its part of the weights: then all call the network together."""
        return is_sharded(self.network)

    @property
    def result(self) -> Network:
        """The network whose weights are validated and kept: the average where there is one."""
        return self.average.network if self.average else self.network

    @property
    def threshold(self) -> float | None:
        """The probability from which on validation predicts the second class.

        0.5 where the best one is still to be found; None unless the network has one logit.
        """
        if not self.binary:
            return None
        return 0.5 if self.train.threshold == "auto" else self.train.threshold


def set_up(
    dataset: Dataset,
    model: ModelParams,
    loss: LossParams,
    train: TrainParams,
    state: Path,
    about: dict[str, Any],
    checkpoint: CheckpointParams | None = None,
) -> Job:
    """Make a Job from prepared data and parameters.

    state: the folder of this run's checkpoints. about: what it is started with, kept with them.
    checkpoint: when they are written; None: as usual.
    Raises LaunchError when the global batch cannot be shared by the processes or exceeds the
    samples, ParameterError when crop, network, loss or lengths do not fit the data, DataError when
    no training pixel shows a class and samples or the loss go by classes.
    """
    precision = choose_precision(train.precision, best_device())
    accelerator = _accelerator(precision, model.freeze.on)
    share = Share(
        train.batch_size, accelerator.num_processes, accelerator.process_index, train.accumulation
    )
    material = _material(dataset, train, accelerator.device)
    weights = loss_weights(loss, dataset)
    _repeatable(train.seed)
    checkpoint = checkpoint or CheckpointParams()
    checkpoints = Checkpoints(state, checkpoint.keep)
    network = _network(model, outputs_of(loss, dataset), dataset, material.crop)
    learner = _learner(network, model, train, accelerator)
    return Job(
        **vars(learner),
        **vars(material),
        train=train,
        accelerator=accelerator,
        precision=precision,
        loss=_loss(loss, weights, accelerator.device),
        binary=is_binary(loss),
        auxiliary=loss.auxiliary,
        class_weights=weights,
        centroids=class_centroids(
            train, dataset, material.train_split, accelerator.is_main_process
        ),
        frozen_steps=model.freeze.length.steps(material.steps_per_epoch, train.batch_size),
        frames=dataset.input.frames if network.takes_clips else 1,
        share=share,
        checkpoints=checkpoints,
        phases=Phases(accelerator.device),
        saver=Saver(checkpoints, checkpoint),
        about=about,
    )


def _material(dataset: Dataset, train: TrainParams, device: torch.device) -> Material:
    train_split, val_split = chosen_samples(dataset, train)
    steps = steps_per_epoch(len(train_split), train.batch_size)
    lengths = lengths_in_steps(train, steps)
    crop = crop_sides(train.augmentation, dataset.input.height, dataset.input.width)
    refuse_augmentation(train.augmentation, dataset, crop)
    mean_C, std_C = (
        torch.tensor(of, device=device) for of in (dataset.input.mean, dataset.input.std)
    )
    return Material(dataset, train_split, val_split, steps, lengths, crop, mean_C, std_C)


def _learner(
    network: Network, model: ModelParams, train: TrainParams, accelerator: Accelerator
) -> Learner:
    pretrained = load_pretrained(network, model)
    network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    synchronise_norms(network, accelerator.device, accelerator.num_processes)
    average = WeightAverage(network, train.ema) if train.ema else None
    if train.sharding == "fsdp2" and accelerator.num_processes > 1:
        for whole in [network, *([average.network] if average else [])]:
            shard(whole, accelerator.device, accelerator.num_processes)
    # The optimizer knows all weights that will ever learn; frozen ones have no gradient.
    optimizer = build_optimizer(network, train, model.freeze.on)
    freezing = Freezing(network, model.freeze.parts) if model.freeze.on else None
    compiled = torch.compile(network) if train.compile else network
    # Shards exchange their gradients by themselves; DDP, which would come around them, cannot.
    wrapped = accelerator.prepare_model(compiled, evaluation_mode=is_sharded(network))
    prepared = accelerator.prepare_optimizer(optimizer)
    return Learner(network, wrapped, average, pretrained, freezing, prepared)


def _accelerator(precision: Precision, freezes: bool) -> Accelerator:
    # Without it DDP would wait for the gradients of frozen weights.
    unused = [DistributedDataParallelKwargs(find_unused_parameters=True)] if freezes else []
    return Accelerator(
        mixed_precision="bf16" if precision == "bf16" else "no",
        cpu=best_device().type == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_LONGEST_WAIT), *unused],
    )


def _network(model: ModelParams, outputs: int, dataset: Dataset, crop: tuple[int, int]) -> Network:
    network = build_model(model, len(dataset.input.mean), outputs, dataset.truth_ratio)
    refuse_too_small(network, crop)
    return network


def _loss(loss: LossParams, weights: dict[str, float] | None, device: torch.device) -> Loss:
    if weights is None:
        return build_loss(loss)
    return build_loss(loss, torch.tensor(list(weights.values()), device=device))


def _repeatable(seed: int) -> None:
    """Let every run start from the same weights, and cuDNN choose the same algorithms."""
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True

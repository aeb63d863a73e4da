"""Everything that a training needs, made once: network, optimizer, data, processes, checkpoints."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from segpipe.augment.draw import crop_sides
from segpipe.dataset.reader import Dataset
from segpipe.dataset.subset import chosen_samples
from segpipe.loading.order import BatchShard, steps_per_epoch
from segpipe.losses.build import build_loss, is_binary
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.models.pretrained.load import load_pretrained
from segpipe.models.pretrained.weights import IMAGENET, Loaded
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.hardware import best_device, choose_precision
from segpipe.training.class_balance import class_centroids, loss_weights
from segpipe.training.distributed.peers import refuse_differing
from segpipe.training.distributed.sharding import is_sharded, shard
from segpipe.training.distributed.sync_norm import synchronise_norms
from segpipe.training.freezing import Freezing
from segpipe.training.job import Job, Learner, Objective, Processes, TrainingData
from segpipe.training.lengths import lengths_in_steps
from segpipe.training.optimizer import build_optimizer
from segpipe.training.state.average import WeightAverage
from segpipe.training.state.checkpoint import Checkpoints
from segpipe.training.state.saver import Saver
from segpipe.training.suitability import outputs_of, refuse_augmentation, refuse_too_small

# Longer than a validation or a checkpoint on a slow disk; a process that hangs ends the others then.
_LONGEST_WAIT = timedelta(minutes=10)


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
    samples, or the processes were not all started with the same; ParameterError when crop, network,
    loss, lengths or normalisation do not fit the data; DataError when no training pixel shows a
    class and samples or the loss go by classes.
    """
    processes = _processes(train, freezes=model.freeze.on)
    started = {"prepared data": dataset.fingerprint, **about, "parameters": state.name}
    refuse_differing(processes.number, started)
    train_split, val_split = chosen_samples(dataset, train)
    lengths = lengths_in_steps(train, steps_per_epoch(len(train_split), train.batch_size))
    crop = crop_sides(train.augmentation, dataset.input.height, dataset.input.width)
    refuse_augmentation(train.augmentation, dataset, crop)
    objective = _objective(loss, train, dataset, processes.device)
    _make_repeatable(train.seed)
    network = build_model(
        model, len(dataset.input.mean), outputs_of(loss, dataset), dataset.truth_ratio
    )
    refuse_too_small(network, crop)
    checkpoint = checkpoint or CheckpointParams()
    checkpoints = Checkpoints(state, checkpoint.keep)
    learner = _learner(network, model, train, processes.accelerator, lengths.epoch)
    dataset = normalised(dataset, train, learner.pretrained)
    return Job(
        train=train,
        learner=learner,
        data=TrainingData(
            dataset=dataset,
            train_split=train_split,
            val_split=val_split,
            crop=crop,
            frames=dataset.input.frames if network.takes_clips else 1,
            mean_C=torch.tensor(dataset.input.mean, device=processes.device),
            std_C=torch.tensor(dataset.input.std, device=processes.device),
            centroids=class_centroids(train, dataset, train_split, shown=processes.leads),
        ),
        objective=objective,
        lengths=lengths,
        processes=processes,
        checkpoints=checkpoints,
        saver=Saver(checkpoints, checkpoint),
        about=about,
    )


def normalised(dataset: Dataset, train: TrainParams, pretrained: Loaded | None) -> Dataset:
    """Return the data with the mean and std that `train.normalisation` asks for.

    Raises ParameterError for those of ImageNet where the images are no photographs of 8 bits.
    """
    match train.normalisation:
        case "auto":
            spec = pretrained.normalised(dataset.input) if pretrained else dataset.input
        case "data":
            spec = dataset.input
        case "imagenet":
            if not IMAGENET.suits(dataset.input):
                raise ParameterError(
                    "params.yaml: train.normalisation is imagenet, whose mean and std are those of red, "
                    "green and blue photographs of 8 bits, and this data has "
                    f"{len(dataset.input.mean)} channels of another kind; set it to data"
                )
            spec = IMAGENET.applied(dataset.input)
    return replace(dataset, input=spec)


def _processes(train: TrainParams, freezes: bool) -> Processes:
    device = best_device()
    precision = choose_precision(train.precision, device)
    # Without it DDP would wait for the gradients of frozen weights.
    unused = [DistributedDataParallelKwargs(find_unused_parameters=True)] if freezes else []
    accelerator = Accelerator(
        mixed_precision="bf16" if precision == "bf16" else "no",
        cpu=device.type == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_LONGEST_WAIT), *unused],
    )
    own_lanes = train.lanes // accelerator.num_processes
    batch_shard = BatchShard(
        batch_size=train.batch_size,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
        accumulation=max(1, own_lanes) if train.lanes else train.accumulation,
        lanes=train.lanes,
    )
    return Processes(accelerator, precision, batch_shard)


def _objective(
    loss: LossParams, train: TrainParams, dataset: Dataset, device: torch.device
) -> Objective:
    weights = loss_weights(loss, dataset)
    weights_K = None if weights is None else torch.tensor(list(weights.values()), device=device)
    return Objective(
        loss=build_loss(loss, weights_K),
        auxiliary=loss.auxiliary,
        class_weights=weights,
        binary=is_binary(loss),
        wanted_threshold=train.threshold,
    )


def _learner(
    network: Network,
    model: ModelParams,
    train: TrainParams,
    accelerator: Accelerator,
    steps_an_epoch: int,
) -> Learner:
    pretrained = load_pretrained(network, model)
    network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # A lane is normalised by itself, whatever process computes it.
    norm_processes = 1 if train.lanes else accelerator.num_processes
    synchronise_norms(network, accelerator.device, norm_processes)
    average = WeightAverage(network, train.ema) if train.ema else None
    if train.sharding == "fsdp2" and accelerator.num_processes > 1:
        for whole in [network, *([average.network] if average else [])]:
            shard(whole, accelerator.device, accelerator.num_processes)
    # The optimizer knows all weights that will ever learn; frozen ones have no gradient.
    optimizer = build_optimizer(network, train, model.freeze.on)
    freezing = Freezing(network, model.freeze.parts) if model.freeze.on else None
    compiled = torch.compile(network) if train.compile else network
    # Shards exchange their gradients by themselves, and lanes are added in their own order, without DDP.
    alone = is_sharded(network) or train.lanes > 0
    wrapped = accelerator.prepare_model(compiled, evaluation_mode=alone)
    return Learner(
        network=network,
        model=wrapped,
        optimizer=accelerator.prepare_optimizer(optimizer),
        average=average,
        pretrained=pretrained,
        freezing=freezing,
        frozen_steps=model.freeze.steps(steps_an_epoch, train.batch_size),
    )


def _make_repeatable(seed: int) -> None:
    """Let every run start from the same weights, and cuDNN choose the same algorithms."""
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True

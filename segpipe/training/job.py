"""A training in its parts; `segpipe.training.setup` makes them."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from segpipe.dataset.reader import Dataset, Split
from segpipe.loading.centroids import Centroids
from segpipe.loading.order import BatchShard
from segpipe.losses.build import Loss
from segpipe.models.parts.network import Network
from segpipe.models.pretrained.weights import Loaded
from segpipe.params.train import TrainParams
from segpipe.runtime.hardware import Precision
from segpipe.training.distributed.sharding import is_sharded
from segpipe.training.freezing import Freezing
from segpipe.training.lengths import StepLengths
from segpipe.training.state.average import WeightAverage
from segpipe.training.state.checkpoint import Checkpoints
from segpipe.training.state.saver import Saver


@dataclass
class Learner:
    """The network and what makes it learn.

    network: the model itself. model: the same as Accelerate wraps it (processes, precision).
    average: of the network's weights; None where `train.ema` is 0. pretrained: what it started from.
    freezing: of parts that do not learn for the first `frozen_steps`, which may be infinite. best: the
    best weights so far, in the leading process; None before the first validation.
    """

    network: Network
    model: nn.Module
    optimizer: Any
    average: WeightAverage | None
    pretrained: Loaded | None
    freezing: Freezing | None
    frozen_steps: float
    best: dict[str, Tensor] | None = None

    @property
    def result(self) -> Network:
        """The network whose weights are validated and kept: the average where there is one."""
        return self.average.network if self.average else self.network

    @property
    def sharded(self) -> bool:
        """Whether each process has only its part of the weights: then all call the network together."""
        return is_sharded(self.network)

    def train_mode(self, taken: int) -> None:
        """Put the network into training mode, except the parts that are frozen after `taken` steps."""
        if self.freezing:
            self.freezing.switch(taken < self.frozen_steps)
        self.model.train()
        if self.freezing:
            self.freezing.hold()


@dataclass(frozen=True)
class TrainingData:
    """What is learnt from.

    dataset: with the mean and std by which the images are normalised (`train.normalisation`).
    mean_C, std_C: the same, for images in 0..1, on the device. crop: sides (height, width) of what
    the network sees of a training sample.
    frames: T, how many of a sample's frames the network takes. centroids: of the classes in the
    training images, where samples are chosen by them.
    """

    dataset: Dataset
    train_split: Split
    val_split: Split
    crop: tuple[int, int]
    frames: int
    mean_C: Tensor
    std_C: Tensor
    centroids: Centroids | None


@dataclass(frozen=True)
class Objective:
    """What is minimised, and how logits become labels.

    auxiliary: weight of the loss of the auxiliary heads. class_weights: in the loss, by name; None
    where all count alike. binary: the network has one logit a pixel. wanted_threshold: of its
    probability, as `train.threshold`.
    """

    loss: Loss
    auxiliary: float
    class_weights: dict[str, float] | None
    binary: bool
    wanted_threshold: float | Literal["auto"]

    @property
    def searches_threshold(self) -> bool:
        """Whether validation looks for the best threshold."""
        return self.binary and self.wanted_threshold == "auto"

    @property
    def threshold(self) -> float | None:
        """The probability from which on validation predicts the second class.

        0.5 where the best one is still to be found; None unless the network has one logit.
        """
        if not self.binary:
            return None
        return 0.5 if self.wanted_threshold == "auto" else self.wanted_threshold


@dataclass(frozen=True)
class Processes:
    """This process among those of the training. shard: its part of each global batch."""

    accelerator: Accelerator
    precision: Precision
    shard: BatchShard

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return torch.device(self.accelerator.device)

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes files and speaks."""
        return bool(self.accelerator.is_main_process)

    @property
    def number(self) -> int:
        """How many processes there are."""
        return self.shard.processes

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return self.shard.rank

    def any(self, own: bool) -> bool:
        """Return whether `own` is true in one of the processes; all call this together."""
        numbers = torch.tensor(int(own), device=self.device)
        return bool(self.accelerator.reduce(numbers, "sum"))


@dataclass(frozen=True)
class Job:
    """One training. about: what the run is started with, kept with its checkpoints."""

    train: TrainParams
    learner: Learner
    data: TrainingData
    objective: Objective
    lengths: StepLengths
    processes: Processes
    checkpoints: Checkpoints
    saver: Saver
    about: dict[str, Any]

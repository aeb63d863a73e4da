"""The moving average of the weights (Polyak & Juditsky 1992), kept beside a training network."""

import copy

import torch
from torch import Tensor

from segpipe.models.parts.network import Network
from segpipe.training.distributed.sharding import own_part


class WeightAverage:
    """A second network whose weights are the exponential moving average of the first one's.

    network: that second network, in eval mode; its weights are float32 and learn nothing. Every
    process keeps its own, and all are equal, since the weights that go in are. Where the first one
    is sharded this one is too, in the same parts.
    """

    def __init__(self, source: Network, decay: float) -> None:
        """source: the network in training. decay: fraction of the average that a step keeps, 0..1."""
        self.decay = decay
        self._source = source
        self.network: Network = copy.deepcopy(source).float().eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, taken: int) -> None:
        """Take the weights of the source in, after its optimizer step number `taken` (from 1).

        The fraction that is kept is min(decay, (1 + taken) / (10 + taken)), so that the first weights
        fade fast (as TensorFlow's ExponentialMovingAverage). Buffers, such as the running
        statistics of batch norm, are averages already and are copied.
        """
        kept = min(self.decay, (1 + taken) / (10 + taken))
        averaged: list[Tensor] = [own_part(weight) for weight in self.network.parameters()]
        present = [own_part(weight.detach()).float() for weight in self._source.parameters()]
        # One kernel for all of them.
        torch._foreach_lerp_(averaged, present, 1 - kept)
        for own, buffer in zip(self.network.buffers(), self._source.buffers(), strict=True):
            own.copy_(buffer)

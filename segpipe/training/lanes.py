"""Lanes (`train.lanes`): a global batch computed in equal parts, each as if it were alone.

Which process computes a lane changes nothing: its shape, its dropout and the statistics that its batch
norm starts from are the same. The gradients of the lanes are added along a binary tree over their
numbers, whose branches are whole processes from some level on. So the sum has the same bits on any
number of processes, as in EasyScale (Li et al. 2023, "EasyScale: Elastic Training with Consistent
Accuracy and Improved Utilization on GPUs", SC 2023).
"""

import contextlib
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn


class PairwiseSum:
    """The sum of tensors along a binary tree: the first with the second, the third with the fourth ..."""

    def __init__(self) -> None:
        # Of how many tensors each is the sum: falling powers of two, so few are held at a time.
        self._parts: list[tuple[int, Tensor]] = []

    def add(self, tensor: Tensor) -> None:
        """Add the next one, whose memory is the sum's from now on."""
        number = 1
        while self._parts and self._parts[-1][0] == number:
            tensor.add_(self._parts.pop()[1])
            number *= 2
        self._parts.append((number, tensor))

    def total(self) -> Tensor:
        """Return the sum of what was added, a power of two of tensors."""
        [(_, total)] = self._parts
        return total


def add_over_processes(own: Tensor, rank: int, processes: int) -> Tensor:
    """Return the sum over the processes, a power of two, along the upper levels of the lanes' tree.

    All call this together and get the same bits, since a + b is b + a. Each sends its sum once a
    level to the process whose branch is added to its own.
    """
    distance = 1
    while distance < processes:
        other, peer = torch.empty_like(own), rank ^ distance
        exchange = [dist.P2POp(dist.isend, own, peer), dist.P2POp(dist.irecv, other, peer)]
        for request in dist.batch_isend_irecv(exchange):
            request.wait()
        own = own + other
        distance *= 2
    return own


class LaneSums:
    """The gradients and norm statistics of a step, from those of its lanes.

    The buffers that a forward pass moves on (batch norm's running statistics) are those from before
    the step in each lane, and their mean over the lanes after it.
    """

    def __init__(self, network: nn.Module) -> None:
        self._weights = list(network.parameters())
        self._buffers = list(network.buffers())
        self._before = [buffer.clone() for buffer in self._buffers]
        self._sum = PairwiseSum()

    @contextlib.contextmanager
    def lane(self) -> Iterator[None]:
        """Take in what the forward and backward pass of a lane within the block leave behind."""
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(before)
        for weight in self._weights:
            weight.grad = None
        yield
        self._sum.add(torch.cat([tensor.detach().flatten() for tensor in self._found()]))

    def put_back(self, rank: int, processes: int, lanes: int) -> None:
        """Give the network the sum of the gradients, and the mean of the statistics, of all lanes."""
        total = add_over_processes(self._sum.total(), rank, processes)
        found = self._found()
        parts = torch.split(total, [tensor.numel() for tensor in found])
        with torch.no_grad():
            for tensor, part in zip(found, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))
            for buffer in self._statistics():
                buffer.div_(lanes)

    def _found(self) -> list[Tensor]:
        """The gradients, of the weights that have one, and the statistics, as they are now."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        return [*gradients, *self._statistics()]

    def _statistics(self) -> list[Tensor]:
        return [buffer for buffer in self._buffers if buffer.is_floating_point()]

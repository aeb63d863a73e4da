"""Prepared arrays become batches: read by slice in a thread, ahead of the training step."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.profiler import record_function

from segpipe.augment.draw import SampleSpecs
from segpipe.dataset.reader import Split
from segpipe.runtime.process_exit import uninterrupted

Item = TypeVar("Item")
Made = TypeVar("Made")
_AHEAD = 2


@dataclass(frozen=True)
class Batch:
    """Samples as they lie in the arrays, and their specs (`segpipe.augment.draw`).

    image_BTHWC: uint8, or float16 in 0..1; the last T frames. mask_Bhw: uint8.
    """

    image_BTHWC: Tensor
    mask_Bhw: Tensor
    specs_B: SampleSpecs


def read_batch(split: Split, specs_B: SampleSpecs, frames: int, pin: bool) -> Batch:
    """Copy the rows of a split that `specs_B` names, of each the last `frames`, into tensors.

    pin: into page-locked memory, from which a GPU fetches by itself. Raises DataError as `Split.read` does.
    """
    image, mask = map(torch.from_numpy, split.read(specs_B["row"], frames))
    if pin:
        image, mask = image.pin_memory(), mask.pin_memory()
    return Batch(image, mask, specs_B)


class Prefetch(Generic[Item, Made]):
    """Iterate over `make(item)` for each of `items`, made in a thread a few items ahead.

    waited: seconds that the consumer has stood waiting so far. An exception in the thread is
    raised where the items are consumed.
    """

    def __init__(self, items: Iterable[Item], make: Callable[[Item], Made]):
        self.waited = 0.0
        self._items = items
        self._make = make

    def __iter__(self) -> Iterator[Made]:
        ready: queue.Queue[Made | BaseException | None] = queue.Queue(_AHEAD)
        stopped = threading.Event()
        thread = threading.Thread(target=self._produce, args=(ready, stopped), daemon=True)
        thread.start()
        try:
            while True:
                start = perf_counter()
                with record_function("waiting for data"):
                    made = ready.get()
                self.waited += perf_counter() - start
                if made is None:
                    return
                if isinstance(made, BaseException):
                    raise made
                yield made
        finally:
            stopped.set()
            with uninterrupted():  # an interrupted join would leave the thread running
                while thread.is_alive():  # blocked on a full queue it must wake to see the flag
                    _drain(ready)
                    thread.join(timeout=0.01)

    def _produce(
        self, ready: "queue.Queue[Made | BaseException | None]", stopped: threading.Event
    ) -> None:
        try:
            for item in self._items:
                if stopped.is_set():
                    return
                ready.put(self._make(item))
            ready.put(None)
        except BaseException as error:
            ready.put(error)


def _drain(ready: "queue.Queue[Any]") -> None:
    while not ready.empty():
        ready.get_nowait()

"""What a step spends its time on, by phase, while a profile is being taken."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import TypeVar

import torch
from torch.profiler import record_function

T = TypeVar("T")
Events = tuple[torch.cuda.Event, torch.cuda.Event]


class Phases:
    """Seconds by phase. Phases do not overlap; while it is off, nothing is measured.

    A GPU works behind the processor's back, so its seconds are taken on its own time line, from
    the moment when it comes to a phase to the moment when it is through.
    """

    def __init__(self, device: torch.device) -> None:
        self.on = False
        self._gpu = device.type == "cuda"
        self._host: dict[str, float] = {}
        self._events: dict[str, list[Events]] = {}

    def during(self, name: str) -> AbstractContextManager[None]:
        """Count the block's time as that of phase `name`, which the trace shows too."""
        return self._measured(name) if self.on else nullcontext()

    def waiting(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`; the time in which they are waited for is that of phase `name`."""
        iterator = iter(items)
        while True:
            with self.during(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def seconds(self) -> dict[str, tuple[float, float | None]]:
        """Return by phase the processor's seconds, and the GPU's where there is one."""
        if self._gpu:
            torch.cuda.synchronize()
        return {name: (passed, self._gpu_seconds(name)) for name, passed in self._host.items()}

    @contextmanager
    def _measured(self, name: str) -> Iterator[None]:
        events = self._start_events(name)
        start = perf_counter()
        with record_function(name):
            yield
        self._host[name] = self._host.get(name, 0.0) + perf_counter() - start
        if events is not None:
            events[1].record()

    def _start_events(self, name: str) -> Events | None:
        if not self._gpu:
            return None
        events = _event(), _event()
        events[0].record()
        self._events.setdefault(name, []).append(events)
        return events

    def _gpu_seconds(self, name: str) -> float | None:
        if not self._gpu:
            return None
        return sum(float(first.elapsed_time(last)) for first, last in self._events[name]) / 1000


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

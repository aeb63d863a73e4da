"""Where the time of a few training steps goes: `train.profile` (docs/data-format.md)."""

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import torch

from segpipe.runtime.atomic import atomic_dir, write_text
from segpipe.runtime.console import say

TRACE, TIMES = "trace.json.gz", "times.txt"
# The ranges (torch.profiler.record_function) that the training and its reading of data are marked with.
PHASES = (
    "waiting for data",
    "augmentation",
    "forward",
    "backward",
    "optimizer",
    "validation",
    "saving",
)
_REST = "everything else"
# The first steps choose kernels and fill caches; one more warms up the profiler itself.
_PASSED_OVER, _WARMING_UP = 2, 1
_OPERATORS = 40  # that are listed


class Profiler:
    """Profiles some steps of the training, once, and writes what it found.

    Nothing that is learnt depends on it. As a context manager it also ends with the training, and
    then writes the steps there were; after an error it writes nothing.
    """

    def __init__(self, folder: Path, *, steps: int, batch_size: int, device: torch.device) -> None:
        """folder: of the trace and the table, which replace older ones. steps: 0 for no profile."""
        self.folder, self.written = folder, False
        self._wanted, self._batch_size, self._device = steps, batch_size, device
        self._taken = 0
        self._started = 0.0
        self._profile = _profile(steps) if steps else None

    def __enter__(self) -> Self:
        if self._profile is not None:
            self._profile.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._profile is None:
            return
        self._end(write=error is None)
        if error is None and not self.written:
            say(f"train.profile: fewer than {_PASSED_OVER + _WARMING_UP + 1} steps were left")

    def step(self) -> None:
        """Take note of the end of a step."""
        if self._profile is None:
            return
        self._taken += 1
        profiled = self._taken - _PASSED_OVER - _WARMING_UP
        if profiled >= self._wanted:
            self._end(write=True)
            return
        self._profile.step()
        if profiled == 0:
            self._started = perf_counter()

    def last_line(self) -> str:
        """Return where the profile lies."""
        return (
            f"the profile is in {self.folder}/: {TIMES} says where the time went, {TRACE} opens in "
            "https://ui.perfetto.dev"
        )

    def _end(self, write: bool) -> None:
        assert self._profile is not None
        profile, self._profile = self._profile, None
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        seconds = perf_counter() - self._started
        steps = min(self._taken - _PASSED_OVER - _WARMING_UP, self._wanted)
        profile.stop()
        if not write or steps < 1:
            return
        events = profile.events()  # type: ignore[no-untyped-call]
        phases = phase_seconds(events or ())
        table = phase_table(phases, seconds, steps, self._batch_size)
        with atomic_dir(self.folder) as partial:
            profile.export_chrome_trace(str(partial / TRACE))
            write_text(partial / TIMES, f"{table}\n\n{_operators(profile, self._device)}\n")
        self.written = True
        say(f"{table}\n{self.last_line()}")


def phase_seconds(events: Iterable[Any]) -> dict[str, tuple[float, float]]:
    """Return by phase, in the order of their first, the processor's seconds and the GPU's.

    events: of torch's profiler. A range inside another one counts as the outer one's. The GPU's seconds
    are those of the kernels that were started during a phase, by whichever thread: the backward pass
    runs in a thread of autograd, so that torch's own table gives its kernels to no phase.
    """
    on_host = [event for event in events if event.device_type.name == "CPU"]
    marked = {event.name for event in on_host if event.is_user_annotation}
    outer: list[tuple[float, float, str]] = []
    for start, end, name in sorted(
        (event.time_range.start, event.time_range.end, event.name)
        for event in on_host
        if event.is_user_annotation and event.name in PHASES
    ):
        if not outer or start >= outer[-1][1]:
            outer.append((start, end, name))
    found = {name: [0.0, 0.0] for _, _, name in outer} | {_REST: [0.0, 0.0]}
    for start, end, name in outer:
        found[name][0] += (end - start) / 1e6
    starts = [start for start, _, _ in outer]
    for event in on_host:
        start = event.time_range.start
        place = bisect_right(starts, start) - 1
        name = outer[place][2] if place >= 0 and start < outer[place][1] else _REST
        # On the GPU's time line a range is an event too, which spans its kernels.
        kernels = [kernel.duration for kernel in event.kernels if kernel.name not in marked]
        found[name][1] += sum(kernels) / 1e6
    return {name: (host, gpu) for name, (host, gpu) in found.items()}


def phase_table(
    phases: dict[str, tuple[float, float]], seconds: float, steps: int, batch_size: int
) -> str:
    """Return where `seconds` of so many steps went, phase by phase, as text.

    phases: as `phase_seconds` returns them.
    """
    rest = seconds - sum(host for name, (host, _) in phases.items() if name != _REST)
    rows = {**phases, _REST: (rest, phases.get(_REST, (0.0, 0.0))[1])}
    with_gpu = any(gpu for _, gpu in rows.values())
    width = max(map(len, rows))
    head = f"{'phase':<{width}}  {'share':>7}  {'ms a step':>10}"
    lines = [
        f"{steps} profiled steps took {seconds:.3f} s, {steps * batch_size / seconds:.3g} images/s:",
        head + ("  GPU, ms a step" if with_gpu else ""),
    ]
    for name, (host, gpu) in rows.items():
        on_gpu = f"  {1000 * gpu / steps:14.2f}" if with_gpu else ""
        lines.append(
            f"{name:<{width}}  {100 * host / seconds:5.1f} %  {1000 * host / steps:10.2f}{on_gpu}"
        )
    return "\n".join(lines)


def _profile(steps: int) -> torch.profiler.profile:
    # It would end itself at the next step; it is ended by hand, so one more stays open.
    return torch.profiler.profile(
        schedule=torch.profiler.schedule(
            wait=_PASSED_OVER, warmup=_WARMING_UP, active=steps + 1, repeat=1
        ),
        acc_events=True,  # else torch 2.11 warns that it keeps one cycle, which is all there is
    )


def _operators(profile: torch.profiler.profile, device: torch.device) -> str:
    order = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return str(profile.key_averages().table(sort_by=order, row_limit=_OPERATORS))

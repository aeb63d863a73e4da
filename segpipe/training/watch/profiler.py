"""Where the time of a few training steps goes: `train.profile` (docs/data-format.md)."""

from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self

import torch

from segpipe.runtime.atomic import whole_folder, write_text
from segpipe.runtime.console import say
from segpipe.training.setup import Job
from segpipe.training.watch.phases import Phases

TRACE, TIMES = "trace.json.gz", "times.txt"
# The first steps choose kernels and fill caches; one more warms up the profiler itself.
_PASSED_OVER, _WARMING_UP = 2, 1
_OPERATORS = 40  # that are listed


class Profiler:
    """Profiles `train.profile` steps of the leading process, once, and writes what it found.

    Nothing that is learnt depends on it. As a context manager it also ends with the training, and
    then writes the steps there were; after an error it writes nothing.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        """folder: of the trace and the table, which replace older ones."""
        self.folder, self.written = folder, False
        self._wanted = job.train.profile if job.leads else 0
        self._phases, self._device = job.phases, job.device
        self._samples = job.train.batch_size
        self._taken = 0
        self._started = 0.0
        self._profile = _profile(self._wanted) if self._wanted else None

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
            self._started, self._phases.on = perf_counter(), True

    def last_line(self) -> str:
        """Return where the profile lies."""
        return (
            f"the profile is in {self.folder}/: {TIMES} says where the time went, {TRACE} opens in "
            "https://ui.perfetto.dev"
        )

    def _end(self, write: bool) -> None:
        assert self._profile is not None
        profile, self._profile = self._profile, None
        seconds = perf_counter() - self._started
        steps = min(self._taken - _PASSED_OVER - _WARMING_UP, self._wanted)
        self._phases.on = False
        profile.stop()
        if not write or steps < 1:
            return
        table = phase_table(self._phases, seconds, steps, self._samples)
        with whole_folder(self.folder) as partial:
            profile.export_chrome_trace(str(partial / TRACE))
            write_text(partial / TIMES, f"{table}\n\n{_operators(profile, self._device)}\n")
        self.written = True
        say(f"{table}\n{self.last_line()}")


def phase_table(phases: Phases, seconds: float, steps: int, samples: int) -> str:
    """Return where `seconds` of so many steps went, phase by phase, as text.

    samples: of one step. What belongs to no phase is 'everything else'.
    """
    found = phases.seconds()
    rest = seconds - sum(host for host, _ in found.values())
    gpu = any(device is not None for _, device in found.values())
    width = max(map(len, [*found, "everything else"]))
    lines = [
        f"{steps} profiled steps took {seconds:.3f} s, {steps * samples / seconds:.3g} images/s:",
        f"{'phase':<{width}}  {'share':>7}  {'ms a step':>10}"
        + ("  GPU, ms a step" if gpu else ""),
    ]
    for name, (host, device) in {**found, "everything else": (rest, None)}.items():
        on_gpu = "" if device is None else f"  {1000 * device / steps:14.2f}"
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

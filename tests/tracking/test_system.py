"""The machine's load as metrics: what there is, and how a resumed run counts on."""

import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from segpipe.params.schema import TrackingParams
from segpipe.tracking.run import start_run
from segpipe.tracking.system import Sampler

CPU = "system/cpu_utilization_percentage"


class Heard:
    """Takes what the sampler logs."""

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self.asked = 0
        self.samples: list[tuple[int | None, dict[str, float]]] = []
        self.enough = threading.Event()

    def log_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        self.samples.append((step, dict(values)))
        if len(self.samples) == 3:
            self.enough.set()

    def last_step(self, metric: str) -> int | None:
        assert metric == CPU
        self.asked += 1
        return self.last


def _sampled(heard: Heard, resumed: bool = False) -> None:
    sampler = Sampler(heard, 0.02, resumed)
    assert heard.enough.wait(30)
    sampler.stop()
    taken = len(heard.samples)
    assert not heard.enough.wait(0.1) or len(heard.samples) == taken


def test_samples_are_of_this_machine_and_counted_from_nought() -> None:
    heard = Heard()
    _sampled(heard)
    assert [step for step, _ in heard.samples][:3] == [0, 1, 2]
    assert heard.asked == 0
    values = heard.samples[2][1]
    disk, memory = shutil.disk_usage(os.sep), psutil.virtual_memory()
    assert values["system/disk_available_megabytes"] == pytest.approx(disk.free / 1e6, rel=0.05)
    assert 0 < values["system/system_memory_usage_megabytes"] < memory.total / 1e6
    assert 0 <= values[CPU] <= 100
    assert values["system/network_receive_megabytes"] >= 0


@pytest.mark.parametrize(("last", "first"), [(41, 42), (None, 0)])
def test_a_resumed_run_counts_on(last: int | None, first: int) -> None:
    heard = Heard(last)
    _sampled(heard, resumed=True)
    assert [step for step, _ in heard.samples][:3] == [first, first + 1, first + 2]
    assert heard.asked == 1


def test_a_gpu_is_sampled_where_the_library_finds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for nvidia-ml-py, which refuses one of the questions."""
    from mlflow.system_metrics.metrics import gpu_monitor

    library: Any = ModuleType("pynvml")
    library.NVMLError = RuntimeError
    library.nvmlInit = lambda: None
    library.nvmlDeviceGetCount = lambda: 1
    library.nvmlDeviceGetHandleByIndex = lambda number: number
    memory = type("Memory", (), {"used": 3e9, "total": 12e9})
    library.nvmlDeviceGetMemoryInfo = lambda _handle: memory
    library.nvmlDeviceGetPowerUsage = lambda _handle: 70_000
    library.nvmlDeviceGetEnforcedPowerLimit = lambda _handle: 280_000

    def refused(_handle: int) -> None:
        raise library.NVMLError

    library.nvmlDeviceGetUtilizationRates = refused
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(gpu_monitor, "pynvml", library, raising=False)
    heard = Heard()
    _sampled(heard)
    values = heard.samples[0][1]
    assert values["system/gpu_0_memory_usage_megabytes"] == 3000
    assert values["system/gpu_0_power_usage_percentage"] == 25
    assert "system/gpu_0_utilization_percentage" not in values


def test_they_are_in_the_run_and_go_on_when_it_is_resumed(
    used: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[[Callable[[], bool]], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    def steps() -> list[int]:
        with closing(sqlite3.connect(used / "mlflow.db")) as connection:
            found = connection.execute(
                "SELECT step FROM metrics WHERE key = ? ORDER BY step", [CPU]
            )
            return [step for (step,) in found]

    settings = TrackingParams.model_construct(system_seconds=0.02)
    with start_run(settings, "unet", {}, {}, None) as tracker:
        until(lambda: len(steps()) >= 2)
    first = len(steps())
    with start_run(settings, "unet", {}, {}, tracker.run_id):
        until(lambda: len(steps()) >= first + 2)
    assert steps() == list(range(len(steps())))
    with start_run(TrackingParams(system_seconds=0), "unet", {}, {}, None):
        assert "segpipe-system" not in {thread.name for thread in threading.enumerate()}
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out.count("\n") == said.out.count("MLflow: run ") == 3

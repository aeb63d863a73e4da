"""The machine's load as metrics: what there is, and that it is in the run."""

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from segpipe.params.schema import TrackingParams
from segpipe.tracking.outbox import Row
from segpipe.tracking.run import start_run
from segpipe.tracking.system import SystemMonitor

CPU = "system/cpu_utilization_percentage"


def _sampled(started: int = 0) -> Row:
    monitor = SystemMonitor(0.01, started)
    time.sleep(0.02)
    assert monitor.seconds_left() == 0
    sample = monitor.sample()
    assert sample is not None
    return sample


def test_there_is_no_sample_before_it_is_due() -> None:
    monitor = SystemMonitor(60, 0)
    assert monitor.sample() is None
    assert 50 < monitor.seconds_left() <= 60


def test_a_sample_is_of_this_machine_and_of_the_second_of_its_run() -> None:
    began = int(time.time() * 1000)
    sample = _sampled(started=began - 42_000)
    assert began <= sample.timestamp <= time.time() * 1000
    assert sample.step == 42 + (sample.timestamp - began) // 1000
    disk, memory = shutil.disk_usage(os.sep), psutil.virtual_memory()
    values = sample.values
    assert values["system/disk_available_megabytes"] == pytest.approx(disk.free / 1e6, rel=0.05)
    assert 0 < values["system/system_memory_usage_megabytes"] < memory.total / 1e6
    assert 0 <= values[CPU] <= 100
    assert values["system/network_receive_megabytes"] >= 0


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
    values = _sampled().values
    assert values["system/gpu_0_memory_usage_megabytes"] == 3000
    assert values["system/gpu_0_power_usage_percentage"] == 25
    assert "system/gpu_0_utilization_percentage" not in values


def test_a_driver_that_fails_costs_a_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = SystemMonitor(0.01, 0)
    with monkeypatch.context() as broken:
        broken.setattr("psutil.virtual_memory", lambda: 1 / 0)
        time.sleep(0.02)
        assert monitor.sample() is None
    time.sleep(0.02)
    assert monitor.sample() is not None


def test_they_are_in_the_run_and_go_on_when_it_is_resumed(
    used: Path,
    until: Callable[[Callable[[], bool]], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    def samples() -> int:
        with closing(sqlite3.connect(used / "mlflow.db")) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM metrics WHERE key = ?", [CPU])
            return int(count)

    settings = TrackingParams.model_construct(system_seconds=0.02)
    with start_run(settings, "unet", {}, {}) as tracker:
        until(lambda: samples() >= 2)
    first = samples()
    with start_run(settings, "unet", {}, {}, tracker.run_id):
        until(lambda: samples() >= first + 2)
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out.count("\n") == said.out.count("MLflow: run ") == 2

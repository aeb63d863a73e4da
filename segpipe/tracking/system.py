"""The load of the machine during a run: MLflow's own system metrics.

MLflow's SystemMetricsMonitor would log them with a client of its own, give up at the first call that
fails and warn; its collectors are used, and the tracker's thread sends what they find.
https://mlflow.org/docs/latest/ml/tracking/system-metrics/
"""

import contextlib
import logging
import time
from typing import Any

from segpipe.tracking.outbox import Row


class SystemMonitor:
    """Samples processor, memory, disk, network and GPUs (where nvidia-ml-py or pyrsmi is installed)."""

    def __init__(self, every: float, started: int) -> None:
        """every: seconds between samples. started: when the run began, milliseconds since 1970."""
        self._every, self._started = every, started
        self._due = time.monotonic() + every
        self._collectors: list[Any] = []

    def seconds_left(self) -> float:
        """Return how many seconds remain until the next sample."""
        return max(self._due - time.monotonic(), 0.0)

    def sample(self) -> Row | None:
        """Return a sample when one is due; its step is the number of seconds since the run began.

        Nothing that goes wrong here stops anything; the sample is lost then.
        """
        if self.seconds_left() > 0:
            return None
        self._due = time.monotonic() + self._every
        values: dict[str, float] = {}
        try:
            self._collectors = self._collectors or _collectors()
            for collector in self._collectors:
                collector.collect_metrics()
                values |= collector.aggregate_metrics()
                collector.clear_metrics()
        except Exception:  # psutil and the drivers each raise their own
            return None
        now = int(time.time() * 1000)
        named = {f"system/{name}": float(value) for name, value in values.items()}
        return Row(named, now, max(now - self._started, 0) // 1000)


def _collectors() -> list[Any]:
    """Return MLflow's collectors that work here."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    # What a driver does not tell (a part of a GPU its utilisation) would be warned of each time.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL + 1)
    kinds: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor, ROCMMonitor]
    collectors = []
    for kind in kinds:
        with contextlib.suppress(Exception):  # there is no such GPU, or no library to ask it
            collectors.append(kind())
    return collectors

"""What the machine does during a run: MLflow's own system metrics, sampled in a thread.

MLflow's SystemMetricsMonitor would do this with a client of its own, give up at the first call that
fails and warn; its collectors are used, and what they find takes the way of all other metrics.
https://mlflow.org/docs/latest/ml/tracking/system-metrics/
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

_PREFIX = "system/"
# In every sample, on every machine: its steps tell how far an earlier process got.
_ALWAYS = f"{_PREFIX}cpu_utilization_percentage"


class Log(Protocol):
    """The run that is told."""

    def log_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        """Record values of one moment."""

    def last_step(self, metric: str) -> int | None:
        """Return the largest step that the run holds of a metric."""


class Sampler:
    """Logs processor, memory, disk, network and GPUs (where nvidia-ml-py or pyrsmi is installed).

    Samples are counted from 0, and of a resumed run from the last one on. Nothing that goes wrong
    here stops anything.
    """

    def __init__(self, run: Log, every: float, resumed: bool) -> None:
        self._run, self._every, self._resumed = run, every, resumed
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="segpipe-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no further sample."""
        self._done.set()
        self._thread.join(1.0)

    def _work(self) -> None:
        try:
            monitors = _monitors()
            last = self._run.last_step(_ALWAYS) if self._resumed else None
            step = 0 if last is None else last + 1
            while not self._done.wait(self._every):
                self._run.log_metrics(_sample(monitors), step)
                step += 1
        except Exception:  # psutil and the drivers each raise their own
            return


def _monitors() -> list[Any]:
    """Return MLflow's collectors that work here."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    # What a driver does not tell (a part of a GPU its utilisation) would be warned of each time.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL + 1)
    always: list[Callable[[], Any]] = [CPUMonitor, DiskMonitor, NetworkMonitor]
    monitors = [kind() for kind in always]
    gpus: list[Callable[[], Any]] = [GPUMonitor, ROCMMonitor]
    for kind in gpus:
        try:
            monitors.append(kind())
        except Exception:  # there is no such GPU, or no library to ask it
            continue
        break
    return monitors


def _sample(monitors: list[Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for monitor in monitors:
        monitor.collect_metrics()
        found |= {f"{_PREFIX}{name}": value for name, value in monitor.aggregate_metrics().items()}
        monitor.clear_metrics()
    return found

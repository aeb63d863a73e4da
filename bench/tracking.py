"""What MLflow costs a training: time in the loop and in the thread beside it, against the training's.

Trains on the procedural scenes of params.yaml with the default SQLite store. The loop's share is
of the training's time by the clock, the thread's share of its processor time: other work on the
machine changes neither much, since each is measured in the very run it is compared with.

Example: python -m bench.tracking --epochs 10
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import chdir
from pathlib import Path
from time import perf_counter, process_time, sleep

import psutil

from segpipe.dataset.reader import open_dataset
from segpipe.params.length import Length
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.runtime.hardware import device_name
from segpipe.tracking.run import start_run
from segpipe.tracking.tracker import Tracker
from segpipe.training.distributed.interruption import StopRequest
from segpipe.training.loop import train
from segpipe.training.setup import Job, set_up
from segpipe.training.state.checkpoint import Progress
from segpipe.training.stopping import Row
from segpipe.training.watch.pictures import validation_pictures
from segpipe.training.watch.tracked import numbers

_ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--parameters", type=Path, default=_ROOT / "params.yaml")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        _prepare(Path(folder), options.parameters)
        with chdir(folder):
            params = load_params(Path("params.yaml"))
            job = _job(params, Path(folder), options.epochs)
            name = params.model.name
            with start_run(params.tracking, name, params.model_dump(mode="json"), {}) as run:
                _measure(job, run, params.tracking.validation_pictures)


def _prepare(folder: Path, parameters: Path) -> None:
    for name in ("segpipe", "stages", "dvc.yaml"):
        (folder / name).symlink_to(_ROOT / name)
    (folder / "data").mkdir()
    for description in (_ROOT / "data").glob("*.yaml"):
        (folder / "data" / description.name).symlink_to(description)
    (folder / "params.yaml").write_bytes(parameters.read_bytes())
    for stage in ("fetch", "prepare"):
        subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=folder, check=True)


def _job(params: Params, folder: Path, epochs: int) -> Job:
    settings = params.train.model_copy(update={"length": Length(epochs)})
    dataset = open_dataset(Path("data/prepared"))
    return set_up(dataset, params.model, params.loss, settings, folder / "state", {})


def _measure(job: Job, run: Tracker, pictures: int) -> None:
    told: list[float] = []
    drawn: list[float] = []

    def log(row: Row) -> None:
        start = perf_counter()
        run.log_metrics(numbers(row), int(row["step"] or 0))
        told.append(perf_counter() - start)
        if row["val_loss"] is not None:
            start = perf_counter()
            run.log_content(validation_pictures(job, pictures), f"validation/{row['step']}.png")
            drawn.append(perf_counter() - start)

    progress, start, busy = Progress(), perf_counter(), process_time()
    before = _processor_seconds()
    train(job, progress, StopRequest(), log)
    total, busy = perf_counter() - start, process_time() - busy
    while any(run.unsent()):
        sleep(0.01)
    beside = _processor_seconds() - before
    print(
        f"\n{device_name(job.device)}, {job.precision}: {progress.step} steps of {job.train.batch_size} "
        f"in {total:.1f} s, {len(told)} rows, {len(drawn)} validations"
    )
    _say("rows, in the loop", sum(told), total, len(told))
    _say("rows and system metrics, in the thread", beside, busy, len(told))
    _say(f"{pictures} pictures, in the loop", sum(drawn), total, len(drawn))


def _processor_seconds() -> float:
    ours = {each.native_id for each in threading.enumerate() if each.name.startswith("segpipe-")}
    threads = psutil.Process().threads()
    return float(sum(each.user_time + each.system_time for each in threads if each.id in ours))


def _say(what: str, seconds: float, total: float, count: int) -> None:
    each = 1000 * seconds / max(count, 1)
    print(f"{what:<42}{100 * seconds / total:7.3f} %   {each:8.2f} ms each")


if __name__ == "__main__":
    main()

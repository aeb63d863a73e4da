"""Trainings of a few steps in this process, on prepared data of two or three classes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.labels.load import load_scheme
from segpipe.params.augment import AugmentParams
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.prepare import PrepareParams
from segpipe.params.train import TrainParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.job import Job
from segpipe.training.loop import train
from segpipe.training.setup import set_up
from segpipe.training.state.checkpoint import Progress
from segpipe.training.state.resume import resume
from segpipe.training.step import StepReport, train_step
from tests.forge import make_folder

MODEL = ModelParams(unet=UNetParams(width=4, depth=1, dropout=0.2))
SKY = (
    "id,name,red,green,blue,class\n1,road,128,64,128,rest\n2,car,0,0,142,rest\n"
    "0,sky,70,130,180,sky\n9,void,0,0,0,void\n"
)


def prepared(folder: Path, classes: str | None) -> Dataset:
    raw = make_folder(folder / "raw", train=10, val=5, height=24, width=32)
    if classes:
        (raw / "classes.csv").write_text(classes)
    scheme = load_scheme("classes.csv", {}, raw)
    splits: dict[str, list[Sample]] = {"test": []}
    for split in ("train", "val"):
        names = sorted(path.name for path in (raw / "images" / split).iterdir())
        splits[split] = [
            Sample(name, "", f"images/{split}/{name}", f"masks/{split}/{name}") for name in names
        ]
    target = folder / "prepared"
    target.mkdir()
    prepare_data(
        splits, PrepareContext(raw, scheme, PICTURES, PrepareParams(height=16, width=24)), target
    )
    return open_dataset(target)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these take far longer where threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ten training and five validation images of three classes: five steps an epoch of two."""
    return prepared(tmp_path_factory.mktemp("three"), None)


@pytest.fixture(scope="session")
def sky_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same images, of two classes: rest and sky."""
    return prepared(tmp_path_factory.mktemp("two"), SKY)


def stopping_in(number: int, stop: StopRequest) -> Callable[..., StepReport]:
    """A step function that is asked to stop in its so-manieth call; never for 0."""
    left = number

    def step(*arguments: Any, **options: Any) -> StepReport:
        nonlocal left
        left -= 1
        stop.asked = stop.asked or left == 0
        return train_step(*arguments, **{**options, "stop": stop.asked})

    return step


Trained = tuple[Job, Progress, list[dict[str, float | None]]]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trained]:
    """Train, or go on training, in the folder `state`; return job, progress and logged rows.

    stop: the number of the step, of this call, in which a stop is asked for. each: called with the
    job at each row.
    """

    def run(
        data: Dataset,
        *,
        state: str = "state",
        stop: int = 0,
        loss: LossParams | None = None,
        model: ModelParams = MODEL,
        each: Callable[[Job], object] = lambda _job: None,
        checkpoint: CheckpointParams | None = None,
        **options: object,
    ) -> Trained:
        usual = {"length": Length(2), "warmup": Length(1, "steps"), "lr": 0.01, "precision": "fp32"}
        augment = AugmentParams(scale=(0.9, 1.2))
        params = TrainParams(**{"batch_size": 2, "augment": augment, **usual, **options})
        folder = tmp_path / state
        job = set_up(data, model, loss or LossParams(), params, folder, {}, checkpoint)
        progress, _ = resume(job)
        rows: list[dict[str, float | None]] = []

        def log(row: dict[str, float | None]) -> None:
            rows.append(row)
            each(job)

        request = StopRequest()
        monkeypatch.setattr("segpipe.training.loop.train_step", stopping_in(stop, request))
        train(job, progress, request, log)
        return job, progress, rows

    return run

"""A training whose samples are chosen by class, from the table to the windows that the loss sees."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe.bundle import plain_weights
from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.dataset.subset import chosen_samples
from segpipe.labels.load import load_scheme
from segpipe.params.augment import AugmentParams
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.prepare import PrepareParams
from segpipe.params.train import ClassCentroidsParams, TrainParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample
from segpipe.training import step
from segpipe.training.class_balance import centroid_counts, centroid_table, class_centroids
from segpipe.training.distributed.signals import Interrupted
from segpipe.training.watch.console import announce
from segpipe.training.watch.tracked import derived
from tests.forge import save

HEIGHT, WIDTH = 32, 48
NAMES = "id,name,red,green,blue\n0,sky,0,0,1\n1,road,0,0,2\n2,sign,0,0,3\n3,ghost,0,0,4\n"
SMALL = AugmentParams(crop_height=8, crop_width=8, scale=(1.0, 1.5))


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve scenes of sky over road; one has a sign of 2x2 pixels in a corner, none has a ghost."""
    folder = tmp_path_factory.mktemp("corner")
    raw, random = folder / "raw", np.random.default_rng(0)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[HEIGHT // 2 :] = 1
    samples = []
    for number in range(12):
        own = mask.copy()
        if number == 7:
            own[:2, -2:] = 2
        image = own[..., None] * 60 + random.integers(0, 40, (HEIGHT, WIDTH, 3))
        save(raw / f"images/{number:02d}.png", image.astype(np.uint8))
        save(raw / f"masks/{number:02d}.png", own)
        samples.append(
            Sample(str(number), "", f"images/{number:02d}.png", f"masks/{number:02d}.png")
        )
    (raw / "classes.csv").write_text(NAMES)
    target = folder / "prepared"
    target.mkdir()
    context = PrepareContext(
        raw,
        load_scheme("classes.csv", {}, raw),
        PICTURES,
        PrepareParams(height=HEIGHT, width=WIDTH),
    )
    prepare_data({"train": samples, "val": samples[:2], "test": []}, context, target)
    return open_dataset(target)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The masks of all windows that steps are taken on."""
    seen: list[torch.Tensor] = []
    augment = step.augment_batch

    def watched(*arguments: object) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = augment(*arguments)
        seen.append(mask.clone())
        return image, mask

    monkeypatch.setattr(step, "augment_batch", watched)
    return seen


def showing(windows: list[torch.Tensor], k: int) -> int:
    return int((torch.cat(windows) == k).flatten(1).any(1).sum())


def test_a_rare_class_in_a_corner_is_seen_in_each_window_picked_for_it(
    corner: Dataset, trained, windows: list[torch.Tensor]
) -> None:
    options = {"batch_size": 4, "augment": SMALL, "length": Length(4)}
    trained(corner, state="uniform", **options)
    seldom = showing(windows, 2)
    windows.clear()
    picked = ClassCentroidsParams(share=0.5, cell=8)
    trained(corner, state="by class", sampler="class_centroids", class_centroids=picked, **options)
    # 4 epochs of 12 samples, 6 by class: 2 for each of the three that there are.
    assert len(torch.cat(windows)) == 48
    assert showing(windows, 2) >= 8
    assert seldom <= 1


def test_a_class_that_is_absent_is_left_out_and_that_is_said(corner: Dataset) -> None:
    train = TrainParams(sampler="class_centroids", class_centroids=ClassCentroidsParams(cell=16))
    found = class_centroids(train, corner, corner.split("train"), shown=False)
    assert found is not None
    # 2x3 squares, the upper ones sky and the lower ones road.
    counts = {"sky": 36, "road": 36, "sign": 1, "ghost": 0}
    assert centroid_counts(found, corner) == counts
    title, *lines = centroid_table(found, train, corner, (HEIGHT, WIDTH))
    assert "50 % of the samples are chosen for a class, 16.7 % for each" in title
    rows = [line.split() for line in lines]
    assert [(row[0], int(row[3])) for row in rows] == list(counts.items())
    assert sum(float(row[1]) for row in rows) == pytest.approx(100, abs=0.01)
    assert lines[3].endswith("none in the samples, so it is left out")
    calm = train.model_copy(update={"augment": AugmentParams(scale=(0.5, 1.0))})
    whole = centroid_table(found, calm, corner, (HEIGHT, WIDTH))
    assert "among images alone" in whole[-1]
    assert centroid_table(found, calm, corner, (8, 8)) == whole[:-1]


def test_a_part_of_the_samples_has_a_table_of_its_own(corner: Dataset) -> None:
    train = TrainParams(sampler="class_centroids", limit=8)
    split, _ = chosen_samples(corner, train)
    found = class_centroids(train, corner, split, shown=True)
    assert found is not None
    # Of twelve rows 0, 1, 3, 4, 6, 7, 9 and 10; the sign is in row 7, which is the sixth.
    assert found.points_K[2].tolist() == [(5, 0, WIDTH - 2)]
    assert found.points_K[0]["row"].tolist() == list(range(8))


def test_uniform_and_samples_learnt_by_heart_make_no_table(corner: Dataset) -> None:
    for train in (TrainParams(), TrainParams(sampler="class_centroids", overfit=8)):
        assert class_centroids(train, corner, corner.split("train"), shown=False) is None


def test_a_stopped_run_ends_in_the_same_bits(corner: Dataset, trained) -> None:
    options = {
        "sampler": "class_centroids",
        "class_centroids": ClassCentroidsParams(share=0.7, cell=8),
        "augment": SMALL,
        "length": Length(9, "steps"),
    }
    job, progress, _ = trained(corner, state="whole", **options)
    with pytest.raises(Interrupted):
        trained(corner, state="cut", stop=4, **options)
    again, its_progress, _ = trained(corner, state="cut", **options)
    assert job.lengths.epoch == 6, "so it was stopped within an epoch"
    theirs = plain_weights(again.learner.network)
    assert all(
        torch.equal(v, theirs[name]) for name, v in plain_weights(job.learner.network).items()
    )
    losses = [[row["train_loss"] for row in p.history] for p in (progress, its_progress)]
    assert losses[0] == losses[1]


def test_console_and_mlflow_are_told(
    corner: Dataset, trained, capsys: pytest.CaptureFixture[str]
) -> None:
    picked = ClassCentroidsParams(cell=8)
    options = {"length": Length(1, "steps"), "warmup": Length(0)}
    job, progress, _ = trained(
        corner, sampler="class_centroids", class_centroids=picked, augment=SMALL, **options
    )
    # 4x6 squares of 12 scenes, half of them sky.
    assert derived(job)["centroids"] == {"sky": 144, "road": 144, "sign": 1, "ghost": 0}
    announce(job, LossParams(), progress, [])
    said = capsys.readouterr().out
    assert "50 % of the samples are chosen for a class" in said
    assert "none in the samples, so it is left out" in said
    plain, progress, _ = trained(corner, state="plain", **options)
    assert "centroids" not in derived(plain)
    announce(plain, LossParams(), progress, [])
    assert "chosen for a class" not in capsys.readouterr().out


def test_accumulation_takes_the_same_windows(
    corner: Dataset, trained, windows: list[torch.Tensor], tmp_path: Path
) -> None:
    options = {
        "sampler": "class_centroids",
        "augment": SMALL,
        "batch_size": 4,
        "length": Length(1),
        "warmup": Length(0),
    }
    trained(corner, state="once", **options)
    once = torch.cat(windows)
    windows.clear()
    trained(corner, state="twice", accumulation=2, **options)
    assert len(windows) == 6
    assert torch.equal(torch.cat(windows), once)

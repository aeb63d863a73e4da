"""Training on a few samples (segpipe/dataset/subset.py): which, that they are learnt by heart, and said."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from segpipe.augment.apply import normalise_batch
from segpipe.augment.draw import plain_specs
from segpipe.bundle import plain_weights
from segpipe.dataset.digests import RowDigests
from segpipe.dataset.layout import Row
from segpipe.dataset.reader import Split
from segpipe.dataset.subset import chosen_samples, sample_counts, selection_notes
from segpipe.loading.batches import read_batch
from segpipe.params.augment import AugmentParams
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.train import TrainParams
from segpipe.raw.sample import Sample
from segpipe.training.distributed.signals import Interrupted
from segpipe.training.step import _augmented
from segpipe.training.watch.console import announce
from segpipe.training.watch.pictures import augmentation_sheet
from segpipe.training.watch.publish import training_summary, write_bundle
from tests.training.conftest import MODEL


def named(split: Split) -> list[str]:
    return [row.sample.name for row in split.rows]


def test_limit_takes_evenly_spaced_rows_of_both_splits(dataset) -> None:
    whole = dataset.split("train")
    train, val = chosen_samples(dataset, TrainParams(batch_size=4, limit=4))
    assert named(train) == [named(whole)[place] for place in (0, 2, 5, 7)]
    assert named(val) == [named(dataset.split("val"))[place] for place in (0, 1, 2, 3)]
    specs = plain_specs([3, 0])
    few, same = read_batch(train, specs, 1, False), read_batch(whole, plain_specs([7, 0]), 1, False)
    assert torch.equal(few.image_BTHWC, same.image_BTHWC)
    assert torch.equal(few.mask_Bhw, same.mask_Bhw)
    assert few.specs_B is specs
    assert [mask.tolist() for mask in train.masks_Nhw] == whole.masks_Nhw[[0, 2, 5, 7]].tolist()


def test_a_limit_beyond_the_data_takes_all(dataset) -> None:
    train, val = chosen_samples(dataset, TrainParams(batch_size=4, limit=8))
    assert (len(train), len(val)) == (8, 5)
    train, val = chosen_samples(dataset, TrainParams(batch_size=4, limit=1000))
    assert (named(train), named(val)) == tuple(named(dataset.split(s)) for s in ("train", "val"))


@pytest.mark.parametrize("number", [1, 3, 7, 11, 12, 64])
def test_the_rows_are_spread_without_doubles(number: int) -> None:
    rows = [Row(Sample(str(n), "", "", None), 0) for n in range(101)]
    images, masks = np.zeros((101, 1, 1, 1, 1), np.uint8), np.zeros((101, 1, 1), np.uint8)
    whole = Split(images, masks, rows, RowDigests(Path(), np.zeros((101, 16), np.uint8)))
    source = SimpleNamespace(split=lambda _name: whole)
    train, _ = chosen_samples(source, TrainParams(batch_size=1, limit=number))  # type: ignore[arg-type]
    places = [int(name) for name in named(train)]
    gaps = np.diff([*places, 101])
    assert len(places) == number
    assert places[0] == 0
    assert gaps.max() - gaps.min() <= 1


def test_overfit_learns_originals_and_validates_on_the_same(dataset) -> None:
    whole = dataset.split("train")
    copied = replace(whole, rows=[Row(row.sample, n % 3) for n, row in enumerate(whole.rows)])
    source = SimpleNamespace(split=lambda _name: copied)
    train, val = chosen_samples(source, TrainParams(batch_size=2, overfit=2))  # type: ignore[arg-type]
    assert val is train
    assert named(train) == [named(whole)[place] for place in (0, 6)]


def test_two_scenes_are_learnt_by_heart(dataset, trained) -> None:
    learnt = {"length": Length(60, "steps"), "validate_every": Length(60, "steps")}
    calm = MODEL.model_copy(update={"unet": MODEL.unet.model_copy(update={"dropout": 0.0})})
    job, _, rows = trained(dataset, model=calm, overfit=2, **learnt)
    assert rows[-1]["val_miou"] > 0.9
    assert rows[-1]["val_pixel_accuracy"] > 0.97
    # The whole of each sample, the same in every epoch.
    batch = read_batch(job.data.train_split, plain_specs([1, 0]), 1, False)
    plain_BCHW = normalise_batch(batch.image_BTHWC, job.data.mean_C, job.data.std_C)
    for epoch in (0, 7):
        image_BCHW, mask_BHW = _augmented(job, batch, epoch)
        torch.testing.assert_close(image_BCHW, plain_BCHW)
        assert torch.equal(mask_BHW, batch.mask_Bhw)


def test_a_try_that_is_resumed_sees_the_same_order(dataset, trained) -> None:
    for few in ({"overfit": 3}, {"limit": 7}):
        options = {**few, "length": Length(4, "steps"), "augment": AugmentParams()}
        whole, *_ = trained(dataset, state=f"whole{few}", **options)
        with pytest.raises(Interrupted):
            trained(dataset, state=f"cut{few}", stop=2, **options)
        again, *_ = trained(dataset, state=f"cut{few}", **options)
        theirs = plain_weights(again.learner.network)
        for name, value in plain_weights(whole.learner.network).items():
            assert torch.equal(value, theirs[name]), name


def test_it_is_said_and_recorded(dataset, trained, tmp_path: Path, capsys) -> None:
    job, progress, _ = trained(dataset, overfit=2, length=Length(1, "steps"), warmup=Length(0))
    announce(job, LossParams(), progress, [])
    said = capsys.readouterr().out
    assert "ATTENTION, train.overfit: 2 of 10 training samples are learnt by heart" in said
    assert all(name in said for name in named(job.data.train_split))
    assert "those of the whole training split" in said
    recorded = {"train_samples": 2, "val_samples": 2, "overfit": 2}
    assert training_summary(job, progress, None).model_dump().items() >= recorded.items()
    write_bundle(job, progress, plain_weights(job.learner.result), MODEL, {}, tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["lineage"]["samples"] == recorded


def test_what_uses_all_samples_says_nothing(dataset) -> None:
    plain, limited = TrainParams(batch_size=4), TrainParams(batch_size=4, limit=4)
    splits = dataset.split("train"), dataset.split("val")
    assert selection_notes(plain, dataset, *splits) == []
    assert sample_counts(plain, *splits) == {"train_samples": 10, "val_samples": 5}
    first, _ = selection_notes(limited, dataset, *chosen_samples(dataset, limited))
    assert "only 4 of 10 training and 4 of 5 validation samples" in first


def test_the_picture_of_augmentation_shows_the_chosen_samples(dataset) -> None:
    train, _ = chosen_samples(dataset, TrainParams(batch_size=2, limit=2))
    sheet = augmentation_sheet(dataset, train, AugmentParams(), 0)
    whole = augmentation_sheet(dataset, dataset.split("train"), AugmentParams(), 0)
    assert sheet.shape[0] < whole.shape[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"limit": 3},
            "limit is 3, which is less than one batch .batch_size 8.; set batch_size to 3",
        ),
        ({"overfit": 7}, "overfit is 7.* or overfit to 8 or more"),
        ({"overfit": 8, "limit": 8}, "exclude each other"),
        ({"limit": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainParams(batch_size=8, **options)

"""Cityscapes from its archives to prepared clips, through the same functions as the stages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.dataset.layout import INDEX, read_samples
from segpipe.dataset.reader import open_dataset
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import LabelParams
from segpipe.params.source import ClipParams, SourceParams, SyntheticParams
from segpipe.preflight.inspection import fit_to_prepare, plan_preparation
from segpipe.preparation.prepare import prepare_data
from segpipe.sources.build import fetch, list_samples
from segpipe.sources.synthetic.archives import write_archives
from tests.forge import ROOT

CLIP = ClipParams(frames=3, stride=2)
PREPARE = PrepareParams(height=32, width=64)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives as they are downloaded, fetched."""
    root = tmp_path_factory.mktemp("cityscapes")
    (root / "archives").mkdir()
    (root / "raw").mkdir()
    scenes = SyntheticParams(train=2, val=1, test=1, height=64, width=128)
    write_archives(scenes, CLIP, ROOT / "data/synthetic.yaml", root / "archives")
    fetch(source(root / "archives"), root / "raw", root / "downloads")
    return root / "raw"


def source(path: Path) -> SourceParams:
    return SourceParams(name="cityscapes", path=str(path), clip=CLIP)


def test_clips_are_prepared_with_their_earlier_frames(raw: Path, tmp_path: Path) -> None:
    listing = list_samples(source(raw), PREPARE, raw)
    assert not listing.findings and fit_to_prepare(listing)
    scheme = load_scheme("cityscapes19", {}, raw)
    context = plan_preparation("cityscapes", LabelParams(), PREPARE, listing, scheme, raw)
    assert context is not None
    prepare_data(listing.samples, context, tmp_path)
    dataset = open_dataset(tmp_path)
    split = dataset.split("train")
    assert dataset.input.frames == 3
    assert split.images_NTHWC.shape == (2, 3, 32, 64, 3)
    for number, row in enumerate(split.rows):
        for place, path in enumerate((*row.sample.frames, row.sample.image)):
            with Image.open(raw / path) as frame:
                expected = np.asarray(frame.resize((64, 32), Image.Resampling.BILINEAR))
            assert (split.images_NTHWC[number, place] == expected).all()
        assert [name.split("_")[-2] for name in row.sample.frames] == ["000015", "000017"]


def test_what_tells_objects_apart_is_kept_and_decides_no_training(
    raw: Path, tmp_path: Path
) -> None:
    listing = list_samples(source(raw), PREPARE, raw)
    fingerprints = []
    for folder in ("with", "without"):
        scheme = load_scheme("cityscapes19", {}, raw)
        context = plan_preparation("cityscapes", LabelParams(), PREPARE, listing, scheme, raw)
        assert context is not None
        samples = listing.samples
        if folder == "without":
            raw_labels = tuple(replace(label, category=None) for label in scheme.raw)
            context = replace(context, scheme=replace(scheme, raw=raw_labels))
            samples = {
                split: [replace(one, instances=None) for one in members]
                for split, members in samples.items()
            }
        (tmp_path / folder).mkdir()
        prepare_data(samples, context, tmp_path / folder)
        fingerprints.append(open_dataset(tmp_path / folder).fingerprint)
    assert fingerprints[0] == fingerprints[1], "as earlier versions made it"
    index = tmp_path / "with/val" / INDEX
    (sample,) = read_samples(index)
    with Image.open(raw / str(sample.instances)) as picture:
        assert np.asarray(picture).max() >= 24000
    # Earlier versions wrote no such column.
    text = index.read_text().replace(f",{sample.instances}", "").replace(",instances", "")
    index.write_text(text)
    assert read_samples(index) == [replace(sample, instances=None)]


def test_the_car_and_the_border_are_void_and_the_test_split_has_no_truth(raw: Path) -> None:
    listing = list_samples(source(raw), PREPARE, raw)
    assert [sample.mask for sample in listing.samples["test"]] == [None]
    scheme = load_scheme("cityscapes19", {}, raw)
    seen = set()
    for sample in listing.samples["train"]:
        with Image.open(raw / str(sample.mask)) as mask:
            ids = np.asarray(mask)
        train_ids = scheme.encode(ids)[0]
        for value in (1, 2, 3):
            assert (train_ids[ids == value] == VOID).all()
            seen |= {value} & set(np.unique(ids).tolist())
    assert 1 in seen  # the bonnet of the car is in the pictures

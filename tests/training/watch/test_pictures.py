"""Pictures of validation and of augmentation: they show what they should, and change nothing."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segpipe.bundle import plain_weights
from segpipe.dataset.digests import RowDigests, row_digest
from segpipe.dataset.layout import Row
from segpipe.dataset.reader import Dataset, Split, open_dataset
from segpipe.labels.scheme import VOID
from segpipe.models.parts.network import Network
from segpipe.models.parts.u_net import UNet
from segpipe.params.augment import AugmentParams
from segpipe.params.loss import LossParams
from segpipe.params.model import UNetParams
from segpipe.params.prepare import EsdParams
from segpipe.raw.input_spec import PICTURES, FileSpec
from segpipe.rendering.samples import copies_sheet
from segpipe.training.job import Job
from segpipe.training.watch.pictures import augmentation_sheet, validation_pictures, write_sheet
from tests.forge import make_folder, make_prepared
from tests.training.conftest import Trained

GAP, SEAM, FACTOR = 12, 4, 14  # FACTOR: images 24 pixels wide are enlarged so

Train = Callable[..., Trained]


def panels(content: bytes, sample: int, height: int = 16, width: int = 24) -> list[NDArray[Any]]:
    """Image, truth and prediction of one sample, cut from the sheet: the middle of each pixel."""
    sheet = np.asarray(Image.open(io.BytesIO(content)))
    tall, wide = height * FACTOR, width * FACTOR
    cell = 3 * wide + 2 * SEAM
    strip = round(min(18, max(12, cell // 28)) * 1.8)
    top = GAP + sample * (tall + strip + GAP)
    middle = FACTOR // 2
    return [
        sheet[top + middle : top + tall : FACTOR, left + middle : left + wide : FACTOR]
        for left in (GAP + place * (wide + SEAM) for place in range(3))
    ]


def painted(job: Job, mask: NDArray[Any], panel: NDArray[Any]) -> bool:
    """Whether a panel has the classes' colours wherever the mask is not void."""
    inside = mask != VOID
    return bool((panel[inside] == job.data.dataset.scheme.paint(mask)[inside]).all())


def by_hand(job: Job, row: int) -> Tensor:
    """The scores of one sample, without anything of the loop's."""
    image = torch.from_numpy(np.array(job.data.val_split.images_NTHWC[row, -1])).float() / 255
    normal = (image - torch.tensor(job.data.dataset.input.mean)) / torch.tensor(
        job.data.dataset.input.std
    )
    with torch.no_grad():
        scores: Tensor = job.learner.result(normal.permute(2, 0, 1)[None])[0]
    return scores


def test_the_sheet_shows_image_truth_and_the_networks_answer(
    dataset: Dataset, trained: Train
) -> None:
    job, *_ = trained(dataset, ema=0.5)
    content = validation_pictures(job, 2)
    for place, row in enumerate((0, 2)):  # of five
        image, truth, prediction = panels(content, place)
        assert (image == job.data.val_split.images_NTHWC[row, 0]).all()
        assert painted(job, np.array(job.data.val_split.masks_Nhw[row]), truth)
        assert painted(job, by_hand(job, row).argmax(0).byte().numpy(), prediction)
    assert len({panel.tobytes() for panel in panels(content, 0)}) == 3
    whole = np.asarray(Image.open(io.BytesIO(validation_pictures(job, 64))))
    assert whole.shape[0] > 2 * np.asarray(Image.open(io.BytesIO(content))).shape[0]  # all five


def test_drawing_changes_no_weight(dataset: Dataset, trained: Train) -> None:
    """Dropout, batch norm and a moving average: what draws or averages would show it."""
    drawn: list[bytes] = []
    plain, *_ = trained(dataset, state="plain", ema=0.5)
    job, *_ = trained(
        dataset, state="drawn", ema=0.5, each=lambda job: drawn.append(validation_pictures(job, 3))
    )
    assert len(set(drawn)) == 2  # two validations, and what was learnt between them
    for name, value in plain_weights(plain.learner.result).items():
        assert torch.equal(value, plain_weights(job.learner.result)[name]), name


@pytest.mark.parametrize("threshold", [0.3, 0.7, "auto"])
def test_one_logit_is_cut_at_the_threshold_of_the_scores(
    sky_dataset: Dataset, trained: Train, threshold: float | str
) -> None:
    job, *_ = trained(sky_dataset, loss=LossParams(name="bce"), threshold=threshold)
    *_, prediction = panels(validation_pictures(job, 1), 0)
    bound = 0.5 if threshold == "auto" else threshold
    expected = (by_hand(job, 0)[0].sigmoid() > bound).byte().numpy()
    assert painted(job, expected, prediction)


class Answer(Network):
    """A network that takes clips and answers with these train ids."""

    takes_clips = True

    def __init__(self, ids: NDArray[np.uint8], ratio: int) -> None:
        super().__init__()
        self.reduction = ratio
        self.ids = torch.from_numpy(ids).long()
        self.seen: list[torch.Size] = []

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        self.seen.append(clip_BTCHW.shape)
        return torch.eye(3)[self.ids][None].permute(0, 3, 1, 2)


def standing_in(
    dataset: Dataset,
    images: NDArray[Any],
    masks: NDArray[np.uint8],
    files: FileSpec,
    ids: NDArray[np.uint8],
) -> Any:
    """As much of a job as the pictures look at. The first sample by name is the second row."""
    rows = [Row(SimpleNamespace(name=name), 0) for name in ("b", "a")]  # type: ignore[arg-type]
    ratio, answer = files.truth_ratio, Answer(ids, files.truth_ratio)
    digests = [list(row_digest(*pair)) for pair in zip(images, masks, strict=True)]
    return SimpleNamespace(
        learner=SimpleNamespace(network=answer, result=answer),
        data=SimpleNamespace(
            val_split=Split(images, masks, rows, RowDigests(Path(), np.array(digests, np.uint8))),
            dataset=SimpleNamespace(
                truth_ratio=ratio, scheme=dataset.scheme, input=SimpleNamespace(files=files)
            ),
            frames=images.shape[1],
            mean_C=torch.zeros(images.shape[-1]),
            std_C=torch.ones(images.shape[-1]),
        ),
        objective=SimpleNamespace(threshold=None),
        processes=SimpleNamespace(
            device=torch.device("cpu"),
            accelerator=SimpleNamespace(autocast=lambda: torch.autocast("cpu", enabled=False)),
        ),
    )


def test_a_network_with_valid_padding_answers_for_the_whole_image(dataset: Dataset) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, 1, 16, 24, 3)).astype(np.uint8)
    masks = random.integers(0, 3, (2, 16, 24)).astype(np.uint8)
    job = standing_in(dataset, images, masks, PICTURES, masks[0])
    torch.manual_seed(0)
    network = UNet(3, 3, UNetParams(width=4, depth=1, padding="valid")).eval()
    job.learner.network = job.learner.result = network
    image, truth, prediction = panels(validation_pictures(job, 1), 0)
    mirrored = np.pad(images[1, 0], [(8, 8), (8, 8), (0, 0)], mode="symmetric")
    with torch.no_grad():
        given = torch.from_numpy(mirrored).permute(2, 0, 1)[None] / 255
        ids = network(given)[0].argmax(0).byte().numpy()
    assert (image == images[1, 0]).all()
    assert painted(job, masks[1], truth)
    assert painted(job, ids, prediction)
    assert len(np.unique(ids)) > 1


def test_clips_of_bands_with_a_coarse_truth(dataset: Dataset) -> None:
    """Three frames of five bands in float16; the truth is half as fine, two bands are shown."""
    random = np.random.default_rng(0)
    images = random.random((2, 3, 16, 24, 5)).astype(np.float16)
    masks = random.integers(0, 3, (2, 8, 12)).astype(np.uint8)
    masks[:, 0] = VOID
    ids = random.integers(0, 3, (8, 12)).astype(np.uint8)
    bands = FileSpec("esd", tuple("vwxyz"), (3, 1, 1), truth_ratio=2, esd=EsdParams())
    job = standing_in(dataset, images, masks, bands, ids)
    image, truth, prediction = panels(validation_pictures(job, 1), 0)
    assert job.learner.network.seen == [(1, 3, 5, 16, 24)]
    shown = np.rint(images[1, -1][..., [3, 1, 1]].astype(np.float32) * 255)
    assert (image == shown).all()
    assert painted(job, masks[1].repeat(2, 0).repeat(2, 1), truth)
    assert painted(job, ids.repeat(2, 0).repeat(2, 1), prediction)


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("preview")
    workspace = make_prepared(root / "work", make_folder(root / "data"))
    return open_dataset(workspace / "data/prepared")


def test_without_augmentation_before_is_after(streets: Dataset) -> None:
    calm = AugmentParams(scale=(1.0, 1.0), flip=0.0, gamma=(1.0, 1.0), saturation=(1.0, 1.0))
    split = streets.split("train")
    rows = np.unique(np.linspace(0, len(split) - 1, 6).astype(np.int64))
    same = [
        (split.rows[row].sample.name, *(2 * (split.images_NTHWC[row, 0], split.masks_Nhw[row])))
        for row in rows
    ]
    assert (augmentation_sheet(streets, split, calm, 0) == copies_sheet(same, streets.scheme)).all()


def test_the_file_holds_the_sheet_of_augmentation(streets: Dataset, tmp_path: Path) -> None:
    split, augment = streets.split("train"), AugmentParams(scale=(1.0, 1.5))
    write_sheet(tmp_path / "sheet.png", streets, split, augment, 3)
    written = np.asarray(Image.open(tmp_path / "sheet.png"))
    np.testing.assert_array_equal(written, augmentation_sheet(streets, split, augment, 3))


def test_the_sheet_shows_the_draws_of_its_seed(streets: Dataset) -> None:
    lively = AugmentParams(crop_height=16, crop_width=24)
    split = streets.split("train")
    one, other = (augmentation_sheet(streets, split, lively, seed) for seed in (0, 1))
    assert (one == augmentation_sheet(streets, split, lively, 0)).all()
    assert one.shape != other.shape or (one != other).any()

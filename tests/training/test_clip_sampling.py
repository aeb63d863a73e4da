"""Windows chosen for a class, in clips: one window a sample, the same for all of its frames."""

import numpy as np
import pytest
import torch
from torch import Tensor

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.labels.load import load_scheme
from segpipe.params.augment import AugmentParams
from segpipe.params.length import Length
from segpipe.params.model import ModelParams
from segpipe.params.prepare import PrepareParams
from segpipe.params.train import ClassCentroidsParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample
from segpipe.training import step
from tests.forge import save

HEIGHT, WIDTH, FRAMES, SAMPLES, SIGN = 32, 48, 3, 12, 2
NAMES = "id,name,red,green,blue\n0,sky,0,0,1\n1,road,0,0,2\n2,sign,0,0,3\n"
# Windows are slices, mirrored or not, so that a pixel of theirs is one of the image.
SLICES = AugmentParams(
    crop_height=8, crop_width=8, scale=(1.0, 1.0), gamma=(1.0, 1.0), saturation=(1.0, 1.0)
)
SMALL = ModelParams.model_validate(
    {"name": "resnet_lstm", "resnet_lstm": {"grid_height": 2, "grid_width": 2}}
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Clips whose pixels say where they are: red 5 x, green 7 y, blue 80 t + 5 times the sample.

    Two samples have a sign of 2x2 pixels, in opposite corners.
    """
    folder = tmp_path_factory.mktemp("clips")
    raw, samples = folder / "raw", []
    y_HW, x_HW = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(SAMPLES):
        mask = (y_HW >= HEIGHT // 2).astype(np.uint8)
        if number == 4:
            mask[:2, -2:] = SIGN
        if number == 9:
            mask[-2:, :2] = SIGN
        save(raw / f"masks/{number:02d}.png", mask)
        names = [f"images/{number:02d}_{t}.png" for t in range(FRAMES)]
        for t, name in enumerate(names):
            blue_HW = np.full_like(x_HW, 80 * t + 5 * number)
            save(raw / name, np.stack([5 * x_HW, 7 * y_HW, blue_HW], -1).astype(np.uint8))
        samples.append(
            Sample(str(number), "", names[-1], f"masks/{number:02d}.png", tuple(names[:-1]))
        )
    (raw / "classes.csv").write_text(NAMES)
    scheme = load_scheme("classes.csv", {}, raw)
    target = folder / "prepared"
    target.mkdir()
    context = PrepareContext(raw, scheme, PICTURES, PrepareParams(height=HEIGHT, width=WIDTH))
    prepare_data({"train": samples, "val": samples[:1], "test": []}, context, target)
    return open_dataset(target)


def test_a_window_picked_for_a_class_shows_it_in_every_frame(
    clips: Dataset, trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    augment = step.augment_batch
    spec = clips.input
    mean_C, std_C = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))

    def watched(*arguments: object) -> tuple[Tensor, Tensor]:
        image, mask = augment(*arguments)
        bytes_BTCHW = ((image * std_C + mean_C) * 255).unflatten(0, (-1, FRAMES))
        seen.append((bytes_BTCHW.round().long(), mask.clone()))
        return image, mask

    monkeypatch.setattr(step, "augment_batch", watched)
    job, _, _ = trained(
        clips,
        model=SMALL,
        sampler="class_centroids",
        class_centroids=ClassCentroidsParams(share=1.0, cell=8),
        augment=SLICES,
        batch_size=SAMPLES,
        length=Length(2),
        lr=1e-4,
    )
    assert job.data.frames == FRAMES
    colour_BTCHW = torch.cat([image for image, _ in seen])
    mask_BHW = torch.cat([mask for _, mask in seen])
    assert len(mask_BHW) == 2 * SAMPLES

    assert (colour_BTCHW[:, :, :2] == colour_BTCHW[:, :1, :2]).all(), "one window for all frames"
    blue_BT = colour_BTCHW[:, :, 2, 0, 0]
    assert (blue_BT.diff(dim=1) == 80).all(), "of the clip's frames, in their order"

    # A third of the samples is for the sign, each of its two centroids in turn.
    signs_B = (mask_BHW == SIGN).flatten(1).any(1)
    assert signs_B.sum() >= 2 * SAMPLES / 3
    assert set((blue_BT[signs_B, 0] // 5).tolist()) == {4, 9}
    for image_TCHW, mask_HW, number in zip(colour_BTCHW, mask_BHW, blue_BT[:, 0] // 5, strict=True):
        truth = torch.from_numpy(clips.split("train").masks_Nhw[int(number)].copy())
        for frame_CHW in image_TCHW:
            assert torch.equal(truth[frame_CHW[1] // 7, frame_CHW[0] // 5], mask_HW)

"""Four real images can be learnt by heart."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, RegSegParams
from tests.forge import ROOT

CAMVID = Path(os.environ.get("SEGPIPE_CAMVID", ROOT / "data/camvid"))
WIDTH, HEIGHT = 240, 180
CLASSES, VOID = 11, 255
MODELS = {
    "unet": ModelParams(name="unet"),
    "regseg": ModelParams(name="regseg", regseg=RegSegParams(dilation=5)),
}


def four() -> tuple[Tensor, Tensor]:
    """Images, normalised, (4, 3, H, W), and masks, (4, H, W): far apart in the list."""
    paths = sorted((CAMVID / "images/train").iterdir())
    images, masks = [], []
    for path in paths[:: len(paths) // 4][:4]:
        picture = Image.open(path).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        truth = Image.open(CAMVID / "masks/train" / f"{path.stem}.png")
        images.append(np.asarray(picture, np.float32) / 255)
        masks.append(np.asarray(truth.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST), np.int64))
    image_BCHW = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    mask_BHW = torch.from_numpy(np.stack(masks))
    mask_BHW[mask_BHW >= CLASSES] = VOID
    return (image_BCHW - 0.45) / 0.25, mask_BHW


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.skipif(
    not (CAMVID / "images/train").is_dir(),
    reason=f"there is no CamVid at {CAMVID}; set SEGPIPE_CAMVID to its folder",
)
def test_four_images_are_learnt_by_heart(name):
    torch.manual_seed(0)
    model = build_model(MODELS[name], 3, CLASSES).to(memory_format=torch.channels_last)
    image_BCHW, mask_BHW = four()
    image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    began, accuracy, steps = time.monotonic(), 0.0, 0
    while accuracy < 0.95 and time.monotonic() - began < 120:
        model.train()
        for _ in range(20):
            loss = F.cross_entropy(model(image_BCHW), mask_BHW, ignore_index=VOID)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
        model.eval()
        with torch.no_grad():
            valid = mask_BHW != VOID
            right = model(image_BCHW).argmax(1) == mask_BHW
            accuracy = float((right & valid).sum() / valid.sum())
    assert accuracy >= 0.95, f"{accuracy:.3f} after {steps} steps in 120 seconds"

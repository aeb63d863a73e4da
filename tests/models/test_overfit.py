"""Four real images can be learnt by heart, by every model in the list of the build file."""

import os
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from segpipe.hardware import choose_precision
from segpipe.models.build import build_model
from segpipe.models.network import Network
from segpipe.params.model import ModelParams
from tests.forge import ROOT

CAMVID = Path(os.environ.get("SEGPIPE_CAMVID", ROOT / "data/camvid"))
CLASSES, VOID = 11, 255
STEPS_A_LOOK = 10
# Two minutes on two cores; by the processor's clock, so that other work beside it does not count.
PROCESSOR_SECONDS = 240
NAMES = get_args(ModelParams.model_fields["name"].annotation)
# The smallest backbone where there is a choice; of RegSeg the dilation for images of this height.
OPTIONS = {
    "regseg": {"dilation": 5},
    "mini_unet": {"width": 16},
    "deeplabv3": {"backbone": "mobilenet_v3_large"},
    "smp": {"encoder": "resnet18"},
}
# Networks at stride 8 are slow, and the truth of the coarse one has few pixels.
SIDES = {"fcn": (96, 128), "truth_cnn": (300, 400)}
RATIO = {"truth_cnn": 50}


def four(height: int, width: int, ratio: int) -> tuple[Tensor, Tensor]:
    """Images, normalised, (4, 3, H, W), and masks, (4, H / ratio, W / ratio): far apart in the list."""
    paths = sorted((CAMVID / "images/train").iterdir())
    images, masks = [], []
    for path in paths[:: len(paths) // 4][:4]:
        picture = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        truth = Image.open(CAMVID / "masks/train" / f"{path.stem}.png")
        small = truth.resize((width // ratio, height // ratio), Image.Resampling.NEAREST)
        images.append(np.asarray(picture, np.float32) / 255)
        masks.append(np.asarray(small, np.int64))
    image_BCHW = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    mask_BHW = torch.from_numpy(np.stack(masks))
    mask_BHW[mask_BHW >= CLASSES] = VOID
    return (image_BCHW - 0.45) / 0.25, mask_BHW


def fed(model: Network, image_BCHW: Tensor) -> Tensor:
    image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    return image_BCHW[:, None] if model.takes_clips else image_BCHW


def accuracy(model: Network, images: Tensor, mask_BHW: Tensor) -> float:
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16()):
        right = model(images).argmax(1) == mask_BHW
    valid = mask_BHW != VOID
    return float((right & valid).sum() / valid.sum())


def bf16() -> bool:
    return choose_precision("auto", torch.device("cpu")) == "bf16"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(
    not (CAMVID / "images/train").is_dir(),
    reason=f"there is no CamVid at {CAMVID}; set SEGPIPE_CAMVID to its folder",
)
def test_four_images_are_learnt_by_heart(name):
    torch.manual_seed(0)
    ratio = RATIO.get(name, 1)
    options = ModelParams.model_validate(
        {"name": name} | ({name: OPTIONS[name]} if name in OPTIONS else {})
    )
    model = build_model(options, 3, CLASSES, ratio).to(memory_format=torch.channels_last)
    image_BCHW, mask_BHW = four(*SIDES.get(name, (180, 240)), ratio)
    images = fed(model, image_BCHW)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    began, reached, steps = time.process_time(), 0.0, 0
    while reached < 0.95 and time.process_time() - began < PROCESSOR_SECONDS:
        model.train()
        for _ in range(STEPS_A_LOOK):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16()):
                found = model(images)
            every = found if isinstance(found, tuple) else (found,)
            losses = [F.cross_entropy(one.float(), mask_BHW, ignore_index=VOID) for one in every]
            torch.stack(losses).sum().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
        reached = accuracy(model, images, mask_BHW)
    print(name, reached, steps, time.process_time() - began)
    assert reached >= 0.95, f"{reached:.3f} after {steps} steps in two minutes"

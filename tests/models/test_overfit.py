"""Four real images can be learnt by heart, by every model in the list of the build file.

Shapes: B batch, C channels, K classes, H, W of the image, h, w of the truth.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor, nn

from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.runtime.hardware import choose_precision
from tests.forge import ROOT, scene

CAMVID = Path(os.environ.get("SEGPIPE_CAMVID", ROOT / "data/camvid"))
CLASSES, SKY, VOID = 11, 0, 255
ENOUGH = 0.95
# Two minutes on two cores, by the processor's clock, so that other work beside it does not count.
PROCESSOR_SECONDS = 240
STEPS_A_LOOK = 10
LR = 3e-3
NAMES = get_args(ModelParams.model_fields["name"].annotation)


@dataclass(frozen=True)
class Case:
    """What is learnt, and by which model.

    sides: of the image, half of CamVid's 360x480 unless it says why. ratio: image pixels along a
    side of a truth pixel. frames: so many times the image is a clip. binary: sky or not, one logit.
    fall: the steps over which the learning rate falls to nothing; None where it stays as it is.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    sides: tuple[int, int] = (180, 240)
    ratio: int = 1
    frames: int = 1
    binary: bool = False
    classes: int = CLASSES
    fall: int | None = None

    def model(self) -> Network:
        torch.manual_seed(0)
        options = {self.name: self.options} if self.options else {}
        params = ModelParams.model_validate({"name": self.name, **options})
        channels = 1 if self.binary else self.classes
        model = build_model(params, 3, channels, self.ratio)
        for layer in model.modules():
            # It is there against learning by heart, and that of DeepLabV3 (0.5) has no option.
            if isinstance(layer, nn.Dropout | nn.Dropout2d):
                layer.p = 0.0
        return model.to(memory_format=torch.channels_last)


# RegSeg's own 14 cells are for images 1000 pixels high.
NEAR = {"dilation": 5}
# A quarter of the width, a sixteenth of the time: without norms it takes the most steps of all.
NARROW = {"width": 16}
# ResNets are too slow for two minutes, and the auxiliary head takes a tenth of them.
LIGHT = {"backbone": "mobilenet_v3_large", "auxiliary": False}
CASES = {
    "unet": Case("unet"),
    "mini_unet": Case("mini_unet", NARROW),
    "mini_unet, sky or not": Case("mini_unet", NARROW, binary=True),
    "regseg": Case("regseg", NEAR),
    "regseg, truth of 4x4": Case("regseg", NEAR, ratio=4),
    "compact_fpn": Case("compact_fpn"),
    "pspnet": Case("pspnet", fall=200),
    # The image twice. The finest of its scores have stride 8: with fewer of them poles are lost.
    "resnet_lstm": Case("resnet_lstm", sides=(224, 288), frames=2),
    # Seven by nine truth pixels.
    "truth_cnn": Case("truth_cnn", NARROW, sides=(350, 450), ratio=50),
    # ResNet-50 at stride 8 takes two seconds a step even so. In the time there is its 16x22 scores
    # come to 94.0 % of single pixels; so it is given a truth of 4x4.
    "fcn": Case("fcn", {"auxiliary": False}, sides=(128, 176), ratio=4, fall=100),
    # Its 12x15 scores come to 93.7 % of single pixels in the time.
    "deeplabv3": Case("deeplabv3", LIGHT, ratio=4, fall=150),
    "lraspp": Case("lraspp"),
    # The smallest of the common encoders.
    "smp": Case("smp", {"encoder": "resnet18"}),
}
SCENES = {
    "unet": Case("unet", {"width": 8, "depth": 2}, sides=(48, 64), classes=3),
    "mini_unet": Case("mini_unet", {"width": 8}, sides=(48, 64), classes=3),
    "regseg": Case("regseg", {"width": 16, "dilation": 2}, sides=(48, 64), classes=3),
    "compact_fpn": Case("compact_fpn", {"width": 16}, sides=(48, 64), classes=3),
    "truth_cnn": Case("truth_cnn", {"width": 8}, sides=(200, 300), ratio=50, classes=3),
}


def camvid(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four images and masks, far apart in the list."""
    size = case.sides[::-1]
    paths = sorted((CAMVID / "images/train").iterdir())
    pairs = []
    for path in paths[:: len(paths) // 4][:4]:
        picture = Image.open(path).convert("RGB").resize(size, Resampling.BILINEAR)
        truth = Image.open(CAMVID / "masks/train" / f"{path.stem}.png")
        pairs.append((np.asarray(picture), np.asarray(truth.resize(size, Resampling.NEAREST))))
    return pairs


def fed(case: Case, pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    """Images, normalised, (B, 3, H, W), or clips of them, (B, T, 3, H, W), and masks, (B, h, w)."""
    image_BHWC = torch.from_numpy(np.stack([image for image, _ in pairs])).float() / 255
    image_BCHW = (image_BHWC.permute(0, 3, 1, 2) - 0.45) / 0.25  # channels-last
    mask_BHW = torch.from_numpy(np.stack([mask for _, mask in pairs])).long()
    votes_BHWK = F.one_hot(mask_BHW.clamp(max=case.classes), case.classes + 1)
    # The most frequent label of the pixels that a truth pixel covers.
    mask_Bhw = F.avg_pool2d(votes_BHWK.permute(0, 3, 1, 2).float(), case.ratio).argmax(1)
    valid_Bhw = mask_Bhw < case.classes
    if case.binary:
        mask_Bhw = (mask_Bhw == SKY).long()
    if case.frames > 1:
        image_BCHW = image_BCHW[:, None].expand(-1, case.frames, -1, -1, -1)
    return image_BCHW, mask_Bhw.where(valid_Bhw, VOID)


def scored(model: Network, images: Tensor) -> list[Tensor]:
    """The logits in float32, those of auxiliary heads after them."""
    bf16 = choose_precision("auto", torch.device("cpu")) == "bf16"
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = model(images)
    return [one.float() for one in (found if isinstance(found, tuple) else (found,))]


def cost(logits_BKhw: Tensor, mask_Bhw: Tensor) -> Tensor:
    if logits_BKhw.shape[1] > 1:
        return F.cross_entropy(logits_BKhw, mask_Bhw, ignore_index=VOID)
    valid = mask_Bhw != VOID
    return F.binary_cross_entropy_with_logits(logits_BKhw[:, 0][valid], mask_Bhw[valid].float())


def pixel_accuracy(model: Network, images: Tensor, mask_Bhw: Tensor) -> float:
    with torch.no_grad():
        (logits_BKhw,) = scored(model.eval(), images)
    one = logits_BKhw.shape[1] == 1
    right = (logits_BKhw[:, 0] > 0 if one else logits_BKhw.argmax(1)) == mask_Bhw
    return float(right[mask_Bhw != VOID].double().mean())


def learnt(
    case: Case, pairs: list[tuple[np.ndarray, np.ndarray]], seconds: float
) -> tuple[float, str]:
    """Learn until it is enough, or so many seconds have gone; return the pixel accuracy, and say when."""
    model, (images, mask_Bhw) = case.model(), fed(case, pairs)
    optimizer = torch.optim.AdamW(model.parameters())
    began, spent, accuracy, steps = time.process_time(), 0.0, 0.0, 0
    while accuracy < ENOUGH and spent < seconds and steps != case.fall:
        model.train()
        for step in range(steps, steps + STEPS_A_LOOK):
            optimizer.param_groups[0]["lr"] = LR * (1 - step / case.fall if case.fall else 1)
            losses = [cost(one, mask_Bhw) for one in scored(model, images)]
            torch.stack(losses).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        steps += STEPS_A_LOOK
        accuracy = pixel_accuracy(model, images, mask_Bhw)
        spent = time.process_time() - began
    return accuracy, f"{accuracy:.2%} after {steps} steps, {spent:.0f} seconds of the processor"


def test_every_model_of_the_list_is_tested():
    assert {case.name for case in CASES.values()} == set(NAMES)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.skipif(
    not (CAMVID / "images/train").is_dir(),
    reason=f"there is no CamVid at {CAMVID}; set SEGPIPE_CAMVID to its folder",
)
def test_four_images_are_learnt_by_heart(case):
    accuracy, said = learnt(CASES[case], camvid(CASES[case]), PROCESSOR_SECONDS)
    print(case, said)
    assert accuracy >= ENOUGH, said


@pytest.mark.parametrize("case", SCENES)
def test_four_generated_scenes_are_learnt_by_heart(case):
    """The same in seconds, also where there is no CamVid, for the models that are small enough."""
    pairs = [scene(number, *SCENES[case].sides) for number in range(4)]
    accuracy, said = learnt(SCENES[case], pairs, seconds=20)
    assert accuracy >= ENOUGH, said

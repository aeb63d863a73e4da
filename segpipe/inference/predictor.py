"""Predictor: an image of any size in, its label image out.

Shapes: H, W of the image; h, w of what the network sees; K classes.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segpipe.augment.apply import normalise_batch
from segpipe.bundle import Bundle, load_bundle
from segpipe.cropping import centre_crop
from segpipe.hardware import best_device, choose_precision
from segpipe.labels.scheme import LabelScheme
from segpipe.storage.geometry import place, resize_image


class Predictor:
    """A bundle that is ready to predict. It needs nothing but the bundle's folder."""

    def __init__(self, bundle: Bundle, device: torch.device | None = None) -> None:
        self.bundle = bundle
        self.device = device or best_device()
        self.precision = choose_precision(bundle.form.precision, self.device)
        self._mean_C = torch.tensor(bundle.form.mean, device=self.device)
        self._std_C = torch.tensor(bundle.form.std, device=self.device)
        self._model = bundle.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> "Predictor":
        """Load a bundle; BundleError when it is missing or damaged."""
        return cls(load_bundle(folder), device)

    @property
    def scheme(self) -> LabelScheme:
        """What the predicted train ids mean."""
        return self.bundle.scheme

    def predict(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the train ids of an RGB image, (H, W) uint8, at the image's own size."""
        logits_KHW = self.logits(image_HW3)
        return logits_KHW.argmax(0).to(torch.uint8).cpu().numpy()

    def logits(self, image_HW3: NDArray[np.uint8]) -> Tensor:
        """Return the scores of all classes, (K, H, W) float32 on the device.

        The image is resized as in training (stretched to the training size, or scaled with its
        proportions to fit or cover it), and the scores are brought back to its size bilinearly.
        """
        height, width = image_HW3.shape[:2]
        form = self.bundle.form
        placed = place(height, width, form.height, form.width, form.fit)
        resized_hw3 = resize_image(image_HW3, placed.height, placed.width)
        seen = torch.from_numpy(self._widened(resized_hw3).copy())  # Pillow's arrays are read-only
        image_1Chw = normalise_batch(seen[None].to(self.device), self._mean_C, self._std_C)
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), half:
            scores_1Khw = self._model(image_1Chw).float()
            inside_1Khw = centre_crop(scores_1Khw, placed.height, placed.width)
            logits: Tensor = F.interpolate(
                inside_1Khw, size=(height, width), mode="bilinear", align_corners=False
            )[0]
        return logits

    def _widened(self, image_hw3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Mirror the edges outwards where the network's output is smaller than its input."""
        margins = []
        for side in image_hw3.shape[:2]:
            missing = self.bundle.model.input_side(side) - side
            margins.append((missing // 2, missing - missing // 2))
        if not any(sum(margin) for margin in margins):
            return image_hw3
        return np.pad(image_hw3, [*margins, (0, 0)], mode="symmetric")

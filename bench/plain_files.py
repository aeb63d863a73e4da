"""What a tutorial's loop reads: PNG files, opened, resized and flipped with Pillow."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from bench.noise import noise_scheme
from segpipe.raw.sample import Sample


class PlainFiles(Dataset[tuple[Tensor, Tensor]]):
    """Images, float32 in 0..1 and (3, H, W), with their train ids, int64."""

    def __init__(
        self, raw: Path, samples: list[Sample], height: int, width: int, flips: bool
    ) -> None:
        """flips: whether every second image is mirrored, as in training."""
        self.raw, self.samples, self.sides, self.flips = raw, samples, (width, height), flips
        all_ids_1v = np.arange(34, dtype=np.uint8)[None]
        self.table = torch.from_numpy(noise_scheme().encode(all_ids_1v)[0])[0]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return an image and its train ids."""
        sample = self.samples[index]
        with Image.open(self.raw / sample.image) as file:
            image = np.array(file.convert("RGB").resize(self.sides), np.float32) / 255
        with Image.open(self.raw / str(sample.mask)) as file:
            mask = np.array(file.resize(self.sides, Image.Resampling.NEAREST), np.int64)
        if self.flips and index % 2:
            image, mask = image[:, ::-1].copy(), mask[:, ::-1].copy()
        return torch.from_numpy(image).permute(2, 0, 1), self.table[torch.from_numpy(mask)].long()

"""Bundles of small networks, whose exported files are compared with them."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from segpipe.bundle import plain_weights, save_bundle
from segpipe.labels.load import load_scheme
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec
from tests.forge import CLASSES_CSV, scene


def make_bundle(
    folder: Path,
    model: ModelParams,
    *,
    files: FileSpec = PICTURES,
    sides: tuple[int, int] = (32, 48),
    frames: int = 1,
    steps: int = 0,
    rate: float = 0.01,
) -> Path:
    """Write a bundle and return its folder; it has learnt `steps` batches of `tests.forge.scene`."""
    channels = len(files.channels)
    folder.mkdir(parents=True)
    (folder / "classes.csv").write_text(CLASSES_CSV)
    torch.manual_seed(0)
    network = build_model(model, channels, 3, files.truth_ratio)
    if steps:
        _learn(network, steps, rate)
    weights = plain_weights(network)
    spec = InputSpec(files, *sides, "stretch", frames, [0.5] * channels, [0.25] * channels)
    scheme = load_scheme("classes.csv", {}, folder)
    save_bundle(folder, weights, weights, model, scheme, spec, "fp32", {"data": "abc"})
    return folder


def _learn(network: nn.Module, steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for step in range(steps):
        pairs = [scene(1000 + 8 * step + place, 32, 48) for place in range(8)]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
        truth = torch.from_numpy(np.stack([mask for _, mask in pairs])).long()
        outputs = network((images / 255 - 0.5) / 0.25)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)  # with auxiliary heads
        optimizer.zero_grad()
        losses = [F.cross_entropy(logits, truth, ignore_index=9) for logits in heads]
        torch.stack(losses).sum().backward()
        optimizer.step()

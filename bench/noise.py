"""A training on noise: real files, prepared as always, that teach nothing and need no download."""

from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.dataset.reader import open_dataset
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.prepare import PrepareParams
from segpipe.params.train import TrainParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample
from segpipe.rendering.png import write_png
from segpipe.training.job import Job
from segpipe.training.setup import set_up


def noise_scheme() -> LabelScheme:
    """Return the scheme of the masks of noise: the nineteen classes of Cityscapes."""
    return load_scheme("cityscapes19", {}, Path())


def noise_files(raw: Path, number: int, height: int, width: int) -> list[Sample]:
    """Write PNGs below `raw`: coarse noise, as hard to decode as pictures are, and noise for masks."""
    random, scheme = np.random.default_rng(0), noise_scheme()
    samples = []
    for name in map(str, range(number)):
        coarse = random.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((width, height)))
        mask = random.integers(0, scheme.num_classes, (height, width)).astype(np.uint8)
        sample = Sample(name, "", f"images/{name}.png", f"masks/{name}.png")
        write_png(raw / sample.image, image)
        write_png(raw / str(sample.mask), scheme.decode(mask))
        samples.append(sample)
    return samples


def noise_job(
    folder: Path,
    samples: list[Sample],
    sides: tuple[int, int],
    model: ModelParams,
    train: TrainParams,
    val: int = 1,
) -> Job:
    """Prepare `samples` of folder/raw at `sides` (height, width) and set up a training on them.

    val: how many of them are validated as well.
    """
    prepared = folder / "prepared"
    prepared.mkdir()
    prepare = PrepareParams(height=sides[0], width=sides[1])
    splits = {"train": samples, "val": samples[:val], "test": []}
    prepare_data(
        splits, PrepareContext(folder / "raw", noise_scheme(), PICTURES, prepare), prepared
    )
    return set_up(open_dataset(prepared), model, LossParams(), train, folder / "state", {})

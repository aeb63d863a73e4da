"""How often an epoch shows each class, with train.sampler uniform and class_centroids.

Nothing is trained: the windows of some epochs are drawn as training draws them, and the pixels of
their masks are counted. Prints a table in Markdown.

Example: python -m bench.sampling --params recipes/camvid_regseg.yaml --epochs 10 --crop 96 128 --cell 48
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.augment.affine import sample_window
from segpipe.augment.draw import crop_sides, draw
from segpipe.dataset.reader import Dataset, Split, open_dataset
from segpipe.loading.centroids import Centroids
from segpipe.loading.order import epoch_specs
from segpipe.params.load import load_params
from segpipe.params.train import TrainParams
from segpipe.training.class_balance import class_centroids


def main() -> None:
    """Count and print."""
    options = _options()
    dataset = open_dataset(options.prepared)
    split, train = dataset.split("train"), _changed(load_params(options.params).train, options)
    centroids = class_centroids(train, dataset, split, shown=True)
    assert centroids is not None
    plain = _seen(dataset, split, train, None, options.epochs)
    picked = _seen(dataset, split, train, centroids, options.epochs)
    section, height, width = train.class_centroids, dataset.input.height, dataset.input.width
    crop = crop_sides(train.augment, height, width)
    print(
        f"{len(split)} samples of {height}x{width}, windows of {crop[0]}x{crop[1]}, share "
        f"{section.share:g}, cell {section.cell}, means of {options.epochs} epochs\n"
    )
    print(
        "| class | of the training pixels | centroids | of the pixels seen | windows that show it |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    pixels = dataset.splits["train"]["class_pixels"]
    for k, name in enumerate(dataset.scheme.classes):
        cells = (
            name,
            f"{pixels[name] / sum(pixels.values()):.2%}",
            f"{centroids.found_K[k]:,}",
            f"{plain[0][k]:.2%} → {picked[0][k]:.2%}",
            f"{plain[1][k]:.1%} → {picked[1][k]:.1%}",
        )
        print(f"| {' | '.join(cells)} |")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--crop", type=int, nargs=2, help="height and width in place of the file's")
    parser.add_argument("--cell", type=int, help="in place of the file's")
    return parser.parse_args()


def _changed(train: TrainParams, options: argparse.Namespace) -> TrainParams:
    augment, section = train.augment, train.class_centroids
    if options.crop:
        crop_height, crop_width = options.crop
        augment = augment.model_copy(update={"crop_height": crop_height, "crop_width": crop_width})
    if options.cell:
        section = section.model_copy(update={"cell": options.cell})
    return train.model_copy(
        update={"sampler": "class_centroids", "augment": augment, "class_centroids": section}
    )


def _seen(
    dataset: Dataset, split: Split, train: TrainParams, centroids: Centroids | None, epochs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the fraction of each class in the valid pixels of the windows, and of the windows with it."""
    classes, ratio = dataset.scheme.num_classes, dataset.truth_ratio
    crop = crop_sides(train.augment, dataset.input.height, dataset.input.width)
    pixels_K, windows_K, windows = np.zeros(classes, np.int64), np.zeros(classes, np.int64), 0
    for epoch in range(epochs):
        batches = epoch_specs(
            train.seed,
            epoch,
            len(split),
            train.batch_size,
            centroids=centroids,
            class_fraction=train.class_centroids.share,
        )
        for batch in batches:
            draws = draw(
                train.augment,
                train.seed,
                epoch,
                batch,
                image=(dataset.input.height, dataset.input.width),
                crop=crop,
                step=ratio,
            )
            masks_Bhw = torch.from_numpy(np.ascontiguousarray(split.masks_Nhw[batch["row"]]))
            blank_B1HW = torch.zeros(len(batch), 1, 1, 1).expand(
                -1, 1, dataset.input.height, dataset.input.width
            )
            _, cut_Bhw, _ = sample_window(blank_B1HW, masks_Bhw, draws, crop[0], crop[1])
            for cut_hw in cut_Bhw.numpy():
                counts_K = np.bincount(cut_hw.reshape(-1), minlength=256)[:classes]
                pixels_K += counts_K
                windows_K += counts_K > 0
            windows += len(batch)
    return pixels_K / pixels_K.sum(), windows_K / windows


if __name__ == "__main__":
    main()

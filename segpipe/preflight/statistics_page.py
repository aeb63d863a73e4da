"""The statistics page: what a data set is like, in pictures, in tables for `dvc plots`, and in words.

Shapes: K classes, C channels.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.dataset.reader import Dataset, Split, open_dataset
from segpipe.dataset.subset import evenly_spaced
from segpipe.labels.scheme import LabelScheme
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.raw.input_spec import picture_of
from segpipe.rendering.channels import channel_histograms
from segpipe.rendering.html.page import render_page
from segpipe.rendering.layout import Mask, Picture
from segpipe.rendering.png import write_png
from segpipe.rendering.samples import copies_sheet, sample_sheet
from segpipe.rendering.statistics import brightness_histogram, class_frequencies, image_sizes
from segpipe.runtime.atomic import write_csv, write_text

PAGE, HTML = "statistics.md", "statistics.html"
CLASSES, BRIGHTNESS = "classes.csv", "brightness.csv"
_BINS = 32
_SHOWN = 9

Counts = NDArray[np.int64]


def write_statistics(
    folder: Path, survey: Survey, prepared: Path, histogram_CB: Counts | None
) -> None:
    """Write the pictures, tables and pages (statistics.html and .md) of a prepared data set into `folder`.

    survey: the statistics of its samples. prepared: the folder of its arrays, from which samples are
    shown. histogram_CB: training pixels by channel and value (256 steps from 0 to 1).
    """
    dataset = open_dataset(prepared)
    by_split: dict[str, list[SampleStats]] = {}
    for stats in survey.kept:
        by_split.setdefault(stats.split, []).append(stats)
    told = {
        split: samples
        for split, samples in by_split.items()
        if any(f.train_pixels for f in samples)
    }
    pixels = {split: _pixels_K(samples, dataset.scheme) for split, samples in told.items()}
    holding = {split: _holding_K(samples, dataset.scheme) for split, samples in told.items()}
    images = {split: len(samples) for split, samples in told.items()}
    class_frequencies(dataset.scheme.classes, pixels, holding, images, folder / "classes.png")
    write_csv(folder / CLASSES, _class_rows(dataset.scheme, pixels, holding, images))
    sizes = {split: _sizes(samples) for split, samples in by_split.items()}
    image_sizes(sizes, folder / "sizes.png")
    brightness = {split: _brightness_B(samples) for split, samples in by_split.items()}
    brightness_histogram(brightness, folder / "brightness.png")
    write_csv(folder / BRIGHTNESS, _brightness_rows(brightness))
    if histogram_CB is not None:
        channels = dataset.input.files.channels
        channel_histograms(histogram_CB, channels, folder / "channels.png")
    write_png(folder / "samples.png", _samples(dataset))
    copies = _copies(dataset)
    if copies is not None:
        write_png(folder / "copies.png", copies)
    summary, sections = _summary(dataset, images), _sections(copies is not None)
    write_text(folder / PAGE, _page(summary, sections))
    page = render_page("html/statistics.html.jinja", summary=summary, sections=sections)
    write_text(folder / HTML, page)


def _pixels_K(samples: Sequence[SampleStats], scheme: LabelScheme) -> Counts:
    """Pixels by class at the masks' own resolution."""
    counts = Counter[int]()
    for stats in samples:
        counts.update(stats.train_pixels)
    return np.array([counts[k] for k in range(scheme.num_classes)], np.int64)


def _holding_K(samples: Sequence[SampleStats], scheme: LabelScheme) -> Counts:
    """Images by class that hold it."""
    counts = Counter(k for stats in samples for k, pixels in stats.train_pixels.items() if pixels)
    return np.array([counts[k] for k in range(scheme.num_classes)], np.int64)


def _sizes(samples: Sequence[SampleStats]) -> dict[tuple[int, int], int]:
    return Counter(stats.image_side for stats in samples if stats.image_side is not None)


def _brightness_B(samples: Sequence[SampleStats]) -> Counts:
    values = [stats.brightness for stats in samples if stats.brightness is not None]
    return np.histogram(values, bins=_BINS, range=(0, 1))[0].astype(np.int64)


def _class_rows(
    scheme: LabelScheme,
    pixels: Mapping[str, Counts],
    holding: Mapping[str, Counts],
    images: Mapping[str, int],
) -> list[dict[str, Any]]:
    """A row for each class and split; mean_pixels: of the images that hold the class."""
    rows = []
    for split, pixels_K in pixels.items():
        total = max(int(pixels_K.sum()), 1)
        for k, name in enumerate(scheme.classes):
            held = int(holding[split][k])
            rows.append(
                {
                    "class": name,
                    "split": split,
                    "pixels": int(pixels_K[k]),
                    "share": f"{pixels_K[k] / total:.6g}",
                    "images": held,
                    "images_share": f"{held / max(images[split], 1):.6g}",
                    "mean_pixels": f"{pixels_K[k] / held:.6g}" if held else "",
                }
            )
    return rows


def _brightness_rows(counts: Mapping[str, Counts]) -> list[dict[str, Any]]:
    return [
        {
            "from": f"{place / _BINS:.6g}",
            "to": f"{(place + 1) / _BINS:.6g}",
            "split": split,
            "images": int(count),
            "share": f"{count / max(int(counts_B.sum()), 1):.6g}",
        }
        for split, counts_B in counts.items()
        for place, count in enumerate(counts_B)
    ]


def _samples(dataset: Dataset) -> NDArray[np.uint8]:
    """Training samples, evenly spread over the split, with their masks."""
    split = dataset.split("train")
    originals = [number for number, row in enumerate(split.rows) if row.copy == 0]
    shown = [originals[place] for place in evenly_spaced(len(originals), _SHOWN)]
    samples = [
        (split.rows[n].sample.name, _picture(dataset, split, n), split.masks_Nhw[n]) for n in shown
    ]
    return sample_sheet(samples, dataset.scheme)


def _copies(dataset: Dataset) -> NDArray[np.uint8] | None:
    """Originals beside their first copies: before and after offline augmentation."""
    split = dataset.split("train")
    changed = [number for number, row in enumerate(split.rows) if row.copy > 0]
    if not changed:
        return None
    each = max(row.copy for row in split.rows)
    pairs: list[tuple[str, Picture, Mask, Picture, Mask]] = []
    for place in evenly_spaced(len(changed) // each, _SHOWN):
        # One copy after the other is shown, so that all kinds of changes come up.
        copy = place * each + len(pairs) % each
        number = changed[copy]
        original = number - split.rows[number].copy
        name = f"{split.rows[number].sample.name}, copy {split.rows[number].copy}"
        before = _picture(dataset, split, original), split.masks_Nhw[original]
        after = _picture(dataset, split, number), split.masks_Nhw[number]
        pairs.append((name, *before, *after))
    return copies_sheet(pairs, dataset.scheme)


def _picture(dataset: Dataset, split: Split, row: int) -> NDArray[np.uint8]:
    return picture_of(split.images_NTHWC[row, -1], dataset.input.files)


def _summary(dataset: Dataset, images: Mapping[str, int]) -> str:
    counts = ", ".join(f"{number} {split}" for split, number in images.items())
    return (
        f"{counts} images with truth; {dataset.scheme.num_classes} classes of the scheme "
        f"{dataset.scheme.name}; prepared at {dataset.input.height}x{dataset.input.width}."
    )


def _sections(copies: bool) -> list[tuple[str, str, str]]:
    """Return title, picture and note of each section."""
    return [
        (
            "Classes",
            "classes.png",
            f"The numbers: {CLASSES}. Pixels are counted at the masks' own resolution, void left out.",
        ),
        ("Samples", "samples.png", ""),
        *([("Before and after offline augmentation", "copies.png", "")] if copies else []),
        ("Sizes", "sizes.png", ""),
        ("Brightness", "brightness.png", f"The numbers: {BRIGHTNESS}."),
        ("Channels", "channels.png", "Training split, as prepared."),
    ]


def _page(summary: str, sections: Sequence[tuple[str, str, str]]) -> str:
    parts = ["# What the data is like", summary]
    for title, picture, note in sections:
        parts += [f"## {title}", f"![{Path(picture).stem}]({picture})", *([note] if note else [])]
    return "\n\n".join(parts) + "\n"

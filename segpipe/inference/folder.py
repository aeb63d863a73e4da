"""Prediction of every image of a folder."""

from collections.abc import Sequence
from pathlib import Path

from segpipe.console import progress
from segpipe.errors import DataError
from segpipe.inference.predictor import Predictor
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.storage.decode import read_image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
OVERLAYS = "overlays"


def find_images(images: Path) -> list[Path]:
    """Return the image files of a folder, or the one file named, sorted by name.

    Raises DataError when there is none, or two would get the same name.
    """
    if images.is_file():
        return [images]
    if not images.is_dir():
        raise DataError(f"{images}: there is no such file or folder")
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"{images}: holds no image ({', '.join(sorted(SUFFIXES))})")
    stems = [path.stem for path in found]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise DataError(
            f"{images}: {len(twice)} base names stand twice, so their predictions would overwrite "
            f"each other: {', '.join(twice[:10])}"
        )
    return found


def predict_folder(
    predictor: Predictor, images: Sequence[Path], target: Path, opacity: float
) -> list[str]:
    """Write target/<base name>.png (raw ids, size of the image) and target/overlays/ for each image.

    Returns a line for each image that could not be read; the others are done all the same.
    """
    unreadable = []
    for path in progress(images, "predict", "image"):
        try:
            image_HW3 = read_image(path)
        except DataError as error:
            unreadable.append(str(error))
            continue
        mask_HW = predictor.predict(image_HW3[None])
        write_png(target / f"{path.stem}.png", predictor.scheme.decode(mask_HW))
        painted = overlay(image_HW3, mask_HW, predictor.scheme, opacity)
        write_png(target / OVERLAYS / f"{path.stem}.png", painted)
    return unreadable

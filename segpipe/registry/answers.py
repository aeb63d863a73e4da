"""What a served model answers: an image as a base64 file or as nested numbers in, its label map out.

Shapes: T frames, H and W of the image, C channels; h, w of the truth.
"""

import base64
import binascii
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import SOFTWARE
from segpipe.labels.scheme import VOID
from segpipe.raw.input_spec import at_image_size
from segpipe.raw.pictures.deep import picture_header
from segpipe.raw.pictures.opener import most_pixels
from segpipe.raw.pictures.palette import palette_of_ids
from segpipe.raw.rasters.read import coarse_valid
from segpipe.rendering.png import png_bytes
from segpipe.runtime.errors import DataError, SegpipeError

# Of all images of a request together; a file is as large as its base64 text at most.
MOST_PIXELS = 50_000_000
_NUMBERS = frozenset("iuf")  # kinds of NumPy's types

Form = Literal["png", "array"]


def answers(predictor: Predictor, images: Sequence[Any], form: Form) -> list[dict[str, Any]]:
    """Return for each image its label map and what the ids in it mean.

    images: each a base64 text of an image file, or numbers as (H, W, C): 0 to 255 for pictures of 8 bits,
    else fractions 0 to 1 as the network takes them; of a clip a list of such texts, or (T, H, W, C).
    form: `png` for the ids as a base64 PNG, as `segpipe predict` writes them; `array` for (H, W) numbers.

    Raises DataError, which names the image by its place, when one cannot be read or labelled, or when all
    have more than SEGPIPE_MAX_PIXELS pixels together (50 million).
    """
    if form not in ("png", "array"):
        raise DataError(f"labels is {form!r}; it must be png or array")
    if not images:
        raise DataError("there is no image; send one or more")
    left, found = most_pixels(MOST_PIXELS), []
    for place, image in enumerate(images):
        try:
            frames_THWC, valid_HW = _frames(predictor, image, left)
            left -= math.prod(frames_THWC.shape[:3])
            found.append(_answer(predictor, frames_THWC, valid_HW, form))
        except (SegpipeError, ValueError) as error:
            raise DataError(f"image {place}: {error}") from error
    return found


def _frames(
    predictor: Predictor, image: Any, most: int
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return an image as the predictor takes it, and which pixels hold data, None for all of them."""
    if isinstance(image, (str, bytes)):
        image = [image]
    if isinstance(image, np.ndarray) and image.dtype.kind in "OU":
        image = image.tolist()
    if isinstance(image, list) and image and all(isinstance(one, str) for one in image):
        frames = _read_files(predictor, image, most)
        valid_HW = frames[-1][1]
        return _as_clip(predictor, np.stack([pixels for pixels, _ in frames])), valid_HW
    try:
        pixels = np.asarray(image)
    except ValueError:
        pixels = np.array(None)
    if pixels.dtype.kind not in _NUMBERS or pixels.ndim not in (3, 4) or 0 in pixels.shape:
        raise DataError(
            "is neither the base64 text of an image file nor numbers of height x width x channels"
        )
    _refuse_too_many(math.prod(pixels.shape[:-1]), most)
    return _as_clip(predictor, _scaled(predictor, pixels)), None


def _scaled(predictor: Predictor, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in the type that the network takes; DataError for those out of its range."""
    files = predictor.input.files
    of_bytes = files.dtype is np.uint8
    most = 255 if of_bytes else 1
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= most):
        raise DataError(f"holds numbers outside of 0 to {most}, which this model takes")
    if of_bytes and pixels.dtype.kind == "f" and (pixels % 1).any():
        raise DataError("holds fractions, where this model takes whole numbers of 0 to 255")
    return pixels.astype(np.uint8 if of_bytes else np.float16)


def _as_clip(predictor: Predictor, pixels: NDArray[Any]) -> NDArray[Any]:
    frames_THWC = pixels[None] if pixels.ndim == 3 else pixels
    if len(frames_THWC) > predictor.frames:
        raise DataError(
            f"has {len(frames_THWC)} frames, where this model takes {predictor.frames}; send each image "
            "in a row of its own"
        )
    return frames_THWC


def _read_files(
    predictor: Predictor, texts: list[str], most: int
) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Read base64 files. Errors do not name the temporary files in which they lie meanwhile."""
    if predictor.reader.folders:
        raise DataError(
            f"a {predictor.reader.unit} of this model is a folder of files; send its numbers"
        )
    with tempfile.TemporaryDirectory(prefix="segpipe-serve-") as folder:
        try:
            found = []
            for place, text in enumerate(texts):
                path = Path(folder, f"frame {place}")
                path.write_bytes(_decoded(text))
                header = picture_header(path)
                pixels = header.height * header.width
                _refuse_too_many(pixels, most)
                most -= pixels
                found.append(predictor.reader.read_image(path))
        except SegpipeError as error:
            raise DataError(str(error).replace(f"{folder}/", "")) from error
    sizes = {frame_HWC.shape for frame_HWC, _ in found}
    if len(sizes) > 1:
        raise DataError("its frames have different sizes")
    return found


def _decoded(text: str) -> bytes:
    head, comma, rest = text.partition(",")
    if comma and head.startswith("data:"):  # data:image/png;base64,... as browsers give it
        text = rest
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"is not valid base64: {error}") from error


def _refuse_too_many(pixels: int, most: int) -> None:
    if pixels > most:
        raise DataError(
            f"has {pixels:,} pixels, and {max(most, 0):,} are left of those that a request may have; send "
            "fewer or smaller images, or set SEGPIPE_MAX_PIXELS where the model is served"
        )


def _answer(
    predictor: Predictor,
    frames_THWC: NDArray[Any],
    valid_HW: NDArray[np.bool_] | None,
    form: Form,
) -> dict[str, Any]:
    files, scheme = predictor.input.files, predictor.scheme
    labels_hw = predictor.predict(frames_THWC)
    if valid_HW is not None:
        labels_hw[~coarse_valid(valid_HW, files.truth_ratio)] = VOID
    ids_HW = scheme.decode(at_image_size(labels_hw, files))
    label_map: Any = ids_HW.tolist()
    if form == "png":
        content = png_bytes(ids_HW, "the label map", SOFTWARE, palette_of_ids(scheme))
        label_map = base64.b64encode(content).decode()
    ids = map(int, scheme.raw_ids_K)
    return {
        "label_map": label_map,
        "height": ids_HW.shape[0],
        "width": ids_HW.shape[1],
        "classes": dict(zip(map(str, ids), scheme.classes, strict=True)),
        "void_id": int(scheme.void_id),
    }

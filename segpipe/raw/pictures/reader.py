"""Pictures, resized onto the canvas, predicted whole: 8 bits RGB, or scaled as the FileSpec says.

Shapes: T frames, H and W of the image, h and w of the truth.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import LabelScheme
from segpipe.raw.geometry import covered, fit_image, fit_labels, fit_scaled, place
from segpipe.raw.pictures.deep import read_scaled
from segpipe.raw.pictures.files import MaskFile, open_image, open_mask, read_image, read_mask
from segpipe.raw.pictures.opener import further_pages
from segpipe.raw.reader import Canvas, CanvasSample, RawSample, RawTruth, Reader
from segpipe.raw.sample import Sample, Side, Window
from segpipe.runtime.errors import DataError


class PictureReader(Reader):
    """Reads JPEG, PNG, BMP, TIFF and WebP pictures and masks; clips are several pictures."""

    unit = "image"
    suffixes = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
    file_type = "image"
    resizes = True

    def read(self, sample: Sample, raw: Path, scheme: LabelScheme) -> RawSample:
        """As `Reader.read`."""
        frames = [self._image(raw / path) for path in (*sample.frames, sample.image)]
        frames_THWC = np.stack(frames) if len(frames) > 1 else frames[0][None]
        truth = None
        if sample.mask is not None:
            mask_HW, unknown, painted = read_mask(raw / sample.mask, scheme)
            truth = RawTruth(mask_HW, unknown, {}, painted)
        return RawSample(frames_THWC, np.ones(frames_THWC.shape[1:3], np.bool_), truth)

    def read_onto_canvas(
        self, sample: Sample, raw: Path, scheme: LabelScheme, canvas: Canvas
    ) -> CanvasSample:
        """Read the pictures of a sample, resizing each before it is turned into numbers."""
        seen, frames = CanvasSample(), []
        for path in (*sample.frames, sample.image):
            try:
                frames.append(self._frame(seen, raw, path, canvas))
            except DataError as error:
                seen.unreadable.append(str(error))
        if frames and not seen.unreadable:
            seen.frames_THWC = np.stack(frames) if len(frames) > 1 else frames[0][None]
        if sample.mask is not None:
            try:
                mask = open_mask(raw / sample.mask, scheme)
            except DataError as error:
                seen.unreadable.append(str(error))
            else:
                _add_pages(seen, sample.mask, mask.further_pages)
                _add_mask(seen, mask, scheme, canvas)
        return seen

    def read_image(
        self, path: Path, window: Window | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """As `Reader.read_image`; a picture is always read whole."""
        image_HWC = self._image(path)
        return image_HWC, np.ones(image_HWC.shape[:2], np.bool_)

    def _image(self, path: Path) -> NDArray[Any]:
        scaling = self.files.scaling
        return read_image(path) if scaling is None else read_scaled(path, scaling)[0]

    def _frame(self, seen: CanvasSample, raw: Path, path: str, canvas: Canvas) -> NDArray[Any]:
        """Return a picture on its canvas, and note in `seen` what was found."""
        sides = canvas.height, canvas.width
        frame_HWC: NDArray[Any]
        if self.files.scaling is None:
            opened = open_image(raw / path)
            seen.image_mode, pages = opened.mode, opened.further_pages
            seen.image_side = opened.picture.height, opened.picture.width
            frame_HWC = fit_image(opened.picture, *sides, canvas.fit)
        else:
            image_HWC, header = read_scaled(raw / path, self.files.scaling)
            seen.image_mode, pages = str(header), header.further_pages
            seen.image_side = image_HWC.shape[0], image_HWC.shape[1]
            frame_HWC = fit_scaled(image_HWC, *sides, canvas.fit)
        _add_pages(seen, path, pages)
        seen.area = covered(*seen.image_side, *sides, canvas.fit)
        return frame_HWC

    def left_out(self, path: Path) -> str | None:
        """As `Reader.left_out`: further pages or frames; of an unreadable file, None."""
        try:
            return _pages(further_pages(path))
        except DataError:
            return None

    def network_size(self, height: int, width: int, canvas: Canvas) -> Side:
        """As `Reader.network_size`: as the canvas and its fit say."""
        placed = place(height, width, canvas.height, canvas.width, canvas.fit)
        return placed.height, placed.width


def _pages(number: int) -> str | None:
    """Say how many pages follow the first; None where there are none."""
    return f"{number} further page{'s' if number > 1 else ''}" if number else None


def _add_pages(seen: CanvasSample, path: str, number: int) -> None:
    if words := _pages(number):
        seen.left_out.append(f"{path}: {words}")


def _add_mask(seen: CanvasSample, mask: MaskFile, scheme: LabelScheme, canvas: Canvas) -> None:
    picture = mask.picture
    seen.mask_side, seen.mask_mode = (picture.height, picture.width), mask.mode
    seen.mask_lossy = mask.lossy
    seen.painted, seen.unknown = mask.painted, mask.unknown(scheme)
    seen.values, seen.train_pixels = mask.values, mask.train_pixels(scheme)
    if not seen.unknown:
        seen.mask_hw = fit_labels(
            picture,
            lambda resized: mask.encoded(scheme, resized),
            canvas.height,
            canvas.width,
            canvas.fit,
        )

"""Films through PyAV (FFmpeg): read frame by frame, upright, and written as MP4.

Shapes: H and W of a frame as it is shown.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.errors import DataError, ParameterError

FILM_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
# FFmpeg goes by the content: a list of files of such a name would be followed.
_CONTAINERS = "mov,mp4,matroska,webm,avi"
_RATE = Fraction(25)  # frames a second, where a file says nothing
# MPEG-4 part 2 counts time in steps of 1/65535 seconds at the finest.
_FINEST = {"mpeg4": 65535}
_CAMERA = "/dev/video{}"
_ENCODERS = ("libx264", "libopenh264", "mpeg4")
_QUALITY = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "3"}}
_TRIALS = 32  # to find the next packet behind damage
_DURATION = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")
_SLACK = Fraction(1, 4)  # seconds by which a film may end early
_BT709, _BROADCAST = 1, 1  # AVCOL_SPC_BT709 and AVCOL_RANGE_MPEG of FFmpeg


def require_av() -> Any:
    """Return the module av; ParameterError names the extra to install where it is missing."""
    try:
        import av
    except ImportError as error:
        raise ParameterError(
            "films and cameras are read with PyAV, which is not installed; run: pip install 'segpipe[video]'"
        ) from error
    return av


@dataclass(frozen=True)
class Frame:
    """number: from 0. seconds: when it is shown, from the first frame on."""

    picture_HW3: NDArray[np.uint8]
    number: int
    seconds: Fraction


class FilmReader:
    """The first video stream of a film, or of a camera, decoded as `frames` are asked for.

    name: for messages. rate: frames a second, the mean. total: how many frames the file says that it
    has, 0 where it does not say. fault: what of it could not be read, in words, once `frames` has ended.
    """

    def __init__(self, source: str, name: str, form: str | None = None) -> None:
        """form: FFmpeg's name of a device's kind; None for a file. Raises DataError, ParameterError."""
        av = require_av()
        self.name, self.fault, self._errors = name, "", av.error.FFmpegError
        try:
            options = {} if form else {"format_whitelist": _CONTAINERS}
            self._container = av.open(source, format=form, options=options)
        except (self._errors, OSError) as error:
            raise DataError(f"{name}: cannot be read as a film: {_cause(error)}") from error
        videos = self._container.streams.video
        if not videos:
            self._container.close()
            raise DataError(f"{name}: has no pictures, sound alone")
        self._stream = videos[0]
        self._stream.thread_type = "AUTO"
        self.rate = Fraction(self._stream.average_rate or _RATE)
        self.total = int(self._stream.frames)
        self.time_base = Fraction(self._stream.time_base or 1 / self.rate)
        self.aspect = self._stream.codec_context.sample_aspect_ratio

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, turned as the film's display matrix says (phones store films sideways).

        All have the size of the first one. What is damaged is passed over, and `fault` says it.
        """
        damaged = number = 0
        began: Fraction | None = None
        last = Fraction(-1)
        size: tuple[int, int] | None = None
        with self._container:
            for packet in self._packets():
                try:
                    decoded = packet.decode()
                except self._errors:
                    damaged += 1
                    continue
                for one in decoded:
                    size = size or (one.width, one.height)
                    stored_HW3 = one.to_ndarray(format="rgb24", width=size[0], height=size[1])
                    picture_HW3 = np.ascontiguousarray(
                        np.rot90(stored_HW3, round(one.rotation / 90))
                    )
                    at = None if one.pts is None else one.pts * self.time_base
                    began = at if began is None else began
                    seconds = last + 1 / self.rate if number else Fraction(0)
                    if at is not None and began is not None and at - began > last:
                        seconds = at - began
                    damaged += bool(one.is_corrupt)
                    yield Frame(picture_HW3, number, seconds)
                    number, last = number + 1, seconds
        self._note(number, damaged, last + 1 / self.rate)

    def _packets(self) -> Iterator[Any]:
        """Yield the packets; behind damage the container is searched for the next one."""
        failed = 0
        while failed < _TRIALS:
            try:
                for packet in self._container.demux(self._stream):
                    failed = 0
                    yield packet
                return
            except self._errors as error:
                failed += 1
                self.fault = f"a part is damaged ({_cause(error)})"
        yield from self._stream.decode(None)

    def _note(self, number: int, damaged: int, end: Fraction) -> None:
        """Set `fault`; what the file says of its length shows what is missing without an error."""
        if number == 0:
            raise DataError(f"{self.name}: holds no frame that can be read; it may be cut off")
        faults = [self.fault] if self.fault else []
        if damaged:
            faults.append(f"{damaged} frames are damaged")
        length = self._length()
        if number < self.total:
            faults.append(f"{number} of {self.total} frames could be read")
        elif length and end < length - max(_SLACK, 2 / self.rate):
            faults.append(f"{float(end):.1f} of {float(length):.1f} seconds could be read")
        self.fault = ", ".join(faults)

    def _length(self) -> Fraction | None:
        """Return the seconds of the pictures that a file announces; of Matroska, which has tags for it."""
        if found := _DURATION.fullmatch(self._stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = map(Fraction, found.groups())
            return 3600 * hours + 60 * minutes + seconds
        return None


def camera_device(number: int) -> Path:
    """Return the device of a camera, as Video4Linux names it; ParameterError where there is none."""
    device = Path(_CAMERA.format(number))
    if not device.exists():
        here = sorted(map(str, device.parent.glob(_CAMERA.format("*").rpartition("/")[2])))
        others = (
            f"there are {', '.join(here)}" if here else "this machine has none that Linux knows"
        )
        raise ParameterError(f"webcam:{number}: there is no camera {device}; {others}")
    return device


def open_camera(number: int) -> FilmReader:
    """Return what reads a camera until it is left; raises as `camera_device` and `FilmReader` do."""
    return FilmReader(str(camera_device(number)), f"webcam:{number}", "v4l2")


class FilmWriter:
    """Writes frames as an MP4 film: H.264, or what of MPEG-4 this PyAV encodes; without sound.

    path: of the new file, of any suffix. like: whose rate, times and shape of pixels it gets.
    comment: stands in the file.
    """

    def __init__(self, path: Path, like: FilmReader, comment: str) -> None:
        self._av, self._path, self._like = require_av(), path, like
        self._encoder = _encoder(self._av)
        self._container = self._av.open(str(path), "w", format="mp4")
        self._container.metadata["comment"] = comment
        self._stream: Any = None
        self._last = -1
        fine = like.time_base.denominator <= _FINEST.get(self._encoder, 1 << 31)
        self._time_base = like.time_base if fine else Fraction(1, 60000)

    def add(self, picture_HW3: NDArray[np.uint8], seconds: Fraction) -> None:
        """Append a frame that is shown `seconds` after the first one."""
        if self._stream is None:
            self._stream = self._begin(*picture_HW3.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(picture_HW3, format="rgb24").reformat(
            format=self._stream.pix_fmt, dst_colorspace=_BT709
        )
        self._last = max(self._last + 1, round(seconds / self._time_base))
        frame.pts, frame.time_base = self._last, self._time_base
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> "FilmWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what the encoder holds back, and the end of the file; after an error, close it alone."""
        if kind is not None:
            with contextlib.suppress(self._av.error.FFmpegError, OSError):
                self._container.close()
            return
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _begin(self, height: int, width: int) -> Any:
        options = _QUALITY.get(self._encoder, {})
        stream = self._container.add_stream(self._encoder, rate=self._like.rate, options=options)
        stream.height, stream.width = height, width
        # Colours of half the resolution, which every player shows, need even sides.
        even = height % 2 == width % 2 == 0
        stream.pix_fmt = "yuv420p" if even or self._encoder != "libx264" else "yuv444p"
        context = stream.codec_context
        context.time_base = self._time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _BROADCAST
        if self._like.aspect:
            context.sample_aspect_ratio = self._like.aspect
        return stream


def _encoder(av: Any) -> str:
    for name in _ENCODERS:
        with contextlib.suppress(av.codec.codec.UnknownCodecError):
            av.codec.Codec(name, "w")
            return name
    raise ParameterError(
        f"this PyAV encodes none of {', '.join(_ENCODERS)}; install it anew: pip install --force-reinstall av"
    )


def film_comment(path: Path) -> str | None:
    """Return the comment in a film's metadata; None without one, for what is no film, and without PyAV."""
    try:
        av = require_av()
    except ParameterError:
        return None
    try:
        with av.open(str(path), options={"format_whitelist": _CONTAINERS}) as container:
            comment: str | None = container.metadata.get("comment")
            return comment
    except (av.error.FFmpegError, OSError):
        return None


def _cause(error: Exception) -> str:
    """Return FFmpeg's own words, without the number and the path that PyAV puts around them."""
    return str(getattr(error, "strerror", None) or error)

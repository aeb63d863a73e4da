"""Files of `segpipe export`: ONNX (FILE.onnx) and OpenVINO (FILE.xml with FILE.bin beside it).

Each holds the description of its bundle as JSON and a seal, the SHA-256 of its content, by which a
damaged file, or one of another program, is refused before its library reads it. The seal protects
against accidents, not against somebody who makes a new one.

It imports no torch. Shapes: B batch, T frames, H and W of the image, C channels, K classes.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segpipe.bundle_format import Description, parsed_description
from segpipe.runtime.errors import BundleError, ParameterError
from segpipe.runtime.small_files import parse_json

ONNX, OPENVINO = ".onnx", ".xml"
# Keys of ONNX's metadata_props, and of OpenVINO's rt_info below `RT_INFO`.
DESCRIPTION_KEY, SEAL_KEY, RT_INFO = "segpipe_description", "segpipe_seal", "segpipe"
UNSEALED = "segpipe-sha256:" + "0" * 64
_SEAL = re.compile(rb"segpipe-sha256:([0-9a-f]{64})")


class Session(Protocol):
    """A file that is ready to run.

    metadata: text by key. shape: of the input, (B, H, W, C) or (B, T, H, W, C), None where any length
    is taken.
    """

    metadata: Mapping[str, str]
    shape: tuple[int | None, ...]

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return logits, (B, K, H, W)."""


class OnnxSession:
    """onnxruntime on the CPU."""

    def __init__(self, content: bytes, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what is fatal; errors are raised
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        [given] = self._session.get_inputs()
        self._name = given.name
        self.shape = tuple(side if isinstance(side, int) else None for side in given.shape)

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """As `Session.run`."""
        logits: NDArray[np.float32] = self._session.run(None, {self._name: images})[0]
        return logits


class OpenvinoSession:
    """OpenVINO on the CPU, in float32: by itself it takes bfloat16 where the processor has units."""

    def __init__(self, content: bytes, weights: bytes, threads: int) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(model=content, weights=weights)
        self.metadata: Mapping[str, str] = {
            key: model.get_rt_info([RT_INFO, key]).astype(str)
            for key in (DESCRIPTION_KEY, SEAL_KEY)
            if model.has_rt_info([RT_INFO, key])
        }
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        compiled = core.compile_model(model, "CPU", options)
        self._request = compiled.create_infer_request()
        sides = model.input(0).partial_shape
        self.shape = tuple(None if side.is_dynamic else side.get_length() for side in sides)

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """As `Session.run`."""
        # Copied: the request's memory is written again at the next call.
        return np.array(self._request.infer([images])[0], np.float32)


def is_exported(path: Path) -> bool:
    """Return whether a path names a file of `segpipe export`, and no folder of a bundle."""
    return path.suffix.lower() in (ONNX, OPENVINO) and not path.is_dir()


def holds_seal(path: Path) -> bool:
    """Return whether a file was written by `segpipe export`, as it is now or before a change."""
    return len(_SEAL.findall(path.read_bytes())) == 1


def sealed(content: bytes, weights: bytes = b"") -> bytes:
    """Return `content`, which holds UNSEALED once, with the SHA-256 of it and `weights` in its place."""
    assert content.count(UNSEALED.encode()) == 1
    return content.replace(UNSEALED.encode(), b"segpipe-sha256:" + _digest(content, weights))


def open_exported(path: Path, threads: int = 1) -> tuple[Session, Description]:
    """Return a file that is ready to run, and the description of its bundle.

    Raises BundleError when there is no such file, it does not come from `segpipe export`, was changed
    since, or cannot be loaded; ParameterError when its library is not installed.
    """
    is_onnx = path.suffix.lower() == ONNX
    try:
        content = path.read_bytes()
        weights = b"" if is_onnx else path.with_suffix(".bin").read_bytes()
    except OSError as error:
        raise BundleError(f"{error.filename}: cannot be read: {error.strerror}") from error
    _refuse_unsealed(path, content, weights)
    try:
        session: Session = (
            OnnxSession(content, threads) if is_onnx else OpenvinoSession(content, weights, threads)
        )
    except ImportError as error:
        raise ParameterError(
            f"{path}: needs {error.name}, which is not installed: pip install 'segpipe[export]'"
        ) from error
    except Exception as error:  # what the libraries raise derives from nothing narrower
        raise BundleError(f"{path}: cannot be loaded by the library here: {error}") from error
    try:
        about = parse_json(session.metadata[DESCRIPTION_KEY])
    except (KeyError, ValueError) as error:
        raise BundleError(f"{path}: its description cannot be read: {error!r}") from error
    return session, parsed_description(path, about)


def _refuse_unsealed(path: Path, content: bytes, weights: bytes) -> None:
    seals = _SEAL.findall(content)
    if len(seals) != 1:
        raise BundleError(
            f"{path}: does not come from `segpipe export`, so its labels and its input are not known; "
            "export the bundle of the model"
        )
    if seals[0] != _digest(content, weights):
        beside = "" if path.suffix.lower() == ONNX else f" or {path.with_suffix('.bin').name}"
        raise BundleError(
            f"{path}{beside}: was damaged or changed since `segpipe export` wrote it; copy it again, "
            "or export the model again"
        )


def _digest(content: bytes, weights: bytes) -> bytes:
    found = hashlib.sha256(_SEAL.sub(UNSEALED.encode(), content))
    found.update(weights)
    return found.hexdigest().encode()

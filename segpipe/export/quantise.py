"""8-bit integers in place of 32-bit floats, by onnxruntime's static quantisation.

Shapes: B batch, T frames, H and W of the image, C channels.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from segpipe.bundle_format import Description
from segpipe.export.onnx_file import INPUT
from segpipe.export.quiet import library_errors
from segpipe.inference.exported import exported_bundle
from segpipe.inference.exported_file import OnnxSession
from segpipe.inference.predictor import Predictor
from segpipe.raw.sample import Sample

# The layers that take the time. All else stays in float32.
_LAYERS = ["Conv", "ConvTranspose", "MatMul", "Gemm"]


class _Recorder(OnnxSession):
    """Keeps the images that the network is shown."""

    def __init__(self, content: bytes, threads: int) -> None:
        super().__init__(content, threads)
        self.seen: list[NDArray[Any]] = []

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        self.seen.append(images)
        return super().run(images)


class _Images(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: Sequence[NDArray[Any]]) -> None:
        self._left = iter(images)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        image = next(self._left, None)
        return None if image is None else {INPUT: image}


def quantised(content: bytes, about: Description, samples: Sequence[Sample], raw: Path) -> bytes:
    """Return an ONNX network with convolutions and matrix products in 8-bit integers.

    samples: raw images, shown to the network as in a prediction; the least and largest values that
    they give in each place become the ends of its 256 steps. Weights are scaled by channel, to 7 bits:
    processors without VNNI add two products in 16 bits, which 8 would overflow
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).

    Raises ExportError where the library cannot.
    """
    images = _seen(content, about, samples, raw)
    what = f"the model {about.model.name} cannot be quantised"
    with library_errors(what), tempfile.TemporaryDirectory() as folder:
        given, prepared, made = (Path(folder, f"{name}.onnx") for name in "abc")
        given.write_bytes(content)
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(made),
            _Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_LAYERS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return made.read_bytes()


def _seen(
    content: bytes, about: Description, samples: Sequence[Sample], raw: Path
) -> list[NDArray[Any]]:
    """Return what the network is shown of raw samples, each (B, H, W, C) or (B, T, H, W, C)."""
    recorder = _Recorder(content, torch.get_num_threads())
    predictor = Predictor(exported_bundle(recorder, about, "the network"), torch.device("cpu"))
    for sample in samples:
        predictor.predict(predictor.reader.read(sample, raw, about.scheme).frames_THWC)
    return recorder.seen

"""The content of exported files: a network with the description of its bundle and a seal."""

import json
import tempfile
from pathlib import Path

import onnx

from segpipe.bundle_format import Description, description_content
from segpipe.export.onnx_file import INPUT, OUTPUT
from segpipe.export.quiet import library_errors
from segpipe.inference.exported_file import (
    DESCRIPTION_KEY,
    RT_INFO,
    SEAL_KEY,
    UNSEALED,
    sealed,
)


def onnx_content(network: bytes, about: Description) -> bytes:
    """Return the content of FILE.onnx."""
    model = onnx.load_from_string(network)
    onnx.helper.set_model_props(
        model, {**_texts(about), "segpipe_input": _input(about), "segpipe_output": _output(about)}
    )
    return sealed(model.SerializeToString())


def openvino_content(network: bytes, about: Description) -> tuple[bytes, bytes]:
    """Return the content of FILE.xml and of FILE.bin; ExportError where OpenVINO cannot read it."""
    import openvino

    what = f"the model {about.model.name} cannot be converted to OpenVINO"
    with library_errors(what), tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "network.onnx"), Path(folder, "network.xml")
        given.write_bytes(network)
        model = openvino.Core().read_model(given)
        for key, text in _texts(about).items():
            model.set_rt_info(text, [RT_INFO, key])
        # By itself it would halve the precision of the weights.
        openvino.save_model(model, made, compress_to_fp16=False)
        weights = made.with_suffix(".bin").read_bytes()
        return sealed(made.read_bytes(), weights), weights


def _texts(about: Description) -> dict[str, str]:
    content = json.dumps(description_content(about), allow_nan=False)
    return {DESCRIPTION_KEY: content, SEAL_KEY: UNSEALED}


def _input(about: Description) -> str:
    files = about.input.files
    values = "uint8" if files.dtype.__name__ == "uint8" else "float32 in 0..1"
    return (
        f"{INPUT}: (B, H, W, C), of clips (B, T, H, W, C); {values}; C: {', '.join(files.channels)}"
    )


def _output(about: Description) -> str:
    classes = about.scheme.classes
    if about.threshold is not None:
        return f"{OUTPUT}: (B, 1, H, W); {classes[1]} where its sigmoid is above {about.threshold}"
    return f"{OUTPUT}: (B, K, H, W); the class of the largest one; K: {', '.join(classes)}"

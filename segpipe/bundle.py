"""The model file: weights and everything that is needed to use them.

A bundle is a folder with model.safetensors (the best weights), last.safetensors (those of the last
step) and model.json: architecture and options, label scheme with colours, normalisation, input
size, threshold, training parameters, data fingerprint, code revision, scores.

Shapes: B batch, K classes; K = 1 where one logit scores the second class against the first.
"""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segpipe.bundle_format import DESCRIPTION, FORMAT, read_description
from segpipe.labels.scheme import LabelScheme
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.params.chosen import chosen
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.atomic import write_json
from segpipe.runtime.errors import BundleError

Precision = Literal["auto", "fp32", "bf16"]
BEST, LAST = "model.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Bundle:
    """A bundle read from disk.

    precision: as asked for in training; auto takes what the hardware has. lineage: training
    parameters, data, code and scores, as recorded. threshold: of the probability, where the network
    has one logit a pixel; None where it has one for each class.
    """

    model: Network
    model_params: ModelParams
    scheme: LabelScheme
    input: InputSpec
    precision: Precision
    lineage: dict[str, Any]
    threshold: float | None = None


def predicted_ids(logits_BKHW: Tensor, threshold: float | None) -> Tensor:
    """Return the train ids, (B, H, W) int64, that logits stand for.

    threshold: None for the class with the largest logit; else train id 1 where the sigmoid of the
    one logit is above it, and 0 elsewhere.
    """
    if threshold is None:
        return logits_BKHW.argmax(1)
    return (logits_BKHW[:, 0].float().sigmoid() > threshold).long()


def save_bundle(
    folder: Path,
    best: dict[str, Tensor],
    last: dict[str, Tensor],
    model_params: ModelParams,
    scheme: LabelScheme,
    spec: InputSpec,
    precision: Precision,
    lineage: dict[str, Any],
    threshold: float | None = None,
) -> None:
    """Write a bundle into the existing `folder`.

    best, last: weights of the best validation and of the last step. The rest as in Bundle.
    """
    write_weights(best, folder / BEST)
    write_weights(last, folder / LAST)
    write_json(
        folder / DESCRIPTION,
        {
            "format": FORMAT,
            "model": chosen(model_params),
            "scheme": scheme.to_json(),
            "input": spec.to_json(),
            "precision": precision,
            "threshold": threshold,
            "lineage": lineage,
        },
    )


def load_bundle(folder: Path, weights: str = BEST) -> Bundle:
    """Read a bundle and build its network, in eval mode on the CPU.

    Raises BundleError when a file is missing or damaged, or the weights are of another network.
    """
    about = read_description(folder)
    try:
        model_params = ModelParams.model_validate(about["model"])
        scheme = LabelScheme.from_json(about["scheme"])
        spec = InputSpec.from_json(about["input"])
        precision, lineage = about["precision"], dict(about["lineage"])
        threshold = None if about["threshold"] is None else float(about["threshold"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"{folder / DESCRIPTION}: is incomplete or damaged: {error}") from error
    outputs = scheme.num_classes if threshold is None else 1
    model = build_model(model_params, len(spec.mean), outputs, spec.files.truth_ratio)
    try:
        model.load_state_dict(read_weights(folder / weights))
    except RuntimeError as error:
        raise BundleError(
            f"{folder / weights}: holds the weights of another network than {DESCRIPTION} "
            f"describes: {error}"
        ) from error
    return Bundle(model.eval(), model_params, scheme, spec, precision, lineage, threshold)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; BundleError when it is missing, incomplete or corrupt."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: there is no such file; train a model with `dvc repro`"
        ) from error
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: incomplete or corrupt safetensors file: {error}") from error


def write_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file; OSError, with the system's number, when that fails."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        # The library has an error of its own for a full disk, with the number in its text.
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's weights on the CPU in plain memory order, as safetensors stores them."""
    return {name: plain(tensor) for name, tensor in model.state_dict().items()}


def plain(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor on the CPU in plain memory order, without its gradient."""
    return tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)

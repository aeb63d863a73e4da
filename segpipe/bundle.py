"""The model file: weights and everything that is needed to use them.

A bundle is a folder with model.safetensors (the best weights), last.safetensors (those of the last
epoch) and model.json: architecture and options, label scheme with colours, normalisation, input
size, training parameters, data fingerprint, code revision, scores.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segpipe.atomic import write_json
from segpipe.errors import BundleError
from segpipe.labels.scheme import LabelScheme
from segpipe.models.build import build_model
from segpipe.models.network import Network
from segpipe.params.schema import ModelParams
from segpipe.storage.geometry import Fit

FORMAT = 1
DESCRIPTION, BEST, LAST = "model.json", "model.safetensors", "last.safetensors"


@dataclass(frozen=True)
class InputForm:
    """What a network is fed.

    height, width: of the canvas, in pixels. fit: how images come onto it. mean, std: by channel,
    of images in 0..1. precision: as asked for in training; auto takes what the hardware has.
    """

    height: int
    width: int
    fit: Fit
    mean: list[float]
    std: list[float]
    precision: Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Bundle:
    """A bundle read from disk. lineage: training parameters, data, code and scores, as recorded."""

    model: Network
    model_params: ModelParams
    scheme: LabelScheme
    form: InputForm
    lineage: dict[str, Any]


def save_bundle(
    folder: Path,
    best: dict[str, Tensor],
    last: dict[str, Tensor],
    model_params: ModelParams,
    scheme: LabelScheme,
    form: InputForm,
    lineage: dict[str, Any],
) -> None:
    """Write a bundle into the existing `folder`."""
    save_file(best, folder / BEST)
    save_file(last, folder / LAST)
    write_json(
        folder / DESCRIPTION,
        {
            "format": FORMAT,
            "model": model_params.model_dump(mode="json"),
            "scheme": scheme.to_json(),
            "input": asdict(form),
            "lineage": lineage,
        },
    )


def load_bundle(folder: Path, weights: str = BEST) -> Bundle:
    """Read a bundle and build its network, in eval mode on the CPU.

    Raises BundleError when a file is missing or damaged, or the weights are of another network.
    """
    about = _description(folder)
    try:
        model_params = ModelParams.model_validate(about["model"])
        scheme = LabelScheme.from_json(about["scheme"])
        form = InputForm(**about["input"])
        lineage = dict(about["lineage"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"{folder / DESCRIPTION}: is not whole: {error}") from error
    model = build_model(model_params, len(form.mean), scheme.num_classes)
    try:
        model.load_state_dict(read_weights(folder / weights))
    except RuntimeError as error:
        raise BundleError(
            f"{folder / weights}: holds the weights of another network than {DESCRIPTION} "
            f"describes: {error}"
        ) from error
    return Bundle(model.eval(), model_params, scheme, form, lineage)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; BundleError when it is missing, cut off or none."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: there is no such file; train a model with `dvc repro`"
        ) from error
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: is no whole safetensors file: {error}") from error


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's weights on the CPU in plain memory order, as safetensors stores them."""
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
    }


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: there is no such file; train a model with `dvc repro`, or name the folder of one"
        ) from error
    except (ValueError, OSError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    if about.get("format") != FORMAT:
        raise BundleError(
            f"{path}: is of format {about.get('format')}, this segpipe reads {FORMAT}"
        )
    return about

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
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segpipe.bundle_format import (
    BEST,
    DESCRIPTION,
    LAST,
    Description,
    Precision,
    file_sha256,
    read_description,
    write_description,
)
from segpipe.labels.scheme import LabelScheme
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.errors import BundleError, ParameterError, listing


@dataclass(frozen=True)
class Bundle:
    """A bundle read from disk.

    precision: as asked for in training; auto takes what the hardware has. lineage: training
    parameters, data, code and scores, as recorded. threshold, temperature: as in Description.
    """

    model: Network
    model_params: ModelParams
    scheme: LabelScheme
    input: InputSpec
    precision: Precision
    lineage: dict[str, Any]
    threshold: float | None = None
    temperature: float = 1.0

    @property
    def fit_images(self) -> frozenset[str]:
        """The image files of the validation split that the temperature was fitted on."""
        return frozenset(self.lineage.get("temperature", {}).get("images", ()))


def predicted_ids(logits_BKHW: Tensor, threshold: float | None) -> Tensor:
    """Return the train ids, (B, H, W) int64, that logits stand for.

    threshold: None for the class with the largest logit; else train id 1 where the sigmoid of the
    one logit is above it, and 0 elsewhere.
    """
    if threshold is None:
        # As argmax, which takes up to eight times as long on CPUs.
        return logits_BKHW.max(1).indices
    return (logits_BKHW[:, 0].float().sigmoid() > threshold).long()


def save_bundle(
    folder: Path,
    best: dict[str, Tensor],
    last: dict[str, Tensor] | None,
    model_params: ModelParams,
    scheme: LabelScheme,
    spec: InputSpec,
    precision: Precision,
    lineage: dict[str, Any],
    threshold: float | None = None,
) -> None:
    """Write a bundle into the existing `folder`.

    best, last: weights of the best validation and of the last step; None: the bundle has those of one
    step alone, which are `best`. The rest as in Bundle.
    """
    files = {BEST: best} | ({} if last is None else {LAST: last})
    for name, weights in files.items():
        write_weights(weights, folder / name)
    about = Description(
        model=model_params,
        scheme=scheme,
        input=spec,
        precision=precision,
        threshold=threshold,
        sha256={name: file_sha256(folder / name) for name in files},
        lineage=lineage,
    )
    write_description(folder, about)


def load_bundle(folder: Path, weights: str = BEST) -> Bundle:
    """Read a bundle and build its network, in eval mode on the CPU.

    Raises BundleError when a file is missing or damaged, the weights are not those that were saved
    with the description (of older formats: not of the network that it describes), or a value of them
    is not finite.
    """
    about = read_description(folder)
    tensors = read_weights(folder / weights, about.sha256.get(weights))
    spec, scheme = about.input, about.scheme
    outputs = scheme.num_classes if about.threshold is None else 1
    try:
        model = build_model(about.model, len(spec.mean), outputs, spec.files.truth_ratio)
    except ParameterError as error:
        raise BundleError(
            f"{folder / DESCRIPTION}: its network cannot be built here: {error}"
        ) from error
    if faults := _misfits(model.state_dict(), tensors):
        raise BundleError(
            f"{folder / weights}: does not hold the weights of the network that {DESCRIPTION} "
            f"describes; copy both files of the model again, or train it:\n{listing(faults)}"
        )
    model.load_state_dict(tensors)
    return Bundle(
        model=model.eval(),
        model_params=about.model,
        scheme=scheme,
        input=spec,
        precision=about.precision,
        lineage=about.lineage,
        threshold=about.threshold,
        temperature=about.temperature,
    )


def _misfits(own: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    """Return a line for each tensor that is missing, unknown, of another form or not finite."""
    faults = [f"{name} is missing" for name in own if name not in given]
    faults += [f"{name} is not a tensor of the network" for name in given if name not in own]
    for name in own.keys() & given.keys():
        wanted, found = _form(own[name]), _form(given[name])
        if wanted != found:
            faults.append(f"{name} is {found}; it must be {wanted}")
        elif not all_finite(given[name]):
            faults.append(f"{name} holds values that are not finite (NaN or infinite)")
    return sorted(faults)


def _form(tensor: Tensor) -> str:
    sides = " x ".join(map(str, tensor.shape)) or "one number"
    return f"{sides} of {str(tensor.dtype).removeprefix('torch.')}"


def all_finite(values: Tensor) -> bool:
    """Return whether no value is NaN or infinite; whole numbers never are.

    NaN passes into both extremes, which are found in one pass without a mask in memory.
    """
    if values.ndim == 4:  # in the order of memory, which is forty times as fast
        values = values.movedim(1, -1) if values.stride(1) == 1 else values
    if not values.is_floating_point() or not values.numel():
        return True
    return bool(torch.stack(torch.aminmax(values)).isfinite().all())


def read_weights(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a safetensors file.

    sha256: of the file that is meant; None where that is not known.
    Raises BundleError when the file is missing, incomplete, corrupt, or another one.
    """
    if not path.is_file():  # a pipe would be waited for
        raise BundleError(f"{path}: there is no such file; train a model with `dvc repro`")
    try:
        found = sha256 and file_sha256(path)
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: incomplete or corrupt safetensors file: {error}") from error
    if found != sha256:
        raise BundleError(
            f"{path}: was damaged, or belongs to another model: its SHA-256 is {found}, but "
            f"{DESCRIPTION} was saved with weights of {sha256}; copy both files of the model again, "
            "or train it"
        )
    return tensors


def write_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file; OSError, with the system's number, when that fails."""
    path.touch()
    mode = path.stat().st_mode  # as the umask has it; the library makes files for their owner alone
    try:
        save_file(tensors, path)
        path.chmod(mode)
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

"""A file of weights that the user names in `model.pretrained`."""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from segpipe.bundle_format import BEST, DESCRIPTION, LAST, file_sha256, read_description
from segpipe.models.pretrained.weights import Normalisation, Weights
from segpipe.params.model import ModelParams
from segpipe.runtime.errors import BundleError
from segpipe.runtime.small_files import read_json
from segpipe.runtime.state import repository_root

# The best weights of a bundle; repositories of the Hugging Face hub use the same name.
IN_FOLDER = BEST
_HUB_NAMES = (IN_FOLDER, "pytorch_model.bin")
# Files as torch.save writes them.
_TORCH_SUFFIXES = frozenset({".pt", ".pth", ".bin"})
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_FOREIGN = re.compile(r"GLOBAL (\S+)")
# Under which names checkpoints keep the network; timm prefers the moving average as well.
_KEYS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")


def pretrained_identity(params: ModelParams) -> str | None:
    """Return the SHA-256 of the file that `model.pretrained` names; None where it names none.

    It belongs to what makes a run another run: the path alone does not say what is in the file.
    Published weights need none, their names stand for their content. Raises BundleError when the
    file is missing.
    """
    if not params.names_a_file:
        return None
    return file_sha256(weights_path(params.pretrained))


def named_weights(pretrained: str) -> Weights:
    """Read a file of weights, or a bundle's best ones.

    Safetensors, or, by the suffixes .pt, .pth and .bin, what torch.save writes: that is a pickle,
    read by torch's restricted unpickler, which makes tensors and plain containers and runs no code.
    Beside the weights of a bundle or of a repository of the Hugging Face hub stands how the images
    are to be normalised. Raises BundleError when a file is missing or damaged, or holds anything else.
    """
    path = weights_path(pretrained)
    content = path.read_bytes()  # once, so that the hash is that of what is used
    read = _torch_tensors if path.suffix.lower() in _TORCH_SUFFIXES else _safetensors
    return Weights(
        source=pretrained,
        tensors=read(path, content),
        content=hashlib.sha256(content).hexdigest(),
        normalisation=_stated_beside(path),
    )


def _safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    if content.startswith(_PICKLES):
        raise BundleError(
            f"{path}: is a pickle under the name of another kind of file, so it is not read; if it "
            "holds weights as torch.save writes them, give it the suffix .pth"
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise BundleError(f"{path}: incomplete or corrupt safetensors file: {error}") from error


def _torch_tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """Return the tensors by name of a state dict, also of one inside a training's checkpoint."""
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of zip, unpickler or torch, whatever they stumble on
        held = _FOREIGN.search(str(error))
        cause = f"it holds {held[1]}" if held else "it is incomplete, corrupt or of another form"
        raise BundleError(
            f"{path}: cannot be read as tensors alone, and nothing else is read, since it could run "
            f"any code: {cause}; save the network's state_dict() by itself: "
            "torch.save(network.state_dict(), path)"
        ) from error
    while isinstance(found, dict) and (inner := _wrapped(found)) is not None:
        found = inner
    entries = found.items() if isinstance(found, dict) else ()
    tensors = {str(name): value for name, value in entries if isinstance(value, Tensor)}
    if not tensors:
        raise BundleError(f"{path}: holds no tensors by name; save the network's state_dict()")
    return tensors


def _wrapped(found: dict[Any, Any]) -> dict[Any, Any] | None:
    return next((found[key] for key in _KEYS if isinstance(found.get(key), dict)), None)


def _stated_beside(path: Path) -> Normalisation | None:
    """Return the normalisation that model.json of a bundle, or config.json of the hub, states."""
    if path.name in (BEST, LAST) and path.with_name(DESCRIPTION).is_file():
        return Normalisation.of_spec(read_description(path.parent).input)
    config = path.with_name("config.json")
    if path.name not in _HUB_NAMES or not config.is_file():
        return None
    try:
        stated = read_json(config)
        inner = stated.get("pretrained_cfg", stated)  # where timm keeps it
        return Normalisation.of_config(inner) if "mean" in inner else None
    except (ValueError, TypeError, OSError) as error:
        raise BundleError(
            f"{config}: does not say how images are normalised for {path.name}: {error}; move the "
            "weights to a folder of their own, and the usual values for their encoder are taken"
        ) from error


def weights_path(pretrained: str) -> Path:
    """Return the file that `model.pretrained` names.

    A relative path is looked for from here and, since a queued experiment runs in a copy of the
    repository that has tracked files only, from the repository itself. A folder stands for its
    model.safetensors. Raises BundleError when there is none.
    """
    places = [Path(pretrained), repository_root() / pretrained]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise BundleError(
            f"params.yaml: model.pretrained is {pretrained}, but there is no such file or folder; "
            "it can be none, imagenet, coco, a file of weights, or the folder of a bundle"
        )
    if found.is_file():
        return found
    if not found.is_dir():
        raise BundleError(
            f"params.yaml: model.pretrained is {found}, a pipe or a device, not a file"
        )
    if not (found / IN_FOLDER).is_file():
        raise BundleError(
            f"params.yaml: model.pretrained is the folder {found}, but it holds no {IN_FOLDER}; name "
            "the folder of a bundle, or a file of weights"
        )
    return found / IN_FOLDER

"""A file of weights that the user names in `model.pretrained`."""

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from segpipe.params.model import ModelParams
from segpipe.runtime.errors import BundleError
from segpipe.runtime.state import repository_root

# The best weights of a bundle; repositories of the Hugging Face hub use the same name.
IN_FOLDER = "model.safetensors"
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def pretrained_identity(params: ModelParams) -> str | None:
    """Return the SHA-256 of the file that `model.pretrained` names; None where it names none.

    It belongs to what makes a run another run: the path alone does not say what is in the file.
    Published weights need none, their names stand for their content. Raises BundleError when the
    file is missing.
    """
    if not params.names_a_file:
        return None
    with weights_path(params.pretrained).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_named(pretrained: str) -> tuple[str, dict[str, Tensor]]:
    """Return the SHA-256 of a safetensors file, or of a bundle's best weights, and the tensors.

    Raises BundleError when it is missing, damaged, or a pickle.
    """
    path = weights_path(pretrained)
    content = path.read_bytes()  # once, so that the hash is that of what is used
    if content.startswith(_PICKLES):
        raise BundleError(
            f"{path}: is a pickle, which can run any code when it is opened, so it is not read; if "
            "you trust it, turn it into a safetensors file: python -c 'import sys, torch; from "
            'safetensors.torch import save_file; save_file(torch.load(open(sys.argv[1], "rb"), '
            f'map_location="cpu", weights_only=True), sys.argv[2])\' {path} weights.safetensors'
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise BundleError(f"{path}: incomplete or corrupt safetensors file: {error}") from error
    return hashlib.sha256(content).hexdigest(), tensors


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
            "it can be none, imagenet, coco, a safetensors file, or the folder of a bundle"
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
            "the folder of a bundle, or a safetensors file"
        )
    return found / IN_FOLDER

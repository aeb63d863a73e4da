"""The weights that torchvision publishes: which file, how it is fetched, how it is read.

https://docs.pytorch.org/vision/stable/models.html. A file's name ends in the first hexadecimal
digits of its SHA-256, `resnet18-f37072fd.pth`. The files are pickles, read by
torch's restricted unpickler (`weights_only`), which makes tensors and nothing else, and only after
the hash was checked.
"""

import re
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from segpipe.bundle_format import file_sha256
from segpipe.models.pretrained.weights import Normalisation, Weights
from segpipe.runtime.atomic import atomic_file
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.lock import held_file

# The versions that torchvision's own segmentation models start from, and those of the whole models.
_VERSIONS = {"imagenet": "IMAGENET1K_V1", "coco": "COCO_WITH_VOC_LABELS_V1"}
_HASH = re.compile(r"-([0-9a-f]{8,64})\.pth$")


def published_url(kind: Literal["imagenet", "coco"], model: str) -> str:
    """Return where torchvision publishes the weights of a model; model: its name there."""
    from torchvision.models import get_model_weights  # takes seconds to import

    return str(get_model_weights(model)[_VERSIONS[kind]].url)


def published_weights(kind: Literal["imagenet", "coco"], model: str) -> Weights:
    """Return the weights of a model, which are downloaded where they are not there yet.

    They are kept where torch keeps them, `torch.hub.get_dir()`/checkpoints, and a file that was put
    there by hand is as good. Raises ParameterError when the file cannot be had or its content does
    not have the hash that its name promises.
    """
    url = published_url(kind, model)
    path = _cached(url, kind)
    _check_hash(path, path)
    try:
        tensors: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, model_dir=str(path.parent), map_location="cpu", weights_only=True
        )
    except Exception as error:  # of zip, unpickler or torch, whatever they stumble on
        raise ParameterError(
            f"{path}: is no file of weights as torchvision publishes them; delete it, and start "
            f"again: {error}"
        ) from error
    return Weights(path.name, tensors, normalisation=_normalisation(kind, model))


def _normalisation(kind: Literal["imagenet", "coco"], model: str) -> Normalisation:
    """Return what torchvision's own preprocessing for these weights does."""
    from torchvision.models import get_model_weights

    transforms = get_model_weights(model)[_VERSIONS[kind]].transforms()
    return Normalisation.of_config({"mean": transforms.mean, "std": transforms.std})


def _cached(url: str, kind: str) -> Path:
    """Return the file in torch's cache; one process downloads it, others meanwhile wait."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.exists():  # whole, since it appears by a rename; the folder may be read-only
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with held_file(path.with_name(f".{path.name}.lock"), _wait):
            if not path.exists():
                _download(url, path)
    except (OSError, HTTPException, RuntimeError) as error:
        raise ParameterError(
            f"params.yaml: model.pretrained is {kind}, but {path.name} could not be downloaded from "
            f"{url} ({error}); without a connection put that file into {path.parent} (the "
            "environment variable TORCH_HOME moves this folder), or name a file of weights or a "
            "bundle in model.pretrained"
        ) from error
    return path


def _wait(holder: str) -> None:
    say(f"process {holder} is downloading it already; waiting until it has ended")


def _download(url: str, path: Path) -> None:
    say(f"downloading {url} to {path.parent}")
    with atomic_file(path) as partial:
        torch.hub.download_url_to_file(url, str(partial), progress=sys.stderr.isatty())
        _check_hash(partial, path)


def _check_hash(path: Path, published: Path) -> None:
    """Refuse a file whose SHA-256 does not begin as the name of `published`, what it is to be, says."""
    promised = _HASH.search(published.name)
    if promised is None:
        raise ParameterError(
            f"{published.name}: its name holds no hash, so that it cannot be checked"
        )
    found = file_sha256(path)
    if not found.startswith(promised[1]):
        raise ParameterError(
            f"{published}: is damaged or another file: by its name its SHA-256 begins "
            f"with {promised[1]}, and it is {found}; delete it, and fetch it again"
        )

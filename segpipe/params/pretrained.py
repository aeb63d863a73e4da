"""What `model.pretrained` may say: published weights by name, or the path of a file or bundle."""

import difflib
from pathlib import PurePath

from segpipe.runtime.errors import excerpt

# Which models have published weights, and a backbone that other models have as well.
PUBLISHED = {
    "imagenet": ("pspnet", "resnet_lstm", "fcn", "deeplabv3", "lraspp", "smp"),
    "coco": ("fcn", "deeplabv3", "lraspp"),
}
WITH_BACKBONE = PUBLISHED["imagenet"]
KINDS = ("none", *PUBLISHED)
_PICKLES = frozenset({".ckpt", ".pkl"})
_OUTPUT = "models"


def checked_pretrained(value: str) -> str:
    """Return the value; ValueError for what cannot be meant as the path of weights."""
    if value in KINDS:
        return value
    path = PurePath(value)
    near = difflib.get_close_matches(value.lower(), KINDS, n=1, cutoff=0.75)
    if near and len(path.parts) == 1 and not path.suffix:
        raise ValueError(
            f"is {excerpt(value)}; did you mean {near[0]}? If it is a path, put ./ before it"
        )
    if path.suffix.lower() in _PICKLES:
        raise ValueError(
            f"is {excerpt(value)}; files of this kind are pickles, which can run any code when they are "
            "opened; save the weights alone, as .safetensors or .pth, first (docs/data-format.md)"
        )
    if path.parts[:1] == (_OUTPUT,):
        raise ValueError(
            f"is {excerpt(value)}, but {_OUTPUT}/ is the output of this training, which DVC removes "
            "before it starts; copy the bundle to another folder"
        )
    return value

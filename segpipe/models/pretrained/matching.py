"""Weights of one network put into another, by name and shape.

Shapes: O and C output and input channels of a convolution, h, w its sides.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segpipe.models.parts.network import Network
from segpipe.runtime.errors import ParameterError, listing

# What stands before a layer's name in the networks here and in torchvision's MobileNet.
_LEADING = (
    "",
    "network.",
    "network.network.",
    "backbone.",
    "network.backbone.",
    "network.network.backbone.",
    "network.encoder.",
    "network.network.encoder.",
    "features.",
)


@dataclass(frozen=True)
class Loaded:
    """What became of a set of weights.

    source: the file or repository. content: SHA-256 of a file named by its path. taken, left: the
    network's tensors that were and were not replaced; adapted: those taken ones that were made for
    another number of input channels; resized: those left that have another shape in the file,
    with both. unused: how many tensors of the file have no place in the network.
    """

    source: str
    content: str | None
    taken: list[str]
    adapted: list[str]
    left: list[str]
    resized: dict[str, str]
    unused: int

    def report(self) -> str:
        """Return lines for a person: what was loaded, adapted, and left as first drawn."""
        total = len(self.taken) + len(self.left)
        lines = [f"first weights from {self.source}: {len(self.taken)} of {total} tensors"]
        lines += [f"  taken: {_groups(self.taken)}"]
        if self.adapted:
            lines += [f"  adapted to the input channels: {', '.join(self.adapted)}"]
        if self.resized:
            shapes = [f"{name} ({shapes})" for name, shapes in self.resized.items()]
            lines += ["  left as first drawn, since it has another shape there:", listing(shapes)]
        absent = [name for name in self.left if name not in self.resized]
        if absent:
            lines += [f"  left as first drawn: {_groups(absent)}"]
        if self.unused:
            lines += [f"  {self.unused} tensors of the file have no place in this network"]
        return "\n".join(lines)

    def lineage(self) -> dict[str, Any]:
        """Return what a bundle should say of it, as plain JSON values."""
        return {
            "source": self.source,
            "sha256": self.content,
            "tensors_taken": len(self.taken),
            "tensors_left": len(self.left),
        }


def fit_weights(
    network: Network, tensors: dict[str, Tensor], source: str, content: str | None = None
) -> Loaded:
    """Copy every tensor that fits into `network`, in place; a layer fits as a whole or not at all.

    Names are compared as they are or, where more weights fit then, as those of the network's
    backbone, and without what wraps them in the file. A convolution that sees the image is adapted
    to its channels.
    Raises ParameterError when no weight fits, or one is quantised or not finite; `network` is as it
    was then.
    """
    own = dict(network.state_dict())
    there = _best_naming(network, own, tensors)
    adaptable = _entrances(network, own, there)
    resized = {
        name: f"{_shape(there[name])} there, {_shape(tensor)} here"
        for name, tensor in own.items()
        if name in there and not _fits(tensor, there[name]) and name not in adaptable
    }
    broken = {_layer(name) for name in resized}
    taken = [name for name in own if name in there and _layer(name) not in broken]
    left = [name for name in own if name not in there or _layer(name) in broken]
    _refuse_quantised(source, own, there)
    _refuse(source, own, {name: there[name] for name in taken}, tensors)
    with torch.no_grad():
        for name in taken:
            given = there[name]
            fitting = adapt_input(given, own[name].shape[1]) if name in adaptable else given
            own[name].copy_(fitting)
    return Loaded(
        source=source,
        content=content,
        taken=taken,
        adapted=[name for name in taken if name in adaptable],
        left=left,
        resized=resized,
        unused=len(tensors) - len(there),
    )


def adapt_input(weight_OChw: Tensor, channels: int) -> Tensor:
    """Return a convolution's weights for images of another number of channels.

    w'[o, c] = mean over c of w[o, c], times C / channels: averaged over the input channels and
    repeated (Wang et al. 2016, "Temporal segment networks", cross-modality pre-training), scaled so
    that equal inputs in all channels give the same response (as Carreira and Zisserman 2017, "Quo
    vadis, action recognition?", do when they repeat weights along time).
    """
    total_Ohw = weight_OChw.sum(1, keepdim=True)
    return total_Ohw.expand(-1, channels, -1, -1) / channels


def _best_naming(
    network: Network, own: dict[str, Tensor], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Return the file's tensors under the network's names, as those by which most numbers fit.

    The first of equals is taken, and the first of all is that of unchanged names.
    """
    best: dict[str, Tensor] = {}
    most = -1
    for added in _ancestors(network):
        for dropped in _LEADING:
            named = {
                added + name.removeprefix(dropped): tensor
                for name, tensor in tensors.items()
                if name.startswith(dropped)
            }
            found = {name: named[name] for name in own if name in named}
            fitting = sum(t.numel() for name, t in found.items() if _fits(own[name], t))
            if fitting > most:
                best, most = found, fitting
    return best


def _ancestors(network: Network) -> list[str]:
    """Return what stands before the names of the network, of each wrapped one, of its backbone."""
    path = network.backbone_path or network.inner_path
    parts = path.split(".") if path else []
    return ["".join(f"{part}." for part in parts[:depth]) for depth in range(len(parts) + 1)]


def _entrances(
    network: Network, own: dict[str, Tensor], there: dict[str, Tensor]
) -> frozenset[str]:
    """Return the convolutions that see the image, where its channels are others there.

    It is the first one; in the backbone all with its channels, since MobileOne has several.
    """
    first = next((name for name, tensor in own.items() if tensor.ndim == 4), None)
    if first is None or first not in there or there[first].ndim != 4:
        return frozenset()
    here, then = own[first].shape[1], there[first].shape[1]
    if here == then:
        return frozenset()
    inside = f"{network.backbone_path}." if network.backbone_path else first
    return frozenset(
        name
        for name, tensor in there.items()
        if (name == first or name.startswith(inside))
        and tensor.ndim == 4
        and tensor.shape[1] == then
        and own[name].shape == (tensor.shape[0], here, *tensor.shape[2:])
    )


def _fits(own: Tensor, given: Tensor) -> bool:
    return own.shape == given.shape


def _refuse_quantised(source: str, own: dict[str, Tensor], there: dict[str, Tensor]) -> None:
    """Refuse weights in 8 bits or in whole numbers; a norm's counter may be of any type."""
    quantised = [
        f"{name} ({str(tensor.dtype).removeprefix('torch.')})"
        for name, tensor in there.items()
        if own[name].is_floating_point()
        and not (tensor.is_floating_point() and tensor.itemsize > 1)
    ]
    if quantised:
        raise ParameterError(
            f"params.yaml: model.pretrained: {source} holds quantised weights, which mean nothing "
            f"without their scales; choose weights in floating point. They are\n{listing(quantised)}"
        )


def _refuse(
    source: str, own: dict[str, Tensor], taken: dict[str, Tensor], tensors: dict[str, Tensor]
) -> None:
    """Refuse weights of which nothing is of use: biases and counters alone are nothing."""
    if not any(tensor.ndim > 1 for tensor in taken.values()):
        raise ParameterError(
            f"params.yaml: model.pretrained: no weight of {source} fits the network by name and "
            f"shape; choose weights of the same model or backbone. It holds\n{_examples(tensors)}\n"
            f"and the network has\n{_examples(own)}"
        )
    broken = [name for name, tensor in taken.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise ParameterError(
            f"params.yaml: model.pretrained: {source} holds numbers that are not finite; choose "
            f"other weights. They are in\n{listing(broken)}"
        )


def _examples(tensors: dict[str, Tensor]) -> str:
    weights = [f"{name} ({_shape(tensor)})" for name, tensor in tensors.items() if tensor.ndim > 1]
    return listing(weights, shown=3) or "  no weights"


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "one number"


def _groups(names: list[str]) -> str:
    """Return how many of the tensors belong to each part: `backbone (120), head (7)`."""
    parts = Counter(_part(name) for name in names)
    return ", ".join(f"{part} ({count})" for part, count in parts.items())


def _part(name: str) -> str:
    """The first part of a name that is not a wrapper's."""
    parts = [part for part in name.split(".") if part != "network"]
    return parts[0]

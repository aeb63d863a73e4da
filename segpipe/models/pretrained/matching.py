"""Weights of one network put into another, by name and shape.

Shapes: O and C output and input channels of a convolution, h, w its sides.
"""

import re
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from segpipe.models.parts.network import Network
from segpipe.models.pretrained.weights import WRAPPERS, Loaded, Weights
from segpipe.runtime.errors import ParameterError, listing

# Of the tensors of a backbone, the share that must fit; a ResNet-50's norms and 3x3 convolutions
# are 77 % of a ResNet-18's.
LEAST_SHARE = 0.9


def fit_weights(network: Network, weights: Weights) -> Loaded:
    """Copy every tensor that fits into `network`, in place; a layer fits as a whole or not at all.

    Names are compared without what wraps them in the network and in the file, whichever lets most
    weights fit, and without the dots and underscores by which libraries part them differently (timm
    has `stages.0` in its files and `stages_0` in its encoders). A convolution that sees the image
    is adapted to its channels.
    Raises ParameterError when no weight fits, fewer than LEAST_SHARE of the backbone's tensors do,
    or one is quantised or not finite; `network` is as it was then.
    """
    source, tensors = weights.source, weights.tensors
    own = dict(network.state_dict())
    names = _best_naming(own, tensors)
    there = {name: tensors[names[name]] for name in own if name in names}
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
    _refuse_another_backbone(source, network, own, taken, resized)
    with torch.no_grad():
        for name in taken:
            given = there[name]
            fitting = adapt_input(given, own[name].shape[1]) if name in adaptable else given
            own[name].copy_(fitting)
    placed = frozenset(names.values())
    return Loaded(
        source=source,
        content=weights.content,
        normalisation=weights.normalisation,
        taken=taken,
        adapted=[name for name in taken if name in adaptable],
        left=left,
        resized=resized,
        unused=[name for name in tensors if name not in placed],
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


def _best_naming(own: dict[str, Tensor], tensors: dict[str, Tensor]) -> dict[str, str]:
    """Return the file's names by the network's, as those by which most numbers fit.

    The first of equals is taken, and the first of all is that of unchanged names.
    """
    key = _squeezed if _distinct(own, _squeezed) and _distinct(tensors, _squeezed) else str
    best: dict[str, str] = {}
    most = -1
    for added in _wrappings(own):
        inside = {key(name.removeprefix(added)): name for name in own if name.startswith(added)}
        for dropped in _wrappings(tensors):
            bare = {
                key(name.removeprefix(dropped)): name
                for name in tensors
                if name.startswith(dropped)
            }
            found = {name: bare[short] for short, name in inside.items() if short in bare}
            fitting = sum(own[n].numel() for n, t in found.items() if _fits(own[n], tensors[t]))
            if fitting > most:
                best, most = found, fitting
    return best


def _wrappings(names: Iterable[str]) -> list[str]:
    """Return every run of wrappers before a name, such as `module.encoder.`, the shortest first."""
    found = {""}
    for name in names:
        run = ""
        for part in name.split("."):
            if part not in WRAPPERS:
                break
            run += f"{part}."
            found.add(run)
    return sorted(found, key=lambda run: (len(run), run))


def _squeezed(name: str) -> str:
    return re.sub("[._]", "", name)


def _distinct(names: Iterable[str], key: Callable[[str], str]) -> bool:
    every = list(names)
    return len({key(name) for name in every}) == len(every)


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


def _refuse_another_backbone(
    source: str,
    network: Network,
    own: dict[str, Tensor],
    taken: list[str],
    resized: dict[str, str],
) -> None:
    """Refuse weights of which too little fits the backbone; old files lack the norms' counters."""
    path = network.backbone_path
    if path is None:
        return
    inside = [
        name
        for name in own
        if name.startswith(f"{path}.") and not name.endswith("num_batches_tracked")
    ]
    fitting = frozenset(taken)
    wanting = [name for name in inside if name not in fitting]
    if len(inside) - len(wanting) < LEAST_SHARE * len(inside):
        elsewhere = "absent there, or its layer has another shape there"
        first = [f"{name} ({resized.get(name, elsewhere)})" for name in wanting]
        raise ParameterError(
            f"params.yaml: model.pretrained: {source} fits {len(inside) - len(wanting)} of the "
            f"{len(inside)} tensors of the network's backbone ({path}), less than "
            f"{LEAST_SHARE:.0%}: it belongs to another one; choose weights of the same backbone. "
            f"These do not fit:\n{listing(first)}"
        )


def _examples(tensors: dict[str, Tensor]) -> str:
    weights = [f"{name} ({_shape(tensor)})" for name, tensor in tensors.items() if tensor.ndim > 1]
    return listing(weights, shown=3) or "  no weights"


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "one number"

"""Transfer learning: weights learnt elsewhere as the first weights of a network."""

from dataclasses import replace

from segpipe.models.parts.network import Network
from segpipe.models.pretrained.encoder import encoder_weights, usual_normalisation
from segpipe.models.pretrained.matching import fit_weights
from segpipe.models.pretrained.published import published_weights
from segpipe.models.pretrained.weights import Loaded, Weights
from segpipe.models.pretrained.weights_file import named_weights
from segpipe.params.model import ModelParams
from segpipe.runtime.errors import ParameterError


def load_pretrained(network: Network, params: ModelParams) -> Loaded | None:
    """Put the weights that `model.pretrained` names into a freshly built network.

    Returns what fitted, or None for `none`. What does not fit keeps the weights it has. Batch
    norms get their statistics as well. `Loaded.normalised` says how images should be normalised: as
    the source states it; for a file that states nothing and fits the backbone alone, as is usual
    for that backbone.
    Raises ParameterError when published weights do not exist or cannot be had, or too little fits,
    BundleError when a named file is missing or damaged; the network is as it was then.
    """
    if params.pretrained == "none":
        return None
    loaded = fit_weights(network, _weights(network, params))
    inside = f"{network.backbone_path}."
    if loaded.normalisation is None and all(name.startswith(inside) for name in loaded.taken):
        return replace(loaded, normalisation=usual_normalisation(params))
    return loaded


def _weights(network: Network, params: ModelParams) -> Weights:
    match params.pretrained:
        case "imagenet" if params.name == "smp":
            return encoder_weights(params.smp)
        case "imagenet" | "coco" as kind:
            model = network.published.get(kind)
            if model is None:
                raise ParameterError(
                    f"params.yaml: model.pretrained is {kind}, but there are no such weights for "
                    f"model.name {params.name}"
                )
            return published_weights(kind, model)
        case path:
            return named_weights(path)

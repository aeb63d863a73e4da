"""Transfer learning: weights learnt elsewhere as the first weights of a network."""

from segpipe.models.parts.network import Network
from segpipe.models.pretrained.encoder import encoder_tensors
from segpipe.models.pretrained.matching import Loaded, fit_weights
from segpipe.models.pretrained.published import published_tensors
from segpipe.models.pretrained.weights_file import read_named
from segpipe.params.model import ModelParams
from segpipe.runtime.errors import ParameterError


def load_pretrained(network: Network, params: ModelParams) -> Loaded | None:
    """Put the weights that `model.pretrained` names into a freshly built network.

    Returns what fitted, or None for `none`. What does not fit keeps the weights it has. Batch
    norms get their statistics as well. The images should be normalised by channel, as those were
    that the weights were learnt on.
    Raises ParameterError when published weights do not exist or cannot be had, or nothing fits,
    BundleError when a named file is missing or damaged; the network is as it was then.
    """
    match params.pretrained:
        case "none":
            return None
        case "imagenet" if params.name == "smp":
            source, tensors = encoder_tensors(params.smp)
            return fit_weights(network, tensors, source)
        case "imagenet" | "coco" as kind:
            model = network.published.get(kind)
            if model is None:
                raise ParameterError(
                    f"params.yaml: model.pretrained is {kind}, but there are no such weights for "
                    f"model.name {params.name}"
                )
            source, tensors = published_tensors(kind, model)
            return fit_weights(network, tensors, source)
        case path:
            content, tensors = read_named(path)
            return fit_weights(network, tensors, path, content)

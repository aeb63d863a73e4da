"""The published weights of the encoders of segmentation_models.pytorch.

The library keeps those of its own encoders as safetensors on the Hugging Face hub (repositories
`smp-hub/NAME.imagenet`, each at a fixed commit), those of timm's (`tu-NAME`) where timm keeps them.
Both go into the hub's own cache, whole or not at all, and several processes wait for each other
there.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from segpipe.models.parts.smp_library import TIMM, create, library
from segpipe.params.model import SmpParams
from segpipe.runtime.errors import ParameterError

_KIND = "imagenet"


def encoder_tensors(options: SmpParams) -> tuple[str, dict[str, Tensor]]:
    """Return where an encoder's published weights come from, and its tensors for 3 channels.

    The library itself makes the encoder and loads it, since the names in some of the files are
    not those of the network. Torch's random numbers are left as they were.
    Raises ParameterError when the encoder has no such weights or they cannot be had.
    """
    smp = library()
    source = _source(smp, options.encoder)
    weights: Any = True if options.encoder.startswith(TIMM) else _KIND
    try:
        with torch.random.fork_rng(devices=[]):
            network = create(smp, 3, 1, options, weights)
    except Exception as error:  # of the hub, its transport, timm or torch
        raise ParameterError(_not_had(options.encoder, source, error)) from error
    return source, network.encoder.state_dict()  # type: ignore[union-attr]


def _source(smp: ModuleType, encoder: str) -> str:
    """Return the repository and commit of the weights; refuse an encoder that has none."""
    if encoder.startswith(TIMM):
        import timm

        name = encoder.removeprefix(TIMM)
        if not timm.models.is_model_pretrained(name):
            raise ParameterError(_none_published(encoder, []))
        known = timm.models.get_pretrained_cfg(name).to_dict()  # type: ignore[union-attr]
        return f"timm {known['architecture']}.{known['tag']}"
    published = smp.encoders.encoders[encoder]["pretrained_settings"]
    if _KIND not in published:
        raise ParameterError(_none_published(encoder, sorted(published)))
    return f"{published[_KIND]['repo_id']} at {published[_KIND]['revision']}"


def _none_published(encoder: str, others: list[str]) -> str:
    there = f" (there are: {', '.join(others)})" if others else ""
    return (
        f"params.yaml: model.pretrained is {_KIND}, but model.smp.encoder {encoder} has no such "
        f"weights{there}; choose another encoder, or name a safetensors file in model.pretrained"
    )


def _not_had(encoder: str, source: str, error: Exception) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    return (
        f"params.yaml: model.pretrained is {_KIND}, but the weights of model.smp.encoder {encoder} "
        f"({source}) could not be had: {error}\n"
        f"Without a connection copy the folder of that repository from the cache of a machine that "
        f"has them into {HF_HUB_CACHE} (the environment variable HF_HOME moves this folder), or "
        "name the repository's model.safetensors in model.pretrained"
    )

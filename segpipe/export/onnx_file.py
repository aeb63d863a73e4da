"""A bundle's network as ONNX, by torch's dynamo exporter; of any size where that holds the numbers.

Shapes: B batch, T frames, H and W of the image, C channels, K classes, h and w of the logits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from segpipe.bundle import Bundle
from segpipe.export.image_network import ImageNetwork
from segpipe.export.quiet import library_errors
from segpipe.inference.exported_file import OnnxSession
from segpipe.runtime.errors import ExportError

_TOLERANCE = 1e-4  # of the largest logit of an image
INPUT, OUTPUT = "images", "logits"


@dataclass(frozen=True)
class OnnxNetwork:
    """content: the file, without description and seal. any_size: whether it takes images of all sizes,
    not of the training's alone. any_batch: whether it takes any number of images at once.
    """

    content: bytes
    any_size: bool
    any_batch: bool


def onnx_network(bundle: Bundle) -> OnnxNetwork:
    """Return a bundle's network as ONNX, which gives its logits within 1e-4 of the largest.

    The exporter follows the network once, at one size. Where a network decides by the size (a pool
    onto a fixed grid, for instance), a graph for any size cannot be made, or gives other logits at
    other sizes without an error. So each graph is compared with the network, at three sizes for one
    of any size, and the most general that agrees is taken: any size and batch, any batch, one image.

    Raises ExportError, with the exporter's reason, when there is none.
    """
    network, fault = ImageNetwork(bundle).eval(), None
    for any_size, any_batch in ((True, True), (False, True), (False, False)):
        try:
            with library_errors(f"the model {bundle.model_params.name} cannot be exported"):
                content = _exported(network, bundle, any_size, any_batch)
                _compare(network, content, _sizes(bundle, any_size), 3 if any_batch else 1)
        except ExportError as error:
            fault = error
        else:
            return OnnxNetwork(content, any_size, any_batch)
    assert fault is not None
    raise fault


def _sizes(bundle: Bundle, any_size: bool) -> list[tuple[int, int]]:
    """Return the sizes at which a graph is compared: the training's, a larger and a smaller odd one."""
    height, width = bundle.input.height, bundle.input.width
    if not any_size:
        return [(height, width)]
    least = bundle.input.files.truth_ratio
    smaller = max(height // 2 + 3, least), max(width // 2 + 5, least)
    return [(height, width), (height + 37, width + 11), smaller]


def _exported(network: ImageNetwork, bundle: Bundle, any_size: bool, any_batch: bool) -> bytes:
    images = network.example(2 if any_batch else 1, bundle.input.height, bundle.input.width)
    # By name, the exporter fixes the batch of some graphs that take any.
    shapes: dict[int, Any] = {0: torch.export.Dim.DYNAMIC} if any_batch else {}
    if any_size:
        shapes[0] = torch.export.Dim("batch")
        shapes[images.ndim - 3] = torch.export.Dim("height")
        shapes[images.ndim - 2] = torch.export.Dim("width")
    program = torch.onnx.export(
        network,
        (images,),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=(shapes,) if shapes else None,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _compare(
    network: ImageNetwork, content: bytes, sizes: list[tuple[int, int]], batch: int
) -> None:
    """Raise ValueError where the logits of a graph are not those of the network."""
    session = OnnxSession(content, torch.get_num_threads())
    if batch > 1 and session.shape[0] is not None:
        raise ValueError(f"it takes {session.shape[0]} images at a time alone")
    for height, width in sizes:
        images = network.example(batch, height, width)
        with torch.inference_mode():
            expected = network(images).numpy()
        found = session.run(images.numpy())
        if found.shape != expected.shape:
            raise ValueError(f"of {height}x{width} pixels it returns {found.shape[2:]} logits")
        if np.abs(found - expected).max() > _TOLERANCE * max(1.0, np.abs(expected).max()):
            raise ValueError(f"its logits of {height}x{width} pixels are others than the network's")

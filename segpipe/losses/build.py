"""The losses by name.

Shapes: B batch, K classes.
"""

from collections.abc import Callable

from torch import Tensor

from segpipe.losses.cross_entropy import cross_entropy_sum
from segpipe.params.schema import LossParams

# (logits_BKHW, mask_BHW) -> sum over the valid pixels, float32 scalar
Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(params: LossParams) -> Loss:
    """Return the named loss, a sum over the valid pixels of the centre that the logits cover."""
    match params.name:
        case "cross_entropy":
            return cross_entropy_sum

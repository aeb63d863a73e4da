"""What does not suit the data is refused before the work: augmentation, network, loss."""

from segpipe.dataset.reader import Dataset
from segpipe.losses.build import is_binary, logits_a_pixel
from segpipe.models.parts.network import Network
from segpipe.models.pretrained.weights import Loaded
from segpipe.params.augment import AugmentParams
from segpipe.params.loss import LossParams
from segpipe.runtime.errors import ParameterError, StaleRunError


def refuse_augmentation(augment: AugmentParams, dataset: Dataset, crop: tuple[int, int]) -> None:
    """Some of the variations do not suit every kind of data; ParameterError lists those."""
    ratio, channels = dataset.truth_ratio, len(dataset.input.mean)
    faults = []
    if ratio > 1 and augment.scale != (1.0, 1.0):
        faults.append(
            f"scale is {list(augment.scale)}, but the truth is {ratio} times coarser than the image "
            "and cannot be scaled; set it to [1.0, 1.0]"
        )
    if any(side % ratio for side in crop):
        faults.append(
            f"the crop of {crop[0]}x{crop[1]} is not a multiple of the {ratio} image pixels of a truth "
            "pixel; set crop_height and crop_width to such multiples, or to null"
        )
    if channels != 3 and augment.saturation != (1.0, 1.0):
        faults.append(
            f"saturation is a matter of red, green and blue, and the images have {channels} "
            "channels; set it to [1.0, 1.0]"
        )
    if faults:
        raise ParameterError("\n".join(f"params.yaml: train.augment: {fault}" for fault in faults))


def refuse_too_small(network: Network, crop: tuple[int, int]) -> None:
    """Raise ParameterError when a crop gives no output at all."""
    try:
        for side in crop:
            network.output_side(side)
    except ValueError as error:
        raise ParameterError(f"params.yaml: {error}") from error


def outputs_of(loss: LossParams, dataset: Dataset) -> int:
    """Return the channels of logits that `loss` needs: one for each class, or one for the second.

    Raises ParameterError when the loss scores one class against the rest, and there are not two.
    """
    classes = dataset.scheme.classes
    if is_binary(loss) and len(classes) != 2:
        raise ParameterError(
            f"params.yaml: loss.{'sum has' if loss.name == 'sum' else 'name is'} bce, which scores one "
            f"class against the rest, but the label scheme {dataset.scheme.name} has {len(classes)} "
            f"classes ({', '.join(classes)}); use cross_entropy in its place, or a label scheme of two "
            "classes, the rest first (labels.scheme: sky is one)"
        )
    return logits_a_pixel(loss, len(classes))


def refuse_exchanged(pretrained: Loaded | None, expected: str | None) -> None:
    """Raise StaleRunError when first weights are not those that gave the run's state its name.

    expected: SHA-256 of the file as it was then; None for published weights, whose name stands for
    their content.
    """
    if pretrained is not None and expected is not None and pretrained.content != expected:
        raise StaleRunError(
            f"{pretrained.source}: the weights of model.pretrained were exchanged while the training "
            "started, so its state would be that of other weights; start again"
        )

"""How training samples are varied: the section `train.augment` of params.yaml."""

from typing import Annotated

from segpipe.params.section import Fraction, Pixels, Range, Section, Since, Steps


class AugmentParams(Section):
    """How a training sample is varied each time it is seen."""

    crop_height: Pixels | None = None
    """pixels, 8..65536; null: the whole height"""
    crop_width: Pixels | None = None
    """pixels, 8..65536; null: the whole width"""
    scale: Range = (0.75, 1.5)
    """zoom, above 0"""
    flip: Fraction = 0.5
    """probability of left for right"""
    flip_vertical: Fraction = 0.0
    """probability of upside down; for pictures from above"""
    gamma: Range = (0.8, 1.25)
    """above 0; above 1 darkens"""
    saturation: Range = (0.8, 1.25)
    """above 0; 1 leaves as it is"""
    noise: Annotated[Steps, Since("0.2.0")] = (0.0, 0.0)
    """Gaussian; standard deviation in steps of 1/255, 0..255; [0.0, 0.0]: off"""
    blur: Annotated[Steps, Since("0.2.0")] = (0.0, 0.0)
    """Gaussian; standard deviation in pixels of the window, 0..255; [0.0, 0.0]: off"""


# Training samples as they are, whole.
NO_AUGMENTATION = AugmentParams(
    scale=(1.0, 1.0), flip=0.0, flip_vertical=0.0, gamma=(1.0, 1.0), saturation=(1.0, 1.0)
)

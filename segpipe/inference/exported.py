"""An exported file in the place of a bundle's network; all else of a prediction is the same code.

Shapes: B batch, T frames, H and W of the image, C channels, K classes.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segpipe.bundle import Bundle
from segpipe.bundle_format import Description
from segpipe.inference.exported_file import Session, open_exported
from segpipe.models.parts.network import Network
from segpipe.runtime.errors import DataError


class ExportedNetwork(Network):
    """Runs an exported file on the CPU; it takes images as they are read and returns their logits."""

    takes_raw_images = True

    def __init__(self, session: Session, about: Description, name: str) -> None:
        """name: of the file, for messages."""
        super().__init__()
        self.session, self._name = session, name
        self.takes_clips = len(session.shape) == 5
        self.reduction = about.input.files.truth_ratio

    def forward(self, images_BTHWC: Tensor) -> Tensor:
        """Return logits_BKHW, on the CPU, of images as uint8 or in 0..1.

        Raises DataError when the file takes images of another size only.
        """
        frames_BTHWC = images_BTHWC.cpu().numpy()
        images = frames_BTHWC if self.takes_clips else frames_BTHWC[:, 0]
        if images.dtype != np.uint8:
            images = images.astype(np.float32)
        shape = self.session.shape
        fixed, given = shape[-3:-1], images.shape[-3:-1]
        if any(side not in (None, own) for side, own in zip(fixed, given, strict=True)):
            raise DataError(
                f"{self._name} takes images of {fixed[0]}x{fixed[1]} pixels alone, and here the network "
                f"would see {given[0]}x{given[1]}; predict with the bundle it was made of"
            )
        if shape[0] is None:
            return torch.from_numpy(self.session.run(images))
        parts = [self.session.run(images[place : place + 1]) for place in range(len(images))]
        return torch.from_numpy(np.concatenate(parts))


def load_exported(path: Path) -> Bundle:
    """Read a file of `segpipe export` as a bundle whose network runs it.

    Raises BundleError and ParameterError as `open_exported` does.
    """
    session, about = open_exported(path, torch.get_num_threads())
    return exported_bundle(session, about, path.name)


def exported_bundle(session: Session, about: Description, name: str) -> Bundle:
    """Return the bundle of a session; name: of its file, for messages."""
    return Bundle(
        model=ExportedNetwork(session, about, name),
        model_params=about.model,
        scheme=about.scheme,
        input=about.input,
        precision="fp32",
        lineage=about.lineage,
        threshold=about.threshold,
        temperature=about.temperature,
    )

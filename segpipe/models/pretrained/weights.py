"""First weights as they come from a file or a publisher, and what a network took of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec
from segpipe.runtime.errors import listing

# What networks and files put before the names of a network's own layers.
WRAPPERS = frozenset({"network", "model", "module", "backbone", "encoder", "features"})
_MOST_NAMES = 6


@dataclass(frozen=True)
class Normalisation:
    """By what the images were normalised on which weights were learnt.

    files: which images those were. mean, std: by channel, of images in 0..1.
    """

    files: FileSpec
    mean: list[float]
    std: list[float]

    @staticmethod
    def of_spec(spec: InputSpec) -> "Normalisation":
        """Return that of a segpipe model."""
        return Normalisation(replace(spec.files, truth_ratio=1), spec.mean, spec.std)

    @staticmethod
    def of_config(config: Mapping[str, Any]) -> "Normalisation":
        """Return that of a description as timm and segmentation_models.pytorch write them.

        Keys: mean, std, and where they are not the usual ones input_range ([0, 1]) and input_space
        (RGB). Raises ValueError when values are missing or the channels are in another order.
        """
        mean, std = config.get("mean"), config.get("std")
        low, high = config.get("input_range") or (0, 1)
        if config.get("input_space", "RGB") != "RGB" or low != 0:
            raise ValueError("they take images that are not red, green and blue from 0 upwards")
        if not (isinstance(mean, Sequence) and isinstance(std, Sequence)):
            raise ValueError("mean and std are not stated")
        if not len(mean) == len(std) == 3:
            raise ValueError("mean and std do not have three values each")
        return Normalisation(
            PICTURES, [float(m) / high for m in mean], [float(s) / high for s in std]
        )

    def suits(self, spec: InputSpec) -> bool:
        """Whether the images of a data set are of the same kind, with the same channels."""
        return replace(spec.files, truth_ratio=1) == self.files

    def applied(self, spec: InputSpec) -> InputSpec:
        """Return `spec` with this mean and std; they must suit it."""
        return replace(spec, mean=list(self.mean), std=list(self.std))


# torchvision's, and that of most encoders: https://docs.pytorch.org/vision/stable/models.html
IMAGENET = Normalisation.of_config({"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)})


@dataclass(frozen=True)
class Weights:
    """The tensors of a source by its own names.

    source: the file, package or repository. content: SHA-256 of a file, None where the publisher's
    name stands for the content. normalisation: None where the source does not say it.
    """

    source: str
    tensors: dict[str, Tensor]
    content: str | None = None
    normalisation: Normalisation | None = None


@dataclass(frozen=True)
class Loaded:
    """What became of a set of weights.

    source, content, normalisation: as in `Weights`. taken, left: the network's tensors that were and
    were not replaced; adapted: those taken ones that were made for another number of input channels;
    resized: those left that have another shape in the file, with both. unused: the file's tensors
    that have no place in the network.
    """

    source: str
    content: str | None
    normalisation: Normalisation | None
    taken: list[str]
    adapted: list[str]
    left: list[str]
    resized: dict[str, str]
    unused: list[str]

    def normalised(self, spec: InputSpec) -> InputSpec:
        """Return `spec` with the mean and std of these weights, where they were learnt on such images."""
        known = self.normalisation
        if known is None or not known.suits(spec):
            return spec
        return known.applied(spec)

    def report(self) -> str:
        """Return lines for a person: what was loaded, adapted, and left as first drawn."""
        total = len(self.taken) + len(self.left)
        lines = [f"first weights from {self.source}: {len(self.taken)} of {total} tensors"]
        lines += [f"  taken: {_groups(self.taken)}"]
        if self.adapted:
            lines += [f"  adapted to the input channels: {', '.join(self.adapted)}"]
        if self.resized:
            shapes = [f"{name} ({shapes})" for name, shapes in self.resized.items()]
            lines += ["  left as first drawn, since it has another shape there:", listing(shapes)]
        absent = [name for name in self.left if name not in self.resized]
        if absent:
            lines += [f"  left as first drawn: {_groups(absent)}"]
        if self.unused:
            few = len(self.unused) <= _MOST_NAMES
            names = ", ".join(self.unused) if few else _groups(self.unused)
            lines += [f"  in the file, without a place in this network: {names}"]
        return "\n".join(lines)

    def lineage(self) -> dict[str, Any]:
        """Return what a bundle should say of it, as plain JSON values."""
        return {
            "source": self.source,
            "sha256": self.content,
            "tensors_taken": len(self.taken),
            "tensors_left": len(self.left),
        }


def _groups(names: list[str]) -> str:
    """Return how many of the tensors belong to each part: `backbone (120), head (7)`."""
    parts = Counter(_part(name) for name in names)
    return ", ".join(f"{part} ({count})" for part, count in parts.items())


def _part(name: str) -> str:
    """The first part of a name that is not a wrapper's; of a network the backbone as well."""
    parts = [part for part in name.split(".") if part not in ("network", "model", "module")]
    return parts[0]

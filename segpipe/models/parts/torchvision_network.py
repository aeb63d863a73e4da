"""A segmentation model of torchvision as a Network.

Shapes: B batch, C channels, K classes.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from segpipe.models.parts.blocks import quicken_norms
from segpipe.models.parts.cpu_layers import quicken_on_cpus
from segpipe.models.parts.fitting import cells, refuse_single_value
from segpipe.models.parts.network import Logits, Network


class TorchvisionNetwork(Network):
    """The model under its own names (`network.backbone...`), whose logits are as large as the image.

    torchvision enlarges them bilinearly, without aligned corners.

    stride: image pixels along each side of a cell of the coarsest feature map. pooled: whether a
    batch norm sees the whole image as one cell. published: as in `Network`.
    """

    inner_path = "network"
    backbone_path = "network.backbone"

    def __init__(
        self,
        network: nn.Module,
        auxiliary: bool,
        stride: int,
        pooled: bool,
        published: Mapping[str, str],
    ) -> None:
        super().__init__()
        self.network = network
        quicken_norms(network)
        quicken_on_cpus(network)
        self.auxiliary_heads = int(auxiliary)
        self.stride = stride
        self.pooled = pooled
        self.published = published

    def forward(self, image_BCHW: Tensor) -> Logits:
        """Return logits_BKHW of normalised images of any size, in training the auxiliary too.

        Raises ValueError in training when a batch norm would see one value a channel.
        """
        self._check_batch_norm(image_BCHW)
        logits = self.network(image_BCHW)
        out: Tensor = logits["out"]
        if self.training and self.auxiliary_heads:
            return out, logits["aux"]
        return out

    def _check_batch_norm(self, image_BCHW: Tensor) -> None:
        """After a pool to one cell there are as many values as images; else cells as well."""
        if self.pooled:
            refuse_single_value(
                self,
                image_BCHW.shape[0],
                "in the branch that averages the whole of it",
                "a batch of one cannot train this model: each process needs two samples or more in "
                "each part of train.batch_size that train.accumulation makes",
            )
        refuse_single_value(
            self,
            cells(image_BCHW, self.stride),
            f"at stride {self.stride}",
            "use larger images or a larger train.batch_size",
        )

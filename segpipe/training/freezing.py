"""Parts of a network that do not learn for a while."""

from collections.abc import Sequence

from torch import nn

from segpipe.models.parts.network import Network
from segpipe.runtime.errors import ParameterError


class Freezing:
    """Keeps named parts of a network as they are: weights, and the statistics of batch norms.

    What rests for good (biases that a norm undoes, weights that no gradient reaches) is noted when
    this is made, and stays at rest when the parts learn again.
    """

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        """names: of `parts`; ParameterError lists those that are none, or says that nothing learns."""
        known = parts(network)
        unknown = [repr(name) for name in names if name not in known]
        if unknown:
            raise ParameterError(
                f"params.yaml: model.freeze.parts: {', '.join(unknown)} "
                f"{'is no part' if len(unknown) == 1 else 'are no parts'} of this network; it has: "
                f"{', '.join(known)}"
            )
        self.frozen = False
        self._network = network
        self._paths = [known[name] for name in names]
        inside = {id(weight) for path in self._paths for weight in _weights(network, path)}
        learnt = [weight for weight in network.parameters() if weight.requires_grad]
        self._weights = [weight for weight in learnt if id(weight) in inside]
        if len(self._weights) == len(learnt):
            raise ParameterError(
                f"params.yaml: model.freeze.parts: {', '.join(names)} are all of the network, so "
                f"that nothing would learn; leave one of them out: {', '.join(known)}"
            )

    def switch(self, frozen: bool) -> None:
        """Freeze the parts, or let them learn again; twice the same changes nothing."""
        if frozen == self.frozen:
            return
        self.frozen = frozen
        for weight in self._weights:
            weight.requires_grad_(not frozen)
            # A gradient of before would be applied once more, and counted in the norm.
            weight.grad = None
        self.hold()

    def hold(self) -> None:
        """Put frozen parts into eval mode, in which norms keep their statistics and nothing drops.

        To be called after each `network.train()`, which puts all into training mode.
        """
        if self.frozen:
            for path in self._paths:
                self._network.get_submodule(path).eval()


def parts(network: Network) -> dict[str, str]:
    """Return the parts that can be named, and the path of each in the network.

    They are the children with weights, of the wrapped network where one is wrapped, and `backbone`
    where there is one.
    """
    inner = network.get_submodule(network.inner_path)
    prefix = f"{network.inner_path}." if network.inner_path else ""
    found = {"backbone": network.backbone_path} if network.backbone_path else {}
    for name, child in inner.named_children():
        if any(True for _ in child.parameters()):
            found.setdefault(name, prefix + name)
    return found


def _weights(network: Network, path: str) -> list[nn.Parameter]:
    return list(network.get_submodule(path).parameters())

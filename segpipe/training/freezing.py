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
        """names: of `parts`, or what lies within them, as in `backbone.model.blocks.0`.

        Raises ParameterError for names that are none, with those there are, and when nothing would
        learn.
        """
        self.names = tuple(names)
        self.frozen = False
        self._network = network
        self._paths = _paths(network, names)
        inside = {id(weight) for path in self._paths for weight in _weights(network, path)}
        learnt = [weight for weight in network.parameters() if weight.requires_grad]
        self._weights = [weight for weight in learnt if id(weight) in inside]
        if len(self._weights) == len(learnt):
            raise ParameterError(
                f"params.yaml: model.freeze.parts: {', '.join(names)} are all of the network, so "
                f"that nothing would learn; leave one of them out: {', '.join(parts(network))}"
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
    backbone = {"backbone": network.backbone_path} if network.backbone_path else {}
    return backbone | _children(network, network.inner_path)


def _paths(network: Network, names: Sequence[str]) -> list[str]:
    """Return where the named parts lie in the network; each word names a child of the one before."""
    paths, faults = [], []
    for name in names:
        known, path = parts(network), ""
        for word in name.split("."):
            if word not in known:
                owner = path or "this network"
                faults.append(f"{name!r} is no part: {owner} has {', '.join(known) or 'none'}")
                break
            path = known[word]
            known = _children(network, path)
        else:
            paths.append(path)
    if faults:
        raise ParameterError(f"params.yaml: model.freeze.parts: {'; '.join(faults)}")
    return paths


def _children(network: Network, path: str) -> dict[str, str]:
    """Return the children with weights of the module at `path`, and the path of each."""
    prefix = f"{path}." if path else ""
    return {
        name: prefix + name
        for name, child in network.get_submodule(path).named_children()
        if any(True for _ in child.parameters())
    }


def _weights(network: Network, path: str) -> list[nn.Parameter]:
    return list(network.get_submodule(path).parameters())

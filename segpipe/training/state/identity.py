"""What makes a training another training, and where its unfinished state lies.

The state folder is named by a fingerprint of the chosen parameters and the prepared data. Up to
version 0.1 the options of alternatives that were not chosen were part of it; a state under such a
name is taken over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.models.pretrained.weights_file import pretrained_identity
from segpipe.params.chosen import chosen
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.section import Section, since
from segpipe.params.train import TrainParams
from segpipe.runtime.state import held_alone, state_folder

# Of train: how the work is cut up and shared out (whoever changes that for want of memory keeps the
# state), and what only watches.
_NOT_DECISIVE = ("accumulation", "profile", "sharding")


@dataclass(frozen=True)
class Identity:
    """What decides the result of a training. fingerprint: of the prepared data."""

    model: ModelParams
    loss: LossParams
    train: TrainParams
    fingerprint: str

    def describe(self) -> dict[str, Any]:
        """Return it as plain JSON values.

        `pretrained` is the SHA-256 of the file of first weights, where `model.pretrained` is one.
        """
        return self._described_by(chosen)

    def take_over_former_state(self, state: Path) -> str | None:
        """Rename an unfinished state that version 0.1 left of this very training to `state`.

        Returns a line that says so, None where there is none or `state` is there already. Raises
        BusyError where a process trains on it.
        """
        former = state_folder(self._described_by(_all))
        if state.exists() or not former.exists():
            return None
        with held_alone(former):
            former.rename(state)
        return f"an unfinished training of segpipe 0.1 goes on; its state is now in {state}"

    def _described_by(self, describe: Callable[[Section], dict[str, Any]]) -> dict[str, Any]:
        train = describe(self.train)
        for name in _NOT_DECISIVE:
            train.pop(name, None)
        values = {"model": describe(self.model), "loss": describe(self.loss), "train": train}
        weights = pretrained_identity(self.model)
        started = {} if weights is None else {"pretrained": weights}
        return {"data": self.fingerprint, **values, **started}


def _all(section: Section) -> dict[str, Any]:
    """All parameters of version 0.1, chosen or not."""
    plain = section.model_dump(mode="json")
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if since(field) is None:
            values[name] = _all(value) if isinstance(value, Section) else plain[name]
    return values

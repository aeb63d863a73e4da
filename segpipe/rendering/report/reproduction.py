"""How a run is made again, as its report says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segpipe.params.chosen import chosen, flat
from segpipe.params.schema import Params

_DIRTY = "-dirty"


@dataclass(frozen=True)
class Reproduction:
    """commit: of the code, None outside git; edited: whether files differed from it. data: the digest
    of the prepared arrays. changed: parameters by dotted key, with their value and the default.
    """

    commit: str | None
    edited: bool
    data: str | None
    seed: int | None
    changed: Mapping[str, tuple[str, str]]

    @property
    def command(self) -> str:
        """What makes the run again."""
        checkout = f"git checkout {self.commit}\n" if self.commit else ""
        return f"{checkout}dvc repro"


def reproduction(lineage: Mapping[str, Any], params: Params) -> Reproduction:
    """Return how the run was made from the lineage of its bundle, and the parameters of this stage.

    The training's parameters are those that its bundle records; the stages after it have the present
    ones.
    """
    now = chosen(params)
    used = {**lineage.get("parameters", {}), "evaluate": now["evaluate"], "render": now["render"]}
    defaults = flat(Params().model_dump(mode="json"))
    commit: str | None = lineage.get("git_commit")
    return Reproduction(
        commit=commit and commit.removesuffix(_DIRTY),
        edited=commit is not None and commit.endswith(_DIRTY),
        data=lineage.get("data"),
        seed=used.get("train", {}).get("seed"),
        changed={
            key: (value, defaults.get(key, ""))
            for key, value in flat(used).items()
            if value != defaults.get(key)
        },
    )

"""How results are made again, as their report says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segpipe.params.chosen import chosen, flat
from segpipe.params.schema import Params

_DIRTY = "-dirty"


@dataclass(frozen=True)
class Reproduction:
    """command: what makes the results again. facts: what they were made of, by name.

    changed: parameters by dotted key, with their value and the default; None where there are none.
    """

    command: str
    facts: Mapping[str, str]
    changed: Mapping[str, tuple[str, str]] | None = None


def reproduction(lineage: Mapping[str, Any], params: Params) -> Reproduction:
    """Return how the run was made from the lineage of its bundle, and the parameters of this stage.

    The training's parameters are those that its bundle records; the stages after it have the present
    ones.
    """
    now = chosen(params)
    used = {**lineage.get("parameters", {}), "evaluate": now["evaluate"], "render": now["render"]}
    defaults = flat(Params().model_dump(mode="json"))
    commit = str(lineage.get("git_commit") or "")
    clean = commit.removesuffix(_DIRTY)
    differed = "; files differed from it" if commit != clean else ""
    facts = {
        "commit": f"{clean}{differed}" if clean else "none: trained outside a git repository",
        "digest of the prepared data": lineage.get("data"),
        "seed": used.get("train", {}).get("seed"),
    }
    return Reproduction(
        command=f"git checkout {clean}\ndvc repro" if clean else "dvc repro",
        facts={name: str(value) for name, value in facts.items() if value is not None},
        changed={
            key: (value, defaults.get(key, ""))
            for key, value in flat(used).items()
            if value != defaults.get(key)
        },
    )

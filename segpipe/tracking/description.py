"""What MLflow's list of runs says of a training: a name, a description, where its code is from.

The name tells the model and what is not as the last commit has it: `unet lr=0.002 loss=dice [wide]`,
with the name of the DVC experiment in brackets where there is one.
"""

import os
from collections.abc import Mapping
from typing import Any

from segpipe.params.chosen import flat
from segpipe.results.experiments import commit_of, parameters_of
from segpipe.runtime.revision import git_output, git_revision

_SECTIONS = (
    "source.",
    "labels.",
    "prepare.",
    "model.",
    "loss.",
    "train.",
)  # what decides a training
_NAMED, _LONGEST = 4, 24  # changes in a name, and characters of a value there
NOTE = "mlflow.note.content"


def run_name(model: str, recorded: Mapping[str, Any]) -> str:
    """Return a run's name. recorded: the parameters that count, nested."""
    changes = [*_changes(recorded).items()]
    keys = [_short(key) for key, _ in changes]
    words = [model]
    for (key, (_, value)), short in zip(changes, keys, strict=True):
        if key != "model.name":
            name = short if keys.count(short) == 1 else key
            words.append(f"{name}={value if len(value) <= _LONGEST else value[:_LONGEST] + '...'}")
    if len(words) > _NAMED + 1:
        words[_NAMED + 1 :] = [f"+{len(words) - _NAMED - 1}"]
    experiment = os.environ.get("DVC_EXP_NAME")
    return " ".join([*words, *([f"[{experiment}]"] if experiment else [])])


def description(model: str, recorded: Mapping[str, Any]) -> str:
    """Return the description, in Markdown: model, data, all changes, the DVC experiment."""
    base, changes = _baseline(), _changes(recorded)
    lines = [f"`{model}` on `{recorded.get('source', {}).get('name', 'unknown data')}`"]
    if base is None:
        lines.append("No commit holds parameters to compare with.")
    elif not changes:
        lines.append(f"The parameters are those of commit `{base[:10]}`.")
    else:
        rows = [f"- `{key}`: {old} → {new}" for key, (old, new) in changes.items()]
        lines.append("\n".join([f"Changed since commit `{base[:10]}`:", "", *rows]))
    if experiment := os.environ.get("DVC_EXP_NAME"):
        lines.append(f"DVC experiment `{experiment}`: `dvc exp apply {experiment}`")
    return "\n\n".join(lines)


def source_tags() -> dict[str, str]:
    """Return MLflow's own tags of the entry point, the commit and the branch, as far as known."""
    revision, branch = git_revision(), git_output("symbolic-ref", "--short", "-q", "HEAD")
    known = {
        "mlflow.source.name": f"stages/{os.environ.get('DVC_STAGE', 'train')}.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": revision and revision.removesuffix("-dirty"),
        "mlflow.source.git.branch": branch.decode().strip() if branch else None,
    }
    return {name: value for name, value in known.items() if value}


def _baseline() -> str | None:
    """Return the commit that a DVC experiment starts from, else the last one, where it has parameters."""
    commit = commit_of(os.environ.get("DVC_EXP_BASELINE_REV") or "HEAD")
    return None if commit is None or parameters_of(commit) is None else commit


def _changes(recorded: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return (before, now) of each parameter that is not as the baseline has it, by dotted key.

    The options of an alternative that the baseline did not choose are left out: its name says enough.
    """
    base = _baseline()
    before = (parameters_of(base) if base else None) or {}
    now = flat(dict(recorded))
    if not before:
        return {}
    changed = {
        key: (before.get(key, "-"), value)
        for key, value in now.items()
        if key.startswith(_SECTIONS) and before.get(key) != value
    }
    others = tuple(key.removesuffix("name") for key in changed if key.endswith(".name"))
    return {
        key: pair for key, pair in changed.items() if pair[0] != "-" or not key.startswith(others)
    }


def _short(key: str) -> str:
    """Return `lr` for train.lr and `loss` for loss.name."""
    return key.removesuffix(".name").rpartition(".")[2]

"""Code, parameters and data of a finished training in a folder of their own; the workspace stays as it is.

The folder is a clone that shares the objects of this git repository and the cache of this DVC repository.
"""

import contextlib
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from segpipe.dataset.layout import DESCRIPTION
from segpipe.params.chosen import differing, flat
from segpipe.params.overlay import laid_over
from segpipe.reproduction.origin import Origin
from segpipe.results.experiments import parameters_of
from segpipe.runtime.dvc_process import dvc_command, run_dvc
from segpipe.runtime.errors import DataError, SegpipeError
from segpipe.runtime.provenance import PARAMETERS, take_snapshot
from segpipe.runtime.revision import git_output
from segpipe.runtime.small_files import read_json
from segpipe.runtime.yaml_file import read_yaml

PREPARED = Path("data/prepared")


def clone(origin: Origin, folder: Path) -> Path:
    """Check the origin's commit out into `folder`; return the project's folder in it.

    Raises DataError where the commit is unknown, or not in this repository.
    """
    if origin.commit is None:
        raise DataError(
            f"{origin.name} ({origin.place}): no commit is recorded, since it was trained outside of git; "
            "its parameters are in the bundle's model.json"
        )
    top, prefix = (
        git_output("rev-parse", "--show-toplevel"),
        git_output("rev-parse", "--show-prefix"),
    )
    if git_output("cat-file", "-e", f"{origin.commit}^{{commit}}") is None or top is None:
        raise DataError(
            f"{origin.name} ({origin.place}): its commit {origin.commit[:10]} is not in this repository; "
            "fetch it from where it was trained (git fetch), or run this command there"
        )
    _git("clone", "--quiet", "--shared", "--no-checkout", top.decode().strip(), str(folder))
    _git("-C", str(folder), "checkout", "--quiet", "--detach", origin.commit)
    return folder / (prefix or b"").decode().strip()


def lay_parameters(origin: Origin, project: Path) -> list[str]:
    """Write the origin's parameters into the project's params.yaml; return a line for each that changes."""
    if origin.parameters is None or origin.commit is None:
        return []
    recorded = flat(dict(origin.parameters))
    committed = parameters_of(origin.commit) or {}
    changed = [f"{key}: {old} → {new}" for key, old, new in sorted(differing(committed, recorded))]
    if changed:
        values = laid_over(read_yaml(project / PARAMETERS), _plain(origin.parameters))
        yaml = YAML(typ="safe")
        yaml.default_flow_style = False
        yaml.dump(values, project / PARAMETERS)
    return changed


def code_there(project: Path) -> str:
    """Return the hash of the training's code in the project, as its bundles record it."""
    with contextlib.chdir(project):
        return take_snapshot("train").code


def bring_data(project: Path) -> None:
    """Bring the outputs of the commit's stages from this repository's cache, else its remote, if there."""
    cache = _dvc_output("cache", "dir")
    run_dvc(["config", "--local", "cache.dir", cache], project)
    # A relative path of the data that git does not hold is absent in a clone.
    source = Path(str(read_yaml(project / PARAMETERS)["source"]["path"]))
    if not source.is_absolute() and source.exists() and not (project / source).exists():
        (project / source).parent.mkdir(parents=True, exist_ok=True)
        (project / source).symlink_to(source.absolute())
    command = "pull" if _dvc_output("remote", "list") else "checkout"
    run_dvc([command, "--quiet", "--allow-missing"], project)


def prepared_digest(project: Path) -> str | None:
    """Return the fingerprint of the project's prepared data; None where there are none."""
    path = project / PREPARED / DESCRIPTION
    return str(read_json(path)["fingerprint"]) if path.is_file() else None


def _plain(value: Any) -> Any:
    """Return a value with whole numbers as keys where JSON has made text of them, as in labels.map."""
    if not isinstance(value, dict):
        return value
    return {int(key) if str(key).isdecimal() else key: _plain(one) for key, one in value.items()}


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SegpipeError(f"git {arguments[0]}: {done.stderr.strip()}")


def _dvc_output(*arguments: str) -> str:
    done = subprocess.run(dvc_command(*arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SegpipeError(f"dvc {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()

"""A project: a folder in which the installed segpipe trains, made outside of its repository.

`files/` links to the repository's own files, which a wheel carries; `dot_` stands for the dot of a
hidden one, and pipeline.yaml for dvc.yaml, which DVC would find in the repository.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from segpipe.params.load import validate
from segpipe.params.overlay import overlaid
from segpipe.params.writer import header_of, write_params
from segpipe.project.own_data import bring_data
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.provenance import PARAMETERS, PIPELINE
from segpipe.runtime.version import VERSION_FILE, installed_version, version_text
from segpipe.runtime.yaml_file import read_yaml

_FILES = Path(__file__).parent / "files"
RECIPES = _FILES / "recipes"
_CODE = re.compile(r" +- (?:segpipe|stages)/\S+")
_PIPELINE_HEADER = f"""\
# The pipeline of segpipe. Its stages run anew when their data, their parameters or segpipe itself, as
# {VERSION_FILE} names it, change. `segpipe use --upgrade` writes this file for the installed version.
"""
_OWN_HEADER = """\
# Own data, with the parameters that segpipe has where nothing else is said.
#
# data      {path}
# command   segpipe check, segpipe plan --minutes 10, segpipe train
"""
_README = """\
# {name}

A project of segpipe {version}. The pipeline is in dvc.yaml; all parameters are in params.yaml, each with
what it means.

```bash
segpipe check                    # the parameters and the data, before anything is trained
segpipe plan --minutes 30        # params.yaml for own data and this machine, each value with its reason
segpipe train                    # `dvc repro`: fetch, prepare, train, evaluate, render; then the scores
segpipe show --open              # the scores again, and the report in the browser
segpipe predict PICTURES --out labels
segpipe suggest PICTURES         # which of them to annotate next, with labels to correct
segpipe use                      # other recipes; `segpipe --help` lists all commands
```

`git add -A && git commit -m "my baseline"` makes later runs comparable: `segpipe compare HEAD workspace`.
{version_file} names the segpipe that made the results. A stage that finds another one installed refuses;
`segpipe use --upgrade` goes on with that one.
"""


def make_project(folder: Path, export: Path | None) -> Path | None:
    """Make the folder of a project, whole or not at all.

    export: the person's own data, which is read where it is if segpipe can, and imported otherwise;
    None for generated street scenes. Returns where the own data is read. Raises ParameterError when
    the folder is there already, DataError when the data cannot be read.
    """
    if folder.exists() or folder.is_symlink():
        raise ParameterError(f"{folder}: is there already; name a folder that is not")
    data = None
    with atomic_dir(folder) as partial:
        _copy_files(partial)
        if export is None:
            recipe = RECIPES / "demo.yaml"
            changes, header = read_yaml(recipe), header_of(recipe.read_text(encoding="utf-8"))
        else:
            data, changes = bring_data(export, partial)
            header = _OWN_HEADER.format(path=changes["source"]["path"])
        params = validate(overlaid(changes), PARAMETERS.name)
        (partial / PARAMETERS).write_text(write_params(params, header), encoding="utf-8")
        write_pipeline(partial)
        readme = _README.format(
            name=folder.resolve().name, version=installed_version(), version_file=VERSION_FILE
        )
        (partial / "README.md").write_text(readme, encoding="utf-8")
        if not _init_git(partial):
            (partial / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    return data


def in_project() -> bool:
    """Return whether the present folder is a project made here, and not segpipe's repository."""
    return PIPELINE.is_file() and f"- {VERSION_FILE}\n" in PIPELINE.read_text(encoding="utf-8")


def write_pipeline(folder: Path) -> None:
    """Write the installed segpipe's dvc.yaml, templates of its plots, and segpipe.version into a project."""
    text = (_FILES / "pipeline.yaml").read_text(encoding="utf-8")
    (folder / PIPELINE).write_text(project_pipeline(text), encoding="utf-8")
    shutil.copytree(_FILES / "dot_dvc/plots", folder / ".dvc/plots", dirs_exist_ok=True)
    (folder / VERSION_FILE).write_text(version_text(), encoding="utf-8")


def project_pipeline(text: str) -> str:
    """Return a project's dvc.yaml, made of the repository's.

    Its stages depend on segpipe.version in place of the files of the code.
    """
    lines: list[str] = []
    version = f"      - {VERSION_FILE}"
    for line in text[text.index("stages:\n") :].splitlines():
        if not _CODE.fullmatch(line):
            lines.append(line)
        elif lines[-1] != version:
            lines.append(version)
    return _PIPELINE_HEADER + "\n".join(lines) + "\n"


def _copy_files(folder: Path) -> None:
    for top, _, names in os.walk(_FILES, followlinks=True):
        for name in names:
            place = (Path(top) / name).relative_to(_FILES)
            if place.parts[0] not in (RECIPES.name, "pipeline.yaml"):
                target = folder.joinpath(*(part.replace("dot_", ".", 1) for part in place.parts))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_FILES / place, target)


def _init_git(folder: Path) -> bool:
    """Make a git repository of the folder; return False where there is no git."""
    try:
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True

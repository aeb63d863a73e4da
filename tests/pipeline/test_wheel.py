"""The installed package: built as a wheel, unpacked outside of the repository, used from elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.forge import ROOT, child_environment, run_python, tiny_overrides
from tests.pipeline.conftest import stages_that_ran, with_forked_programs

pytestmark = pytest.mark.slow

_BUILT_FROM = ("segpipe", "stages", "recipes", "pyproject.toml", "README.md", "LICENSE", "dvc.yaml")
_LINKED_TO = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", ".dvc/plots")
_LINKED_TO += ("data/synthetic.yaml", "data/synthetic_esd.yaml", "data/.gitignore")
_LINKED_TO += ("metrics/.gitignore",)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git holds of the package, with its links."""
    root = tmp_path_factory.mktemp("clone")
    for name in (*_BUILT_FROM, *_LINKED_TO):
        source, target = ROOT / name, root / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            leave_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, symlinks=True, ignore=leave_out)
        else:
            shutil.copy(source, target)
    return root


def unpacked(clone: Path, folder: Path, kind: str) -> Path:
    """Build a wheel, of the kind `wheel` or `editable`, and unpack it."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(folder)!r}))"
    done = run_python(["-c", code], clone)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def installed(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(clone, tmp_path_factory.mktemp("wheel"), "wheel")


def run(installed: Path, folder: Path, *arguments: str) -> str:
    """Run Python with the installed package, and nothing of the repository."""
    done = subprocess.run(
        ["python", *arguments],
        cwd=folder,
        env=with_forked_programs(PYTHONPATH=str(installed)),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_project_is_made_trained_and_used_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    segpipe = ("-m", "segpipe.cli.main")
    where = run(installed, tmp_path, "-c", "import segpipe; print(segpipe.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    run(installed, tmp_path, *segpipe, "new", "demo")
    project = tmp_path / "demo"
    assert (project / "dvc.yaml").read_text().count("- segpipe.version\n") == 5
    assert "* demo " in run(installed, project, *segpipe, "use")
    assert "are valid" in run(installed, project, *segpipe, "check")
    settings = [
        part for one in tiny_overrides(ROOT / "recipes/demo.yaml") for part in ("--set", one)
    ]
    said = run(installed, project, *segpipe, "train", *settings)
    assert stages_that_ran(said) == ["fetch", "prepare", "train", "evaluate", "render"]
    assert "\nmIoU " in said, "the scores at the end"
    assert stages_that_ran(run(installed, project, *segpipe, "train")) == []
    lineage = json.loads((project / "models/model.json").read_text())["lineage"]
    assert lineage["code"]
    run_notebook(installed, project)
    refuse_another_version(installed, project)


def run_notebook(installed: Path, project: Path) -> None:
    """The notebook of docs/, as a person starts it in the project."""
    notebook = json.loads((ROOT / "docs/notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    said = run(installed, project, "-c", "\n".join(cells))
    assert "on 2 images" in said
    assert "trained at" in said
    assert len(list((project / "labels").rglob("*_leftImg8bit.png"))) == 4, "labels and overlays"
    lines = [line for cell in cells for line in cell.splitlines() if line]
    assert len(lines) <= 10
    for name in ("load_model", "predict", "score", "read_results"):
        assert f"segpipe.{name}(" in "\n".join(cells)


def refuse_another_version(installed: Path, project: Path) -> None:
    code = installed / "segpipe/losses/dice.py"
    before = code.read_text()
    code.write_text(before + "\n# another line\n")
    environment = with_forked_programs(PYTHONPATH=str(installed))
    done = subprocess.run(
        ["python", "-m", "stages.evaluate"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    code.write_text(before)
    assert done.returncode == 1
    assert "segpipe use --upgrade" in done.stderr


def test_a_folder_named_segpipe_does_not_hide_an_editable_install(
    clone: Path, tmp_path: Path
) -> None:
    """A clone has this name, and beside it Python takes a folder of this name for a package."""
    site = unpacked(clone, tmp_path, "editable")
    (tmp_path / "work/segpipe/models").mkdir(parents=True)
    packages = sysconfig.get_paths()["purelib"]
    code = (
        "import site, sys; "
        f"sys.path.append({packages!r}); "  # without its .pth files, one of which is this install's
        f"site.addsitedir({str(site)!r}); "
        "import segpipe, segpipe.models; print(segpipe.__file__); print(segpipe.models.__file__)"
    )
    environment = {k: v for k, v in child_environment().items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(os.path.realpath(line)).is_relative_to(clone.resolve())

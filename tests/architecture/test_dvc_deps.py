"""Law 10: a stage's dependencies in dvc.yaml are the code that can change its outputs."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.forge import ROOT

STAGES = ("fetch", "prepare", "train", "evaluate", "render")

# What a stage imports and yet does not depend on, with the reason.
WATCHERS = {
    "segpipe/params": "DVC tracks the values themselves; the schema only checks them",
    "segpipe/tracking": "it tells MLflow what happens, and is told nothing",
    "segpipe/console.py": "it prints",
    "segpipe/errors.py": "it words the failures; a failed stage has no outputs",
    "segpipe/forecast.py": "it tells what memory a training will need; the data is the same without",
    "segpipe/lock.py": "it lets one process in after the other; what they make is the same",
    "segpipe/preview.py": "it draws pictures of a training, which is the same without",
    "segpipe/provenance.py": "it compares before and after; a difference has no outputs",
    "segpipe/ending.py": "it prints errors and makes exit codes of them",
    "segpipe/workers.py": "it starts processes; what they make is the same in one",
    "stages/entry.py": "it answers --help and validates",
}


def module_file(name: str) -> Path | None:
    path = ROOT / name.replace(".", "/")
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def imported_names(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the floor they come from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return {name for name in names if name.split(".")[0] in ("segpipe", "stages")}


def closure(stage: str) -> set[Path]:
    seen: set[Path] = set()
    waiting = [ROOT / "stages" / f"{stage}.py"]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        if place(file) in WATCHERS:
            continue  # what only a watcher imports can change no output either
        waiting += [found for name in imported_names(file) if (found := module_file(name))]
    return {file for file in seen if file.name != "__init__.py"}


def place(file: Path) -> str:
    """The dependency that a file belongs to: segpipe/models, segpipe/bundle.py, stages/train.py."""
    return "/".join(file.relative_to(ROOT).parts[:2])


def places(stage: str) -> set[str]:
    return {place(file) for file in closure(stage)}


def declared(stage: str) -> set[str]:
    about = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    return {dep for dep in about["deps"] if dep.startswith(("segpipe/", "stages/"))}


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_are_the_import_closure_less_the_watchers(stage: str) -> None:
    imported = places(stage)
    assert len(imported) > 5
    assert declared(stage) == imported - WATCHERS.keys()


def test_every_watcher_is_still_imported_somewhere() -> None:
    assert set().union(*map(places, STAGES)) >= WATCHERS.keys()


def test_every_dependency_exists() -> None:
    checked = [ROOT / dep for stage in STAGES for dep in declared(stage)]
    assert len(checked) > 30
    assert [path for path in checked if not path.exists()] == []


def test_a_loss_retrains_and_the_tracking_does_not() -> None:
    assert "segpipe/losses" in declared("train")
    assert all("segpipe/tracking" not in declared(stage) for stage in STAGES)
    assert all("segpipe/dashboard" not in declared(stage) for stage in STAGES)
    assert "segpipe/rendering" not in declared("train")
    assert all(
        "segpipe/engine" not in declared(stage) for stage in ("prepare", "evaluate", "render")
    )

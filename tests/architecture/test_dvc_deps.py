"""Laws 10 and 13: a stage's dependencies in dvc.yaml are the code that can change its outputs.

The imports of each stage are followed file by file, for each source and each model: of the modules
that only choose, those of the chosen alternative alone.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from segpipe.params.model import ModelName
from segpipe.params.source import SourceName
from tests.forge import ROOT

STAGES = ("fetch", "prepare", "train", "evaluate", "render")
SOURCES, MODELS = get_args(SourceName), get_args(ModelName)

# They only choose among alternatives, each of which is a dependency of its own where it is chosen.
# Of a chooser with several functions a stage calls the one that is named; what the others use is
# not followed.
CHOOSERS: dict[str, dict[str, str]] = {
    "segpipe/sources/build.py": {"fetch": "fetch", "prepare": "list_samples"},
    "segpipe/models/build.py": {},
}
# What a stage imports and yet does not depend on, with the reason.
WATCHERS = {
    "segpipe/params": "DVC tracks the values themselves; the schema only checks them",
    "segpipe/tracking": "it tells MLflow what happens, and is told nothing",
    "segpipe/runtime/allocation.py": "it says where memory comes from, not what is computed",
    "segpipe/runtime/console.py": "it prints",
    "segpipe/runtime/errors.py": "it words the failures; a failed stage has no outputs",
    "segpipe/runtime/lock.py": "it lets one process in after the other; what they make is the same",
    "segpipe/runtime/process_exit.py": "it prints errors and makes exit codes of them",
    "segpipe/runtime/provenance.py": "it compares before and after; a difference has no outputs",
    "segpipe/runtime/workers.py": "it starts processes; what they make is the same in one",
    "segpipe/runtime/small_files.py": "reads files within bounds, or refuses them",
    "segpipe/runtime/yaml_file.py": "DVC tracks the values themselves",
    "stages/entry.py": "it answers --help and validates",
}
# What only one stage does without: prepare foretells the memory of a training, and prepares the
# same data without; a training draws pictures of itself, and learns the same without.
WATCHERS_OF = {
    "prepare": {"segpipe/training"},
    "train": {
        *(
            f"segpipe/training/watch/{name}.py"
            for name in ("console", "memory", "pictures", "profiler", "tracked")
        ),
        "segpipe/training/forecast.py",
    },
}
# What is declared with its folder and yet not needed: an edit there reruns the stage for nothing.
SPARE = {
    "fetch": {f"segpipe/sources/{source}/samples.py" for source in SOURCES},  # a few lines each
}


def module_file(name: str) -> Path | None:
    path = ROOT / name.replace(".", "/")
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def imported_files(file: Path) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the floor they come from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    ours = {name for name in names if name.split(".")[0] in ("segpipe", "stages")}
    found = {path for name in ours if (path := module_file(name))}
    return frozenset(path for path in found if path.name != "__init__.py")


def used_by(file: Path, function: str) -> frozenset[Path]:
    """The files whose imported names a function of a file uses, itself or in its signature."""
    tree = ast.parse(file.read_text())
    (body,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    found: set[Path | None] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) in used:
                    whole = module_file(f"{node.module}.{alias.name}")
                    found.add(whole or module_file(str(node.module)))
    assert found, f"{file}: {function} uses nothing"
    return frozenset(path for path in found if path)


def below(path: str, places: set[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def watchers(stage: str) -> set[str]:
    return set(WATCHERS) | WATCHERS_OF.get(stage, set())


def chosen_here(path: str, source: str, model: str) -> bool:
    """Whether a file that a chooser imports belongs to the chosen alternative, or to all."""
    parts = path.split("/")
    if parts[1] == "sources" and parts[2] in SOURCES:
        return parts[2] == source
    if parts[1] == "models" and parts[2].removesuffix(".py") in MODELS:
        return parts[2] == f"{model}.py"
    return True


def closure(stage: str, source: str, model: str) -> set[str]:
    """The files that can change the outputs of a stage, relative to the root."""
    seen: set[str] = set()
    waiting = [ROOT / "stages" / f"{stage}.py"]
    while waiting:
        file = waiting.pop()
        path = file.relative_to(ROOT).as_posix()
        if path in seen or below(path, watchers(stage)):
            continue  # what only a watcher imports can change no output either
        seen.add(path)
        found = imported_files(file)
        if stage in CHOOSERS.get(path, {}):
            found = used_by(file, CHOOSERS[path][stage])
        if path in CHOOSERS:
            found = frozenset(
                one for one in found if chosen_here(one.relative_to(ROOT).as_posix(), source, model)
            )
        waiting += found
    return seen - CHOOSERS.keys()


def written(stage: str) -> list[str]:
    about = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    return [dep for dep in about["deps"] if dep.startswith(("segpipe/", "stages/"))]


def declared(stage: str, source: str, model: str) -> list[str]:
    names = {"source.name": source, "model.name": model}
    return [re.sub(r"\$\{(.+?)\}", lambda key: names[key[1]], dep) for dep in written(stage)]


def files_of(dep: str) -> set[str]:
    path = ROOT / dep
    found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return {file.relative_to(ROOT).as_posix() for file in found if file.name != "__init__.py"}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("source", SOURCES)
def test_what_is_imported_is_declared(stage: str, source: str) -> None:
    for model in MODELS:
        needed, deps = closure(stage, source, model), declared(stage, source, model)
        assert len(needed) > 5
        assert sorted(path for path in needed if not below(path, set(deps))) == []


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_declared_is_imported(stage: str) -> None:
    """By any source and model: what they share lies beside them and is declared for all."""
    combined: set[str] = set()
    files: set[str] = set()
    for source in SOURCES:
        for model in MODELS:
            combined |= closure(stage, source, model)
            deps = declared(stage, source, model)
            files |= set().union(*map(files_of, deps))
            assert [dep for dep in deps if not (ROOT / dep).exists()] == []
    assert len(files) > 10
    assert (
        sorted(path for path in files - combined if not below(path, SPARE.get(stage, set()))) == []
    )


def test_every_watcher_is_still_imported_somewhere() -> None:
    for stage, places in {"": set(WATCHERS), **WATCHERS_OF}.items():
        stages = [stage] if stage else STAGES
        reached: set[str] = set()
        for one in stages:
            for path in closure(one, "folder", "unet"):
                reached |= {
                    found.relative_to(ROOT).as_posix() for found in imported_files(ROOT / path)
                }
        assert [
            place for place in places if not any(below(path, {place}) for path in reached)
        ] == []


def test_every_alternative_has_its_own_dependency() -> None:
    assert len(SOURCES) >= 6
    assert len(MODELS) >= 10
    for source in SOURCES:
        assert (ROOT / "segpipe/sources" / source).is_dir()
        assert (ROOT / "segpipe/sources" / source / "samples.py").is_file()
    for model in MODELS:
        assert (ROOT / "segpipe/models" / f"{model}.py").is_file()
    for stage in ("train", "evaluate", "render"):
        assert "segpipe/models/${model.name}.py" in written(stage)


def test_what_changes_one_stage_leaves_the_others_alone() -> None:
    def is_dep(path: str, stage: str) -> bool:
        assert (ROOT / path).is_file(), path
        return below(path, set(declared(stage, "folder", "unet")))

    assert is_dep("segpipe/losses/dice.py", "train")
    assert not is_dep("segpipe/losses/dice.py", "evaluate")
    assert is_dep("segpipe/preparation/copies.py", "prepare")
    assert not is_dep("segpipe/preparation/copies.py", "train")
    assert not is_dep("segpipe/sources/synthetic/fetch.py", "fetch")
    assert not is_dep("segpipe/models/pspnet.py", "train")
    assert is_dep("segpipe/results/evaluation.py", "evaluate")
    assert not any(is_dep("segpipe/results/comparison.py", stage) for stage in STAGES)
    assert not any(is_dep("segpipe/tracking/store.py", stage) for stage in STAGES)
    assert [stage for stage in STAGES if is_dep("segpipe/training/loop.py", stage)] == ["train"]

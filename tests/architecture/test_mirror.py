"""tests/ mirrors segpipe/: whoever changes a module finds its tests in the folder of the same name."""

import ast
from pathlib import Path

from tests.forge import ROOT

SEGPIPE, TESTS = ROOT / "segpipe", ROOT / "tests"
# Modules that no test of their own folder imports, with where they are tested instead.
ELSEWHERE = {
    "dataset/reader": "preparation/test_prepare.py",
    "dataset/subset": "training/test_subset.py",
    "preflight/inspection": "stages/test_stages.py",
    "registry/served_model": "registry/test_served_model.py",  # which has MLflow run the file
    "results/comparability": "cli/test_compare.py",
    "results/comparison": "cli/test_compare.py",
    "results/experiments": "cli/test_compare.py",
    "runtime/findings": "preflight/test_rules.py",
    "runtime/hardware": "training/test_forecast.py",
    "runtime/randomness": "augment",
    "runtime/state": "training/state/test_identity.py",
    "runtime/workers": "stages/test_interrupted.py",
    "sources/build": "stages/test_stages.py",
    "sources/cityscapes/samples": "pipeline/test_recipes.py",
    "sources/esd/samples": "stages/test_raster_stages.py",
    "sources/synthetic/fetch": "pipeline/test_recipes.py",
    "sources/synthetic/samples": "pipeline/test_recipes.py",
    "sources/synthetic_esd/samples": "stages/test_raster_stages.py",
    "tracking/bundles": "dashboard/test_model_list.py",
    "tracking/registry": "registry/test_register.py",
    "training/distributed/launch": "stages/test_launch.py",
}


def modules() -> set[str]:
    paths = [path for path in SEGPIPE.rglob("*.py") if path.name != "__init__.py"]
    return {path.relative_to(SEGPIPE).with_suffix("").as_posix() for path in paths}


def imported_by(test: Path) -> set[str]:
    """The modules of segpipe that a test, or a helper of tests, imports by itself."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("segpipe.").replace(".", "/") for name in names if "segpipe" in name}


def reached_by(folder: Path) -> set[str]:
    """The modules that the tests below a folder import, and what these import in their own folder."""
    seen: set[str] = set()
    waiting = [name for test in folder.rglob("*.py") for name in imported_by(test)]
    while waiting:
        name = waiting.pop()
        path = SEGPIPE / f"{name}.py"
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        top = name.split("/")[0]
        waiting += [one for one in imported_by(path) if one.split("/")[0] == top]
    return seen


def test_every_module_is_reached_by_the_tests_of_its_folder() -> None:
    found = modules()
    assert len(found) > 150
    reached: dict[str, set[str]] = {}
    for top in {module.split("/")[0] for module in found if "/" in module}:
        reached[top] = reached_by(TESTS / top)
    lacking = {one for one in found if "/" in one and one not in reached[one.split("/")[0]]}
    assert sorted(lacking - ELSEWHERE.keys()) == []
    assert sorted(ELSEWHERE.keys() - lacking) == [], "they are tested in their folder now"


def test_the_places_of_tests_elsewhere_exist() -> None:
    assert [place for place in ELSEWHERE.values() if not (TESTS / place).exists()] == []


def test_no_folder_of_tests_is_without_its_folder_of_code() -> None:
    others = {"architecture", "bench", "data", "deploy", "docs", "numerics", "pipeline", "stages"}
    folders = [path for path in TESTS.rglob("*") if path.is_dir() and any(path.glob("test_*.py"))]
    names = {path.relative_to(TESTS).as_posix() for path in folders}
    assert len(names) > 20
    assert (
        sorted(n for n in names if n.split("/")[0] not in others and not (SEGPIPE / n).is_dir())
        == []
    )

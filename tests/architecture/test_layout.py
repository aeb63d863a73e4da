"""The laws about files and folders."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.forge import ROOT, child_environment, run_python

CODE = sorted(path for top in ("segpipe", "stages", "bench") for path in (ROOT / top).rglob("*.py"))


def test_there_is_code_to_look_at() -> None:
    assert len(CODE) > 80


def test_no_file_is_named_for_nothing() -> None:
    vague = {"utils", "util", "common", "core", "helpers", "helper", "misc", "base"}
    assert [
        path for path in CODE if vague & set(path.relative_to(ROOT).with_suffix("").parts)
    ] == []


def test_init_files_are_empty() -> None:
    # The public names, and what has to be done before a stage imports anything.
    exceptions = (ROOT / "segpipe/__init__.py", ROOT / "stages/__init__.py")
    inits = [path for path in CODE if path.name == "__init__.py" and path not in exceptions]
    assert len(inits) > 15
    assert [path for path in inits if path.read_text().strip()] == []


def test_files_and_functions_stay_readable() -> None:
    long_files = [path for path in CODE if len(path.read_text().splitlines()) > 260]
    functions = [
        (path, node)
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    assert len(functions) > 300
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path, node in functions
        if (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long_files == []
    assert long_functions == []


def test_no_pickle_is_written_or_read() -> None:
    banned = {
        ("torch", "save"),
        ("pickle", "dump"),
        ("pickle", "load"),
        ("np", "savez"),
    }
    # These read pickles too, but no more than tensors where they are told so.
    restricted = {("hub", "load_state_dict_from_url"), ("torch", "load")}
    found, told, used = [], [], 0
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and dotted(node.func) in restricted:
                said = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert said.get("weights_only") == "True", f"{path}:{node.lineno}"
                told.append(path.name)
            used += dotted(node) in restricted
            if dotted(node) in banned:
                found.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant)
                assert node.value.value is False
    assert found == []
    # torchvision's published weights, those of a package, and files that model.pretrained names.
    assert sorted(told) == ["packaged.py", "published.py", "weights_file.py"]
    assert used == len(told), "as a function to be called elsewhere, without its restriction"


def dotted(node: ast.AST) -> tuple[str, str] | None:
    """The last two names of an attribute, such as ("torch", "load")."""
    if not isinstance(node, ast.Attribute):
        return None
    inner = node.value
    owner = inner.id if isinstance(inner, ast.Name) else getattr(inner, "attr", "")
    return owner, node.attr


def test_fetch_and_prepare_start_without_torch() -> None:
    code = "import stages.fetch, stages.prepare, sys; print(sorted({'torch', 'mlflow'} & set(sys.modules)))"
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_floors_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Contracts: 3 kept, 0 broken" in done.stdout


def test_every_file_stands_on_a_floor() -> None:
    import tomllib

    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ][0]
    floors = {name.strip() for line in contract["layers"] for name in line.split("|")}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])
        for path in CODE
        if path.is_relative_to(ROOT / "segpipe") and path != ROOT / "segpipe/__init__.py"
    }
    assert modules == floors - {"stages"}


def test_all_but_the_tracking_is_kept_from_mlflow() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (sources,) = (
        one["source_modules"] for one in contracts if "mlflow" in one.get("forbidden_modules", ())
    )
    folders = {
        f"segpipe.{path.name}"
        for path in (ROOT / "segpipe").iterdir()
        if (path / "__init__.py").is_file()
    }
    assert len(folders) > 15
    assert {name for name in sources if name in folders} == folders - {"segpipe.tracking"}
    assert "segpipe.bundle" in sources
    assert "stages" in sources

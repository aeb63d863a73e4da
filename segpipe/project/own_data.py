"""Own data in a new project: read where it lies if its layout is segpipe's, else imported."""

from pathlib import Path
from typing import Any, Literal

from segpipe.labels.load import label_files
from segpipe.params.prepare import SplitParams
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import say_warnings
from segpipe.sources.folder.samples import list_samples

_IMPORTED = Path("data/own")
_LABEL_FILE, _LABELMAP = "classes.csv", "labelmap.txt"
_Split = Literal["folder", "lists", "ratio"]
_SPLITS: tuple[_Split, ...] = ("folder", "lists")


def bring_data(export: Path, project: Path) -> tuple[Path, dict[str, Any]]:
    """Return where own data is read, and the parameters that say so, as an overlay.

    export: a folder in segpipe's layout, which stays where it is, or what an annotation tool wrote,
    which becomes data/own in the folder `project`. Raises DataError when it is neither.
    """
    if not export.exists():
        raise DataError(f"{export}: there is no such file or folder")
    split, folder = _split_of(export), export.resolve()
    path = folder
    if split is None:
        folder, path = project / _IMPORTED, _IMPORTED
        _import(export, folder)
        split = _split_of(folder) or "folder"
    return path, {
        "source": {"name": "folder", "path": str(path)},
        "labels": {"scheme": _label_file(folder)},
        "prepare": {"split": {"by": split}},
    }


def _import(export: Path, folder: Path) -> None:
    from segpipe.importing.import_export import import_export  # other commands do without it

    made = import_export(export.resolve(), folder, form=None, copy=False)
    say_warnings(list(made.findings))


def _split_of(folder: Path) -> _Split | None:
    """Return how a folder in segpipe's layout is split; None where it has another layout."""
    for by in _SPLITS:
        try:
            found = list_samples(folder, SplitParams(by=by))
        except DataError:
            return None
        misplaced = {"outside_splits", "lists"} & {finding.kind for finding in found.findings}
        if not misplaced and found.samples["train"] and found.samples["val"]:
            return by
    return "ratio"


def _label_file(folder: Path) -> str:
    """Return the name of the label file beside the images; the usual one where there is none."""
    found = label_files(folder)
    # Another .txt may be any text.
    known = [name for name in found if not name.lower().endswith(".txt")]
    known += [_LABELMAP] if _LABELMAP in found else []
    return known[0] if known and _LABEL_FILE not in known else _LABEL_FILE

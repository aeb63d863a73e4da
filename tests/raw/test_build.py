"""One reader a kind: the kind is asked for in one place, and training knows none of the readers."""

import re

import pytest

from segpipe.params.prepare import EsdParams
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES, FileSpec, Scaling
from tests.forge import ROOT, run_python

RASTERS = FileSpec("raster", ("band 1",), (0, 0, 0), scaling=Scaling((1,), (0.0,), (1.0,)))
TILES = FileSpec("esd", ("viirs_maximum",), (0, 0, 0), 50, esd=EsdParams())


@pytest.mark.parametrize(
    ("files", "name"),
    [(PICTURES, "PictureReader"), (RASTERS, "RasterReader"), (TILES, "TileReader")],
)
def test_each_kind_has_its_reader(files: FileSpec, name: str) -> None:
    reader = build_reader(files)
    assert type(reader).__name__ == name
    assert reader.files is files


def test_nothing_else_asks_for_the_kind() -> None:
    asking = re.compile(r"\b(?:files|spec)\.kind\b|isinstance\(.*Reader\)")
    found = {
        path.relative_to(ROOT).as_posix(): len(asking.findall(path.read_text()))
        for folder in ("segpipe", "stages", "bench")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(found) > 200
    assert {path: times for path, times in found.items() if times} == {"segpipe/raw/build.py": 1}


def test_a_specification_is_read_without_any_reader() -> None:
    code = """
import sys
from segpipe.raw.input_spec import InputSpec
loaded = sorted(name for name in sys.modules if name.startswith("segpipe.raw."))
assert loaded == ["segpipe.raw.input_spec"], loaded
assert "PIL" not in sys.modules and "rasterio" not in sys.modules
"""
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr

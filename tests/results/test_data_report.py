"""report.json of the data: what other versions wrote is read, what is damaged is named.

That what `segpipe check` writes is read back: tests/preflight/test_report.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from segpipe.results.data_report import DataReport
from segpipe.results.records import read_record
from segpipe.runtime.errors import DataError

REPORT: dict[str, Any] = {
    "format": 1,
    "errors": 0,
    "warnings": 0,
    "scheme": "sky",
    "findings": [],
    "splits": {},
    "classes": [],
    "image_sizes": {},
    "image_modes": {},
    "mask_modes": {},
    "left_out": 3,
    "excluded": {"tram": 3},
}


def test_keys_of_later_versions_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / DataReport.file
    path.write_text(json.dumps(REPORT | {"of_a_later_version": 1}))
    found = read_record(DataReport, path)
    assert (found.left_out, found.excluded, found.forecast) == (3, {"tram": 3}, None)


def test_a_damaged_file_is_named_with_its_stage(tmp_path: Path) -> None:
    path = tmp_path / DataReport.file
    path.write_text(json.dumps(REPORT | {"splits": {"train": {"samples": 3}}}))
    with pytest.raises(DataError, match=r"not what the prepare stage writes(.|\n)*splits.train"):
        read_record(DataReport, path)

"""The record beside a downloaded package: that it is whole, and how that is known again.

NAME.json holds the size, the MD5, whether that is the one the site published, and the file's
modification time. A package counts as whole without being read when size and time are as
recorded; when only the time differs (the folder was copied), when its MD5 is.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from segpipe.runtime.atomic import write_json


def write_receipt(path: Path, md5: str, published: bool) -> None:
    """Record that the file at `path` is whole."""
    facts = path.stat()
    write_json(
        _beside(path),
        {
            "bytes": facts.st_size,
            "md5": md5,
            "md5_published": published,
            "modified_ns": facts.st_mtime_ns,
        },
    )


def is_whole(path: Path) -> bool:
    """Return whether the package at `path` is there as it was when its receipt was written."""
    try:
        facts = path.stat()
        receipt = json.loads(_beside(path).read_text(encoding="utf-8"))
        if facts.st_size != receipt["bytes"]:
            return False
        if facts.st_mtime_ns != receipt["modified_ns"]:
            with path.open("rb") as file:
                if hashlib.file_digest(file, _md5).hexdigest() != receipt["md5"]:
                    return False
            with contextlib.suppress(OSError):  # somebody else's file: read again next time
                os.utime(path, ns=(facts.st_atime_ns, receipt["modified_ns"]))
        return True
    except (OSError, ValueError, TypeError, KeyError):
        return False  # no receipt that could be believed


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")

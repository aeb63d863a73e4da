"""Which segpipe is installed, and which one made the results of a project.

In a project outside of the repository the stages depend on segpipe.version in place of the code's
files (docs/decisions.md). The commands write it; a stage that finds another segpipe refuses.
"""

import hashlib
import importlib.metadata
from pathlib import Path

from segpipe.runtime.errors import VersionError

VERSION_FILE = Path("segpipe.version")
_PACKAGE = Path(__file__).resolve().parent.parent
# What can change no output of a stage: the commands, what `segpipe new` copies, what Python compiles.
_NOT_COUNTED = {"cli", "project", "__pycache__"}
_HEADER = (
    "# The segpipe that made the results here, and a digest of its code. dvc.yaml depends on it;\n"
    "# `segpipe use --upgrade` writes the one that is installed.\n"
)


def package_version() -> str | None:
    """Return the version of the installed segpipe; None where it runs from a checkout alone."""
    try:
        return importlib.metadata.version("segpipe")
    except importlib.metadata.PackageNotFoundError:
        return None


def installed_version() -> str:
    """Return the version of the installed segpipe; "unknown" where it runs from a checkout alone."""
    return package_version() or "unknown"


def version_text() -> str:
    """Return what segpipe.version holds when the installed segpipe makes the results."""
    return f"{_HEADER}version: {installed_version()}\ncode: {_digest()}\n"


def refuse_other_version() -> None:
    """Raise VersionError unless ./segpipe.version names the segpipe that is installed."""
    try:
        made = VERSION_FILE.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise VersionError(
            f"{VERSION_FILE}: cannot be read ({error.strerror}); `segpipe use --upgrade` writes it anew"
        ) from error
    if _lines(made) == _lines(version_text()):
        return
    found, here = _lines(made).get("version", "an unknown version"), installed_version()
    other = f"segpipe {here} is installed"
    former = f" To keep the results, install the former: pip install segpipe=={found}"
    if found == here:
        other, former = f"the code of the installed segpipe {here} is another", ""
    raise VersionError(
        f"{VERSION_FILE}: the results here are those of segpipe {found}, but {other}, which may give "
        f"other ones. To go on with it, and have all stages run again: segpipe use --upgrade.{former}"
    )


def _lines(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _digest() -> str:
    """Return a digest of all files of the package and of the stages that can change an output."""
    digest = hashlib.blake2b(digest_size=8)
    for top in (_PACKAGE, _PACKAGE.parent / "stages"):
        for path in sorted(top.rglob("*")):
            place = path.relative_to(top.parent)
            if path.is_file() and not _NOT_COUNTED & set(place.parts):
                content = path.read_bytes()
                digest.update(f"{place.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()

"""What lies in a repository's DVC cache."""

import hashlib
from pathlib import Path


def objects(repository: Path) -> dict[str, tuple[str, int]]:
    """Return MD5 and time of change of each cached object by the MD5 that is its name.

    The time tells also of the same bytes written once more.
    """
    cache = repository / ".dvc/cache/files/md5"
    found = {}
    for path in cache.rglob("*"):
        if path.is_file():
            name = "".join(path.relative_to(cache).parts).removesuffix(".dir")
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            found[name] = digest, path.stat().st_mtime_ns
    return found


def damaged(repository: Path) -> list[str]:
    found = objects(repository)
    assert len(found) > 30, "too few objects to say anything"
    return [name for name, (digest, _) in found.items() if digest != name]

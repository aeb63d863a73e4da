"""What git and DVC keep: files of a revision or of an experiment, read without checking anything out."""

import re
from pathlib import Path

from segpipe.runtime.revision import git_output

# refs/exps/<2 hex>/<38 hex of the baseline>/<name>; queue and executor keep refs of other forms there.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/]+)")


def commit_of(revision: str) -> str | None:
    """Return the commit that git knows by this name (branch, tag, hash, HEAD~1), or None."""
    found = git_output(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    return None if found is None else found.decode().strip()


def experiments() -> list[tuple[str, str, str]]:
    """Return (name, baseline commit, full ref) of each DVC experiment of this repository.

    An experiment is a commit with a ref of its own. Files that its stages wrote without DVC's cache
    (`cache: false`), as all of metrics/, are in that commit, also those that git does not track yet.
    """
    refs = (git_output("for-each-ref", "--format=%(refname)", "refs/exps") or b"").decode().split()
    found = [(ref, _EXPERIMENT.fullmatch(ref)) for ref in refs]
    return [(match[3], match[1] + match[2], ref) for ref, match in found if match]


def file_of(commit: str, path: Path) -> bytes | None:
    """Return a file as `commit` holds it, or None; `path` is relative to the working directory."""
    return git_output("show", f"{commit}:./{path.as_posix()}")


def commit_with(path: Path) -> str | None:
    """Say which of the last commit and the experiments holds `path` just as it is now, or None.

    A run with `dvc exp run -S` leaves its parameters in the workspace; the experiment holds them.
    """
    places = [("the last commit", "HEAD")]
    places += [(f"experiment {name}", ref) for name, _, ref in experiments()]
    blob = git_output("hash-object", "--no-filters", "--", path.as_posix())
    asked = "".join(f"{ref}:./{path.as_posix()}\n" for _, ref in places)
    answers = git_output("cat-file", "--batch-check=%(objectname)", text=asked.encode())
    if blob is None or answers is None:
        return None
    same = [line == blob.decode().strip() for line in answers.decode().splitlines()]
    return next((words for (words, _), equal in zip(places, same, strict=True) if equal), None)


def in_repository() -> bool:
    """Say whether git is installed and the working directory lies in one of its repositories."""
    return git_output("rev-parse", "--git-dir") is not None

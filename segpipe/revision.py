"""The code's revision, as git knows it."""

import os
import subprocess

# dvc.lock and the tracked metrics change while the pipeline runs, by its own doing.
_CODE = (".", ":(exclude)dvc.lock", ":(exclude)metrics")


def git_revision() -> str | None:
    """Return the commit of the current folder, with -dirty when tracked files differ from it.

    None without git, outside a repository, or before the first commit.
    """
    commit = _git("rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *_CODE)
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            # Reading must not hold up a git command of the user.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

"""The code's revision, and whatever else git knows."""

import os
import subprocess

# dvc.lock and the tracked metrics change while the pipeline runs, by its own doing.
_CODE = (".", ":(exclude)dvc.lock", ":(exclude)metrics")


def git_revision() -> str | None:
    """Return the commit of the current folder, with -dirty when tracked files differ from it.

    None without git, outside a repository, or before the first commit.
    """
    commit = git_output("rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = git_output("status", "--porcelain", "--untracked-files=no", "--", *_CODE)
    return f"{commit.decode().strip()}-dirty" if changed else commit.decode().strip()


def git_output(*arguments: str, text: bytes | None = None) -> bytes | None:
    """Return what a git command prints, or None when it fails or there is no git; text: its stdin."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            timeout=60,
            check=True,
            # Reading must not hold up a git command of the user.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout

"""The login at the Cityscapes site: from the environment, or as the official downloader stored it.

Nothing is ever written, and the password shows itself to the login form alone (law 9).
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.runtime.errors import SegpipeError

USERNAME, PASSWORD = "CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"
REGISTER = "https://www.cityscapes-dataset.com/register/"


class Secret:
    """A text that no print, log, traceback or data class shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "<hidden>"

    def reveal(self) -> str:
        """Return the text itself; to be passed on in the same expression, never to be kept."""
        return self._text


@dataclass(frozen=True)
class Credentials:
    """A login, and where it was found."""

    username: str = field(repr=False)
    password: Secret
    origin: str

    def fields(self) -> dict[str, str]:
        """Return the fields of the login form; to be passed on in the same expression."""
        return {"username": self.username, "password": self.password.reveal()}


def find_credentials() -> Credentials:
    """Return the login from the environment, else from the official downloader's file.

    An empty variable counts as none. Raises SegpipeError when there is no login, when only one of
    the variables is set, or when the file cannot be used.
    """
    username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
    if username and password:
        return Credentials(username, Secret(password), f"{USERNAME} and {PASSWORD}")
    if username or password:
        given, missing = (USERNAME, PASSWORD) if username else (PASSWORD, USERNAME)
        raise SegpipeError(f"the environment has {given} but no {missing}; set both, or neither")
    stored = official_file()
    if stored.is_file():
        return _read(stored)
    raise SegpipeError(
        f"Cityscapes is downloaded with an account, and there is no login: set {USERNAME} and "
        f"{PASSWORD} in the environment, or let the official downloader store it (csDownload of "
        f"cityscapesscripts, in {stored}). An account is free for research: {REGISTER}. "
        "Archives that are on this machine already need none: name their folder in source.path"
    )


def official_file() -> Path:
    """Return where cityscapesscripts 2.3 keeps the login: appdirs' user_data_dir of its name."""
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        named = os.environ.get("XDG_DATA_HOME")
        folder = Path(named) if named else Path.home() / ".local" / "share"
    return folder / "cityscapesscripts" / "credentials.json"


def _read(path: Path) -> Credentials:
    """Read the file; its content reaches no message, for a part of it is the password."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        problem = ""
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError:
        problem = "is no JSON"
    if not problem:
        match content:
            case {"username": str(username), "password": str(password)} if username and password:
                return Credentials(username, Secret(password), str(path))
        problem = "does not hold a username and a password"
    raise SegpipeError(
        f"{path}: {problem}; remove it and let csDownload write it anew, or set {USERNAME} and "
        f"{PASSWORD} in the environment"
    )

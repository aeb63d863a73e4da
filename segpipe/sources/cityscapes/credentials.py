"""The login of Cityscapes: from the environment, or as the official downloader stored it (law 9)."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.small_files import read_json

USERNAME, PASSWORD = "CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"


@dataclass(frozen=True)
class Credentials:
    """A login, and the place where it was found."""

    username: str = field(repr=False)
    password: SecretStr
    origin: str


def find_credentials() -> Credentials:
    """Return the login from the environment, else as the official downloader stored it.

    An empty variable counts as none. Raises SegpipeError when there is no login, when only one of
    the variables is set, or when the file cannot be used.
    """
    username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
    if username and password:
        return Credentials(username, SecretStr(password), f"{USERNAME} and {PASSWORD}")
    if username or password:
        given, missing = (USERNAME, PASSWORD) if username else (PASSWORD, USERNAME)
        raise SegpipeError(f"the environment has {given} but no {missing}; set both, or neither")
    path = official_file()
    problem = "does not hold a username and a password"
    try:
        # Its content reaches no message, because a part of it is the password.
        match read_json(path):
            case {"username": str(username), "password": str(password)} if username and password:
                return Credentials(username, SecretStr(password), str(path))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError:
        problem = "is not a valid JSON object"
    raise SegpipeError(
        f"Cityscapes is downloaded with an account, and there is no login: set {USERNAME} and "
        f"{PASSWORD} in the environment, or let the official downloader store it (csDownload of "
        f"cityscapesscripts; {path} {problem}). An account is free for research: "
        "https://www.cityscapes-dataset.com/register/. Archives that are on this machine already "
        "need none: name their folder in source.path"
    )


def official_file() -> Path:
    """Return where cityscapesscripts 2.3 keeps the login: appdirs' user_data_dir of its name."""
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return folder / "cityscapesscripts" / "credentials.json"

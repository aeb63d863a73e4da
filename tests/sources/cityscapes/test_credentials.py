"""Where the login is found, and that it shows itself nowhere."""

import copy
import json
import sys
from dataclasses import asdict
from pathlib import Path

import appdirs
import pytest
from pydantic import SecretStr

from segpipe.runtime.errors import SegpipeError
from segpipe.sources.cityscapes.credentials import Credentials, find_credentials, official_file
from segpipe.sources.cityscapes.download import download
from tests.sources.cityscapes.server import PASSWORD, USERNAME, CityscapesSite, archive

FINE = "gtFine_trainvaltest.zip"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any login."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def store(content: str) -> Path:
    path = official_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("xdg", [None, "/data/of/user"])
def test_the_stored_login_lies_where_the_official_tool_puts_it(
    platform: str, xdg: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(appdirs, "system", "darwin" if platform == "darwin" else "linux2")
    if xdg:
        monkeypatch.setenv("XDG_DATA_HOME", xdg)
    folder = appdirs.user_data_dir("cityscapesscripts", "cityscapes")
    assert official_file() == Path(folder) / "credentials.json"


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    store('{"username": "stored", "password": "other"}')
    monkeypatch.setenv("CITYSCAPES_USERNAME", USERNAME)
    monkeypatch.setenv("CITYSCAPES_PASSWORD", PASSWORD)
    found = find_credentials()
    assert (found.username, found.password.get_secret_value()) == (USERNAME, PASSWORD)


def test_a_stored_login_serves(tmp_path: Path) -> None:
    path = store(json.dumps({"username": USERNAME, "password": PASSWORD}))
    assert find_credentials().origin == str(path)
    with CityscapesSite({FINE: archive(1)}) as site:
        download([FINE], tmp_path / "target", site.address)
        assert (tmp_path / "target" / FINE).read_bytes() == site.packages[FINE]
        site.password = "changed"
        with pytest.raises(SegpipeError, match=f"username and password from {path}"):
            download([FINE], tmp_path / "other", site.address)
    assert path.exists()


def test_no_login_says_both_ways_and_where_an_account_is_made(tmp_path: Path) -> None:
    with pytest.raises(SegpipeError) as caught:
        download([FINE], tmp_path / "target", "https://127.0.0.1:9")
    message = str(caught.value)
    assert "set CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD in the environment" in message
    assert (
        f"csDownload of cityscapesscripts; {official_file()} cannot be read (No such file"
        in message
    )
    assert "free for research: https://www.cityscapes-dataset.com/register/" in message
    assert "source.path" in message


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("CITYSCAPES_USERNAME", "CITYSCAPES_PASSWORD"),
        ("CITYSCAPES_PASSWORD", "CITYSCAPES_USERNAME"),
    ],
)
def test_one_variable_of_the_two(
    given: str, missing: str, empty: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store('{"username": "stored", "password": "other"}')
    monkeypatch.setenv(given, PASSWORD)
    if empty is not None:
        monkeypatch.setenv(missing, empty)
    with pytest.raises(SegpipeError, match=f"has {given} but no {missing}") as caught:
        find_credentials()
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"username": "{PASSWORD}", ', "is not a valid JSON object"),
        (f'["{PASSWORD}"]', "is not a valid JSON object"),
        (f'{{"password": "{PASSWORD}"}}', "does not hold"),
        (f'{{"username": "", "password": "{PASSWORD}"}}', "does not hold"),
        (f'{{"username": "{PASSWORD}", "password": 7}}', "does not hold"),
    ],
)
def test_a_stored_login_of_another_kind(content: str, words: str) -> None:
    path = store(content)
    with pytest.raises(SegpipeError, match=words) as caught:
        find_credentials()
    assert str(path) in str(caught.value)
    assert caught.value.__context__ is None
    assert PASSWORD not in str(caught.value)


def test_a_stored_login_that_is_not_text() -> None:
    store("").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SegpipeError, match="is not a valid JSON object"):
        find_credentials()


def test_a_stored_login_that_cannot_be_read() -> None:
    official_file().mkdir(parents=True)
    with pytest.raises(SegpipeError, match=r"cannot be read \(Is a directory\)"):
        find_credentials()


def test_a_login_shows_itself_nowhere() -> None:
    login = Credentials(USERNAME, SecretStr(PASSWORD), "here")
    shown = [repr(login), str([login]), f"{login!r:>5}", repr(copy.copy(login)), repr(vars(login))]
    shown += [repr(asdict(login)), f"{login.password}"]
    assert [text for text in shown if PASSWORD in text] == []
    with pytest.raises(TypeError):
        json.dumps(asdict(login))

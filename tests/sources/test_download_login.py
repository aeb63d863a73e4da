"""Where the login is found, and that it shows itself nowhere; how long a retry waits."""

import copy
import json
import sys
from pathlib import Path

import appdirs
import pytest

from segpipe.runtime.errors import SegpipeError
from segpipe.sources.download.credentials import (
    Credentials,
    Secret,
    find_credentials,
    official_file,
)
from segpipe.sources.download.faults import DownloadError, TransientError
from segpipe.sources.download.halt import Halt, StoppedError
from segpipe.sources.download.packages import download
from segpipe.sources.download.patience import Patience, Retries
from tests.sources.cityscapes_site import PASSWORD, QUICK, USERNAME, CityscapesSite, archive

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
    assert found.fields() == {"username": USERNAME, "password": PASSWORD}


def test_a_stored_login_serves(tmp_path: Path) -> None:
    path = store(json.dumps({"username": USERNAME, "password": PASSWORD}))
    assert find_credentials().origin == str(path)
    with CityscapesSite({FINE: archive(1)}) as site:
        download([FINE], tmp_path / "target", site.address, QUICK)
        assert (tmp_path / "target" / FINE).read_bytes() == site.packages[FINE]
        site.password = "changed"
        with pytest.raises(SegpipeError, match=f"username and password from {path}"):
            download([FINE], tmp_path / "other", site.address, QUICK)
    assert path.exists()


def test_no_login_says_both_ways_and_where_an_account_is_made(tmp_path: Path) -> None:
    with pytest.raises(SegpipeError) as caught:
        download([FINE], tmp_path / "target", "https://127.0.0.1:9", QUICK)
    message = str(caught.value)
    assert "set CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD in the environment" in message
    assert f"csDownload of cityscapesscripts, in {official_file()}" in message
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
        (f'{{"username": "{PASSWORD}", ', "is no JSON"),
        (f'["{PASSWORD}"]', "does not hold a username and a password"),
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
    with pytest.raises(SegpipeError, match="is no JSON"):
        find_credentials()


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(PASSWORD)
    login = Credentials(USERNAME, secret, "here")
    shown = [repr(secret), str(secret), f"{secret}", repr(login), str([login]), f"{login!r:>5}"]
    shown += [repr(copy.copy(login)), repr(vars(login))]
    assert [text for text in shown if PASSWORD in text] == []
    assert secret.reveal() == PASSWORD
    with pytest.raises(TypeError):
        json.dumps(secret)


class _Clock(Halt):
    """Waits without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def waits(setback: TransientError, patience: Patience) -> list[float]:
    """The waits until a thing that always fails is given up."""
    clock, told = _Clock(), list[str]()
    retries = Retries("thing", patience.attempts, patience, clock, told.append)
    with pytest.raises(DownloadError):
        while True:
            retries.again(setback)
    assert len(told) == len(clock.waits)
    return clock.waits


def test_waits_double_with_jitter_up_to_the_longest() -> None:
    found = waits(TransientError("x"), Patience(attempts=12, first_wait=1.0, longest_wait=60.0))
    bounds = [min(60.0, 2.0**n) for n in range(11)]
    assert len(found) == len(bounds)
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(found, bounds, strict=True))
    shares = {round(wait / bound, 6) for wait, bound in zip(found, bounds, strict=True)}
    assert len(shares) == len(bounds)


def test_the_site_may_ask_for_more_but_not_for_less() -> None:
    assert waits(TransientError("x", 30.0), Patience(attempts=4)) == [30.0, 30.0, 30.0]
    assert all(wait >= 0.5 for wait in waits(TransientError("x", 0.0), Patience(attempts=4)))


def test_progress_forgets_the_failures() -> None:
    clock = _Clock()
    retries = Retries("thing", 3, Patience(), clock, lambda _text: None)
    for _ in range(10):
        retries.again(TransientError("x"))
        retries.again(TransientError("x"))
        retries.progressed()
    with pytest.raises(DownloadError, match=r"thing: x; given up after 3 tries\. 5 kB are here\."):
        for _ in range(3):
            retries.again(TransientError("x"), " 5 kB are here.")


def test_a_stop_ends_a_wait() -> None:
    halt = Halt()
    halt.stop()
    with pytest.raises(StoppedError):
        halt.wait(60.0)

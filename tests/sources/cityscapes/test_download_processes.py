"""Several processes and one folder of downloads; a process that is interrupted or killed."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge import ROOT
from tests.sources.cityscapes.server import (
    PASSWORD,
    USERNAME,
    CityscapesSite,
    Fault,
    archive,
    assert_no_secret,
)

FINE, COARSE = "gtFine_trainvaltest.zip", "gtCoarse.zip"
_CODE = """
import signal, sys
from pathlib import Path
from segpipe.runtime.process_exit import explained, interrupted_when_told
from segpipe.sources.cityscapes.download import download

def work():
    download(sys.argv[3:], Path(sys.argv[2]), sys.argv[1])
    return 0

# Where the tests were started in the background, Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with interrupted_when_told():  # as in each stage
    sys.exit(explained(work))
"""


@pytest.fixture
def site() -> Iterator[CityscapesSite]:
    with CityscapesSite({FINE: archive(1), COARSE: archive(2, 60_000)}) as opened:
        yield opened


def start(site: CityscapesSite, target: Path, *names: str) -> "subprocess.Popen[str]":
    login = {"CITYSCAPES_USERNAME": USERNAME, "CITYSCAPES_PASSWORD": PASSWORD}
    return subprocess.Popen(
        [sys.executable, "-u", "-c", _CODE, site.address, str(target), *names],
        cwd=ROOT,
        env={**os.environ, **login},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """Return the output of a process up to the first line that holds `words`."""
    told = ""
    assert process.stdout is not None
    while words not in told:
        assert select.select([process.stdout], [], [], 20)[0], told
        line = process.stdout.readline()
        assert line, told
        told += line
    return told


def test_one_process_downloads_and_the_other_waits(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(stall=100_000))
    first = start(site, tmp_path, FINE)
    assert site.stalled.wait(20)
    second = start(site, tmp_path, FINE)
    told = read_until(second, "waiting until it has ended")
    site.resume.set()
    second.communicate(timeout=200)
    assert first.communicate(timeout=200)[0].count("MD5 as published") == 1
    assert (first.returncode, second.returncode) == (0, 0)
    assert (
        f"process {first.pid} on {socket.gethostname()} is downloading into {tmp_path}; waiting"
        in told
    )
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]
    assert len(site.requests("/file-handling/")) == 1
    assert len(site.requests("/login")) == 2  # one GET and one POST: the second found it whole


def test_the_one_that_waits_continues_what_a_killed_one_left(
    site: CityscapesSite, tmp_path: Path
) -> None:
    site.next(site.file_path(FINE), Fault(stall=100_000))
    first = start(site, tmp_path, FINE)
    assert site.stalled.wait(20)
    second = start(site, tmp_path, FINE)
    read_until(second, "waiting until it has ended")
    wait_for(tmp_path / f"{FINE}.part", 100_000)
    first.kill()
    first.communicate(timeout=200)
    second.communicate(timeout=200)
    assert second.returncode == 0
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]
    assert site.requests("/file-handling/")[1].headers["Range"] == "bytes=100000-"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_stops_at_once_and_the_next_start_continues(
    number: signal.Signals, site: CityscapesSite, tmp_path: Path
) -> None:
    site.next(site.file_path(FINE), Fault(stall=100_000))
    process = start(site, tmp_path, FINE, COARSE)
    wait_for(tmp_path / f"{FINE}.part", 100_000)
    begun = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=200)
    assert time.monotonic() - begun < 20  # and not the 60 s of the read timeout
    assert process.returncode == 128 + number
    assert f"{FINE}.part: 100kB are kept, and the next start continues from there" in out
    assert "Traceback" not in err
    assert_no_secret([out, err], tmp_path)
    assert (tmp_path / f"{FINE}.part").read_bytes() == site.packages[FINE][:100_000]
    again = start(site, tmp_path, FINE, COARSE)
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert site.requests(site.file_path(FINE))[1].headers["Range"] == "bytes=100000-"
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]
    assert (tmp_path / COARSE).read_bytes() == site.packages[COARSE]


def test_an_interruption_ends_a_wait_at_once(site: CityscapesSite, tmp_path: Path) -> None:
    site.next("/login", Fault(status=503, headers={"Retry-After": "600"}))
    process = start(site, tmp_path, FINE)
    read_until(process, "attempt 2 of 10 in 600 s")
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=200)
    assert time.monotonic() - begun < 20
    assert process.returncode == 130


def wait_for(path: Path, size: int) -> None:
    end = time.monotonic() + 200
    while not (path.exists() and path.stat().st_size == size):
        assert time.monotonic() < end, f"{path} has not come to {size} bytes"
        time.sleep(0.01)

"""The bad days of a download: one clear message each, nothing lost, and no secret told."""

import datetime
import errno
import gzip
import io
import logging
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from segpipe.sources.cityscapes import faults
from segpipe.sources.cityscapes.download import download
from segpipe.sources.cityscapes.faults import DownloadError, TransientError, retry, status_fault
from tests.sources.cityscapes.server import (
    ATTEMPTS,
    PASSWORD,
    USERNAME,
    CityscapesSite,
    Fault,
    archive,
    assert_no_secret,
    be_quick,
    refused,
)

FINE, COARSE = "gtFine_trainvaltest.zip", "gtCoarse.zip"


@pytest.fixture
def site(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[CityscapesSite]:
    """The site; after every test its output, its log and its files are searched for secrets."""
    monkeypatch.setenv("CITYSCAPES_USERNAME", USERNAME)
    monkeypatch.setenv("CITYSCAPES_PASSWORD", PASSWORD)
    be_quick(monkeypatch)
    caplog.set_level(logging.DEBUG)
    with CityscapesSite({FINE: archive(1), COARSE: archive(2, 60_000)}) as opened:
        yield opened
    told = capfd.readouterr()
    assert_no_secret([told.out, told.err, caplog.text], tmp_path)


def kept(target: Path, name: str = FINE) -> int:
    return (target / f"{name}.part").stat().st_size


def test_a_wrong_password(site: CityscapesSite, tmp_path: Path) -> None:
    site.password = "another"
    message = refused(site.address, tmp_path, FINE)
    assert "does not accept the username and password from CITYSCAPES_USERNAME and" in message
    assert len(site.seen) == 2


def test_a_password_that_was_changed_meanwhile_stops_all(
    site: CityscapesSite, tmp_path: Path
) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(expire=True))
    site.next("/login", Fault(), Fault(), Fault(), Fault(status=200, body=b"<html>wrong"))
    assert "does not accept" in refused(site.address, tmp_path, FINE, COARSE)
    assert kept(tmp_path) == 70_000
    assert len(site.requests("/md5-sum/")) == 1


def test_an_expired_session_is_renewed_unseen(site: CityscapesSite, tmp_path: Path) -> None:
    site.next("/downloads/", Fault(expire=True))
    site.next("/md5-sum/", Fault(status=200, body=b" \n<!DOCTYPE html><html>log in</html>"))
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(status=401))
    download([FINE], tmp_path, site.address)
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]
    assert site.bytes_sent() == len(site.packages[FINE])
    logins = site.requests("/login")
    assert [seen.method for seen in logins] == ["GET", "POST"] * 4
    # Each login is a new one: it begins without the cookie of the session before.
    assert [seen for seen in logins if seen.method == "GET" and "Cookie" in seen.headers] == []


def test_a_session_that_never_lasts(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), *[Fault(expire=True)] * 10)
    assert "asks for a login or sends a web page, right after a login" in refused(
        site.address, tmp_path, FINE
    )
    assert kept(tmp_path) == 70_000
    assert len(site.requests("/login")) == 4


def test_html_where_a_zip_was_due(site: CityscapesSite, tmp_path: Path) -> None:
    page = Fault(status=200, body=b"<html><title>Accept our terms</title></html>")
    site.next(site.file_path(FINE), Fault(cut=70_000), page, page)
    message = refused(site.address, tmp_path, FINE)
    assert "asks for a login or sends a web page, right after a login" in message
    assert kept(tmp_path) == 70_000


def test_something_else_where_a_zip_was_due(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(status=200, body=b"Fatal error" * 9))
    assert "something that is not a zip archive" in refused(site.address, tmp_path, FINE)
    assert kept(tmp_path) == 70_000


@pytest.mark.parametrize("path", ["/file-handling/", "/md5-sum/"])
def test_403_says_which_access_is_missing(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.next(path, Fault(status=403, body=b"<html>forbidden"))
    message = refused(site.address, tmp_path, FINE)
    assert f"{FINE}: {site.address} answers with status 403, refused; the account may" in message
    assert len(site.requests(path)) == 1


@pytest.mark.parametrize("path", ["/login", "/downloads/"])
def test_403_before_any_package(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.next(path, Fault(status=403))
    assert "answers with status 403" in refused(site.address, tmp_path, FINE)


def test_404(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(status=404, body=b"<html>"))
    message = refused(site.address, tmp_path, FINE)
    assert f"{FINE}: {site.address} answers with status 404, not found; it may have" in message
    assert kept(tmp_path) == 70_000
    assert len(site.requests(site.file_path(FINE))) == 2


def test_a_package_without_a_published_digest(site: CityscapesSite, tmp_path: Path) -> None:
    site.digests[FINE] = None
    message = refused(site.address, tmp_path, FINE, COARSE)
    assert message.startswith(f"MD5 of {FINE}: {site.address} answers with status 404")
    site.next("/md5-sum/", Fault(status=200, body=b"none"))
    assert f"publishes no MD5 of {FINE}" in refused(site.address, tmp_path, FINE)
    assert (tmp_path / COARSE).exists() and not (tmp_path / FINE).exists()


def test_an_unexpected_status(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(status=410))
    assert "answers with status 410, which is not expected" in refused(site.address, tmp_path, FINE)
    assert len(site.requests(site.file_path(FINE))) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_5xx_is_tried_again(status: int, site: CityscapesSite, tmp_path: Path) -> None:
    for path in ("/login", "/downloads/", "/md5-sum/", "/file-handling/"):
        site.next(path, Fault(status=status, body=b"<html>busy"))
    download([FINE], tmp_path, site.address)
    assert site.statuses("/file-handling/") == {status: 1, 200: 1}


@pytest.mark.parametrize("path", ["/downloads/", "/md5-sum/", "/file-handling/"])
def test_5xx_without_end_is_given_up(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.next(path, *[Fault(status=503)] * 99)
    assert f"(503); given up after {ATTEMPTS} attempts" in refused(site.address, tmp_path, FINE)
    assert site.statuses(path) == {503: ATTEMPTS}


def test_a_server_that_is_out_of_order_from_the_start(site: CityscapesSite, tmp_path: Path) -> None:
    site.next("/login", *[Fault(status=500)] * 99)
    assert f"login: {site.address} is out of order" in refused(site.address, tmp_path, FINE)
    assert list(site.faults["/login"]) != []


def test_retry_after_is_waited_for(
    site: CityscapesSite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(FINE), Fault(status=503, headers={"Retry-After": "1"}))
    download([FINE], tmp_path, site.address)
    assert "attempt 2 of 4 in 1 s" in capfd.readouterr().out


def test_a_retry_after_beyond_reason_is_told(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000))
    site.next(site.file_path(FINE), Fault(status=503, headers={"Retry-After": "7200"}))
    message = refused(site.address, tmp_path, FINE)
    assert "asks to wait 120 minutes; start again then" in message
    assert kept(tmp_path) == 70_000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("120", 120), (90, 90), (-90, 0), ("soon", 0), ("-5", 0)],
)
def test_retry_after_is_a_number_or_a_date(header: str | int | None, seconds: int) -> None:
    """An int stands for the date that lies so many seconds from now."""
    if isinstance(header, int):
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=header)
        header = format_datetime(moment, usegmt=True)
    response = requests.Response()
    response.status_code = 503
    response.headers.update({} if header is None else {"Retry-After": header})
    fault = status_fault(response, "subject", "https://host")
    assert isinstance(fault, TransientError)
    assert fault.retry_after == pytest.approx(seconds, abs=5 if seconds == 90 else 0)


def waits(monkeypatch: pytest.MonkeyPatch, retry_after: float = 0.0) -> list[float]:
    """The waits of a thing that always fails, until it is given up."""
    found = list[float]()
    monkeypatch.setattr(faults.time, "sleep", found.append)

    def fail() -> None:
        raise TransientError("no", retry_after)

    with pytest.raises(DownloadError, match=f"thing: no; given up after {faults.ATTEMPTS} att"):
        retry("thing", fail)
    return found


def test_waits_double_with_jitter_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = waits(monkeypatch)
    bounds = [min(60.0, 2.0**n) for n in range(9)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(found, bounds, strict=True))
    fractions = {round(wait / bound, 6) for wait, bound in zip(found, bounds, strict=True)}
    assert len(fractions) == len(bounds)


def test_the_site_may_ask_for_more_but_not_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(monkeypatch, 90.0) == [90.0] * 9
    assert all(wait >= 0.5 for wait in waits(monkeypatch, 0.1))


def test_progress_starts_the_count_of_failures_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults.time, "sleep", lambda _seconds: None)
    size, calls = 0, 0

    def fail() -> None:
        nonlocal size, calls
        calls += 1
        # 1 MiB with each third failure, until the hundredth.
        size += (1 << 20) if calls % 3 == 0 and calls <= 99 else 1000
        raise TransientError("no")

    with pytest.raises(DownloadError):
        retry("thing", fail, lambda: size)
    assert calls == 99 + faults.ATTEMPTS - 1


def test_a_connection_that_is_always_cut(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), *[Fault(cut=0)] * 99)
    message = refused(site.address, tmp_path, FINE)
    assert f"failed (IncompleteRead); given up after {ATTEMPTS} attempts" in message
    assert kept(tmp_path) == 70_000


def test_a_read_timeout_is_continued(
    site: CityscapesSite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(FINE), Fault(stall=70_000))
    download([FINE], tmp_path, site.address)
    assert f"{site.address} failed (no answer in time); attempt" in capfd.readouterr().out
    assert site.requests(site.file_path(FINE))[1].headers["Range"] == "bytes=70000-"


def test_a_read_timeout_without_end(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), *[Fault(stall=0)] * 99)
    assert "(no answer in time); given up" in refused(site.address, tmp_path, FINE)


@pytest.mark.parametrize("range_", ["bytes 0-9/10", "lines 1-2/3", "", "bytes 70001-99999/200148"])
def test_another_range_than_was_asked_for(
    range_: str, site: CityscapesSite, tmp_path: Path
) -> None:
    wrong = Fault(headers={"Content-Range": range_})
    site.next(site.file_path(FINE), Fault(cut=70_000), *[wrong] * 99)
    assert "sends another part of the file" in refused(site.address, tmp_path, FINE)
    assert kept(tmp_path) == 70_000


def test_a_compressed_answer_is_refused(site: CityscapesSite, tmp_path: Path) -> None:
    body = gzip.compress(site.packages[FINE])
    headers = {"Content-Encoding": "gzip"}
    site.next(site.file_path(FINE), Fault(status=200, headers=headers, body=body))
    assert "compresses its answers (gzip), though it is asked not to" in refused(
        site.address, tmp_path, FINE
    )


@pytest.mark.parametrize("path", ["/login", "/downloads/", "/md5-sum/", "/file-handling/"])
def test_plain_bytes_that_are_labelled_gzip_are_taken_as_they_are(
    path: str, site: CityscapesSite, tmp_path: Path
) -> None:
    site.labels[path] = {"Content-Encoding": "gzip"}
    download([FINE], tmp_path, site.address)
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]


@pytest.mark.parametrize("path", ["/downloads/", "/md5-sum/"])
def test_a_compressed_text_is_named(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    headers = {"Content-Encoding": "gzip"}
    site.next(path, Fault(status=200, headers=headers, body=gzip.compress(b"[]" * 99)))
    message = refused(site.address, tmp_path, FINE)
    assert "compresses its answers (gzip), though it is asked not to" in message
    assert "proxy on the way" in message


@pytest.mark.parametrize("status", [200, 302, 404, 500])
@pytest.mark.parametrize("path", ["/login", "/downloads/", "/md5-sum/", "/file-handling/"])
def test_of_an_endless_page_a_part_is_read(
    path: str, status: int, site: CityscapesSite, tmp_path: Path
) -> None:
    """Only its first bytes decide what it means, be the rest many megabytes, or never come."""
    page = b"<div>" * (4 << 20)
    endless = {"Content-Length": str(1 << 40), "Location": "/elsewhere"}
    site.next(path, *[Fault(status=status, headers=endless, body=page)] * 99)
    begun = time.monotonic()
    refused(site.address, tmp_path, FINE)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("path", ["/downloads/", "/md5-sum/", "/file-handling/"])
def test_a_text_that_drips_is_given_up(
    path: str, site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segpipe.sources.cityscapes.site.TEXT_SECONDS", 0.3)
    site.next(path, *[Fault(status=200, body=b"PK" + b"x" * 9999, drip=0.05)] * 99)
    message = refused(site.address, tmp_path, FINE)
    assert "bytes in 0 s, too slowly; given up after 4 attempts" in message


def test_a_list_of_brackets_is_no_list(site: CityscapesSite, tmp_path: Path) -> None:
    site.list_text = "[" * 3000
    assert "?list is not as expected" in refused(site.address, tmp_path, FINE)


def test_an_empty_answer_is_tried_again(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(status=200))
    download([FINE], tmp_path, site.address)
    assert site.statuses("/file-handling/") == {200: 2}


def test_an_answer_that_ends_early_is_continued(site: CityscapesSite, tmp_path: Path) -> None:
    content = site.packages[FINE]
    headers = {"Content-Range": f"bytes 70000-79999/{len(content)}"}
    some = Fault(status=206, headers=headers, body=content[70_000:80_000])
    site.next(site.file_path(FINE), Fault(cut=70_000), some)
    download([FINE], tmp_path, site.address)
    assert site.requests(site.file_path(FINE))[-1].headers["Range"] == "bytes=80000-"


@pytest.mark.parametrize("path", ["/login", "/downloads/", "/md5-sum/", "/file-handling/"])
def test_a_redirect_carries_nothing_to_another_host(
    path: str, site: CityscapesSite, tmp_path: Path
) -> None:
    with CityscapesSite(site.packages) as other:
        away = Fault(status=307, headers={"Location": f"{other.address}/x?token=session-cookie"})
        site.next(path, away)
        message = refused(site.address, tmp_path, FINE)
        assert "redirects to another address (307), and no login is sent there" in message
        assert other.seen == []


def test_a_name_that_the_list_does_not_have(site: CityscapesSite, tmp_path: Path) -> None:
    message = refused(site.address, tmp_path, "one.zip", COARSE, "other.zip")
    assert "does not offer this account one.zip and other.zip: ask for access" in message
    assert site.bytes_sent() == 0


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "{}",
        "[1]",
        '[{"name": "a.zip"}]',
        '[{"name": "a", "packageID": "x", "size": ""}]',
    ],
)
def test_a_list_of_another_kind(text: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.list_text = text
    message = refused(site.address, tmp_path, FINE)
    assert ("is not as expected" in message) == (text != "{}")


def test_a_list_without_end(site: CityscapesSite, tmp_path: Path) -> None:
    site.list_text = '[{"name": "a.zip", "packageID": "1", "size": "1MB"}' + " " * 3_000_000 + "]"
    assert "is not as expected" in refused(site.address, tmp_path, "a.zip")


def test_a_disk_too_small_is_said_before(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, 10_000))
    message = refused(site.address, tmp_path, FINE, COARSE)
    assert f"the download of {FINE}, {COARSE} needs" in message
    assert "but only 10,000 are free" in message
    assert site.bytes_sent() == 0


def test_bytes_that_are_here_need_no_space(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE][:195_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, 10_000))
    download([FINE], tmp_path, site.address)
    assert site.bytes_sent() == len(site.packages[FINE]) - 195_000


class _Disk(io.FileIO):
    """A file on a disk that takes 100,000 bytes, the last of them by a short write."""

    number = errno.ENOSPC

    def write(self, data: Any, /) -> int:
        room = 100_000 - self.tell()
        if room <= 0:
            raise OSError(self.number, "no room")
        return super().write(bytes(data)[:room]) or 0


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EIO, "no room; see to its permissions"),
    ],
)
def test_a_disk_that_fills_up_keeps_the_part(
    number: int,
    words: str,
    site: CityscapesSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    opened = Path.open

    def limited(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return _Disk(path, "a") if mode == "ab" else opened(path, mode, *arguments, **options)

    with monkeypatch.context() as small:
        small.setattr(_Disk, "number", number)
        small.setattr(Path, "open", limited)
        message = refused(site.address, tmp_path, FINE)
    assert words in message
    assert f"{FINE}.part: 100kB are kept" in capfd.readouterr().out
    assert (tmp_path / f"{FINE}.part").read_bytes() == site.packages[FINE][:100_000]
    download([FINE], tmp_path, site.address)
    assert site.requests(site.file_path(FINE))[-1].headers["Range"] == "bytes=100000-"
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]


def test_short_writes_are_completed(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(io.FileIO):
        def write(self, data: Any, /) -> int:
            return super().write(bytes(data)[:1000]) or 0

    opened = Path.open

    def limited(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return Short(path, "a") if mode == "ab" else opened(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", limited)
    download([FINE], tmp_path, site.address)
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]


def test_a_full_disk_stops_the_other_packages(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def limited(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return _Disk(path, "a") if mode == "ab" else opened(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", limited)
    assert "the disk is full" in refused(site.address, tmp_path, FINE, COARSE)
    assert kept(tmp_path) == 100_000
    assert site.requests(site.file_path(COARSE)) == []


def test_a_limit_on_the_size_of_files(site: CityscapesSite, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        message = refused(site.address, tmp_path, FINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "takes no larger file" in message
    assert kept(tmp_path) == 100_000


def test_a_folder_that_cannot_be(site: CityscapesSite, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refused(site.address, tmp_path / "file/folder", FINE)
    assert message == f"{tmp_path}/file/folder: Not a directory; see to its permissions"
    (tmp_path / "a" / ".lock").mkdir(parents=True)
    assert ".lock: Is a directory; see to" in refused(site.address, tmp_path / "a", FINE)
    (tmp_path / "b" / f"{FINE}.part").mkdir(parents=True)
    assert "Is a directory; see to its" in refused(site.address, tmp_path / "b", FINE)


def test_a_file_system_without_locks(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_arguments: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    message = refused(site.address, tmp_path, FINE)
    assert f"{tmp_path}: its file system cannot lock files" in message
    assert site.seen == []


def test_nobody_answers(site: CityscapesSite, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = refused(f"http://127.0.0.1:{port}", tmp_path, FINE)
    assert (
        f"login: the connection to http://127.0.0.1:{port} failed (Connection refused)" in message
    )
    assert f"given up after {ATTEMPTS} attempts" in message


def test_a_name_that_is_not_found(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    message = refused("https://www.cityscapes.invalid", tmp_path, FINE)
    assert "https://www.cityscapes.invalid failed (Name or service not known)" in message


def test_a_certificate_that_nobody_vouches_for(
    site: CityscapesSite, tmp_path: Path, certificate: Path
) -> None:
    with CityscapesSite(site.packages, certificate) as other:
        message = refused(other.address, tmp_path, FINE)
        assert "its certificate cannot be verified, so nothing was sent" in message
        assert other.seen == []


def test_the_way_is_encrypted(
    site: CityscapesSite, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with CityscapesSite(site.packages, certificate) as other:
        other.next(other.file_path(FINE), Fault(cut=70_000))
        download([FINE, COARSE], tmp_path / "target", other.address)
        assert other.bytes_sent() == sum(map(len, site.packages.values()))
    assert (tmp_path / "target" / FINE).read_bytes() == site.packages[FINE]


def test_a_proxy_that_gives_no_connection(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://someone:session-cookie@127.0.0.1:{port}")
    message = refused("https://www.cityscapes.invalid", tmp_path, FINE)
    assert "https://www.cityscapes.invalid through HTTPS_PROXY failed (Connection refus" in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [("https_proxy", "ftp:// :1"), ("REQUESTS_CA_BUNDLE", "/not/there")],
)
def test_settings_that_cannot_work_are_not_tried_again(
    variable: str,
    value: str,
    site: CityscapesSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    message = refused("https://www.cityscapes.invalid", tmp_path, FINE)
    assert "cannot be asked; check HTTPS_PROXY and REQUESTS_CA_BUNDLE" in message
    assert "attempt" not in capfd.readouterr().out


def test_a_connection_that_is_not_encrypted_at_the_other_end(
    site: CityscapesSite, tmp_path: Path
) -> None:
    message = refused(site.address.replace("http:", "https:"), tmp_path, FINE)
    assert f"given up after {ATTEMPTS} attempts" in message
    assert not [seen for seen in site.seen if seen.form]


@pytest.mark.parametrize(
    "address",
    [
        "http://www.cityscapes-dataset.com",
        "http://127.0.0.1.example.org",
        "ftp://127.0.0.1",
        "https://me:anything@www.cityscapes-dataset.com",
        "www.cityscapes-dataset.com",
    ],
)
def test_an_address_that_gets_no_password(
    address: str, site: CityscapesSite, tmp_path: Path
) -> None:
    assert "to an address of the form https://HOST only" in refused(address, tmp_path, FINE)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself, in one PEM file."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def test_the_search_for_secrets_finds_them(tmp_path: Path) -> None:
    """The guard of the tests above is no dummy."""
    assert_no_secret(["nothing"], tmp_path)
    with pytest.raises(AssertionError):
        assert_no_secret([f"password={PASSWORD}"], tmp_path)
    (tmp_path / "file").write_bytes(b"\x00" + PASSWORD.encode())
    with pytest.raises(AssertionError):
        assert_no_secret([], tmp_path)

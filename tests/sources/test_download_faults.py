"""The bad days of a download: one clear message each, nothing lost, and no secret told."""

import datetime
import errno
import io
import logging
import resource
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from segpipe.sources.download import part
from segpipe.sources.download.faults import SiteError, asked_wait, network_fault
from segpipe.sources.download.packages import download
from tests.sources.cityscapes_site import (
    PASSWORD,
    QUICK,
    USERNAME,
    CityscapesSite,
    Fault,
    archive,
    assert_no_secret,
    refused,
)

FINE, COARSE = "gtFine_trainvaltest.zip", "gtCoarse.zip"
TRIES = QUICK.attempts
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


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


def test_a_password_that_was_changed_meanwhile(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(expire=True))
    site.next("/login", Fault(), Fault(), Fault(), Fault(status=200, body=b"<html>wrong"))
    assert "does not accept" in refused(site.address, tmp_path, FINE)
    assert kept(tmp_path) == 70_000


def test_an_expired_session_is_renewed_unseen(site: CityscapesSite, tmp_path: Path) -> None:
    site.next("/downloads/", Fault(expire=True))
    site.next("/md5-sum/", Fault(status=200, body=b" \n<!DOCTYPE html><html>log in</html>"))
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(status=401))
    download([FINE], tmp_path, site.address, QUICK)
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]
    assert site.bytes_sent() == len(site.packages[FINE])
    assert sum(seen.method == "POST" for seen in site.seen) == 4


def test_a_session_that_never_lasts(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), *[Fault(expire=True)] * 10)
    assert "asks for a login again, right after one" in refused(site.address, tmp_path, FINE)
    assert kept(tmp_path) == 70_000
    assert len(site.requests("/login")) == 4


def test_html_where_a_zip_was_due(site: CityscapesSite, tmp_path: Path) -> None:
    page = Fault(status=200, body=b"<html><title>Accept our terms</title></html>")
    site.next(site.file_path(FINE), Fault(cut=70_000), page, page)
    message = refused(site.address, tmp_path, FINE)
    assert "sends a web page in its place, also after a new login" in message
    assert kept(tmp_path) == 70_000


def test_something_else_where_a_zip_was_due(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(status=200, body=b"Fatal error" * 9))
    assert "is no zip archive; what is here was kept" in refused(site.address, tmp_path, FINE)
    assert kept(tmp_path) == 70_000


@pytest.mark.parametrize("path", ["/file-handling/", "/md5-sum/"])
def test_403_says_which_access_is_missing(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.next(path, Fault(status=403))
    message = refused(site.address, tmp_path, FINE)
    assert f"this account has no access to {FINE}: ask for it, and accept its terms" in message
    assert len(site.requests(path)) == 1


@pytest.mark.parametrize("path", ["/login", "/downloads/"])
def test_403_before_any_package(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.next(path, Fault(status=403))
    assert "(403)" in refused(site.address, tmp_path, FINE)


def test_404(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), Fault(status=404))
    assert "gtFine_trainvaltest.zip: not found on 127.0.0.1 (404)" in refused(
        site.address, tmp_path, FINE
    )
    assert kept(tmp_path) == 70_000


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_5xx_is_tried_again(status: int, site: CityscapesSite, tmp_path: Path) -> None:
    for path in ("/login", "/downloads/", "/md5-sum/", "/file-handling/"):
        site.next(path, Fault(status=status))
    download([FINE], tmp_path, site.address, QUICK)
    assert site.statuses("/file-handling/") == {status: 1, 200: 1}


@pytest.mark.parametrize("path", ["/downloads/", "/md5-sum/", "/file-handling/"])
def test_5xx_without_end_is_given_up(path: str, site: CityscapesSite, tmp_path: Path) -> None:
    site.next(path, *[Fault(status=503)] * 99)
    assert f"(503); given up after {TRIES} tries" in refused(site.address, tmp_path, FINE)
    assert site.statuses(path) == {503: TRIES}


def test_a_server_that_is_out_of_order_from_the_start(site: CityscapesSite, tmp_path: Path) -> None:
    site.next("/login", *[Fault(status=500)] * 99)
    assert "login: 127.0.0.1 is out of order" in refused(site.address, tmp_path, FINE)
    assert list(site.faults["/login"]) != []


def test_retry_after_is_waited_for(
    site: CityscapesSite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(FINE), Fault(status=503, headers={"Retry-After": "1"}))
    download([FINE], tmp_path, site.address, QUICK)
    assert "next try in 1 s" in capfd.readouterr().out


def test_a_retry_after_beyond_reason_is_told(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000))
    site.next(site.file_path(FINE), Fault(status=503, headers={"Retry-After": "7200"}))
    message = refused(site.address, tmp_path, FINE)
    assert "asks to wait 120 minutes. 70.0 kB are kept in" in message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (format_datetime(NOW + datetime.timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - datetime.timedelta(seconds=90), usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert asked_wait(header, NOW) == seconds


def test_a_connection_that_is_always_cut(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(cut=70_000), *[Fault(cut=0)] * 99)
    message = refused(site.address, tmp_path, FINE)
    assert f"was cut; given up after {TRIES} tries. 70.0 kB are kept in" in message
    assert kept(tmp_path) == 70_000


def test_a_read_timeout_is_continued(
    site: CityscapesSite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(FINE), Fault(stall=70_000))
    download([FINE], tmp_path, site.address, QUICK)
    assert "127.0.0.1 sends nothing any more (read timeout); next try" in capfd.readouterr().out
    assert site.requests(site.file_path(FINE))[1].headers["Range"] == "bytes=70000-"


def test_a_read_timeout_without_end(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), *[Fault(stall=0)] * 99)
    assert "(read timeout); given up" in refused(site.address, tmp_path, FINE)


@pytest.mark.parametrize("range_", ["bytes 0-9/10", "lines 1-2/3", "", "bytes 70001-99999/200148"])
def test_another_range_than_was_asked_for(
    range_: str, site: CityscapesSite, tmp_path: Path
) -> None:
    wrong = Fault(headers={"Content-Range": range_})
    site.next(site.file_path(FINE), Fault(cut=70_000), *[wrong] * 99)
    assert "part of the file" in refused(site.address, tmp_path, FINE)
    assert kept(tmp_path) == 70_000


def test_a_compressed_answer_is_refused(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(headers={"Content-Encoding": "br"}))
    assert "sends it compressed" in refused(site.address, tmp_path, FINE)


@pytest.mark.parametrize("path", ["/login", "/downloads/", "/md5-sum/", "/file-handling/"])
def test_a_redirect_carries_nothing_to_another_host(
    path: str, site: CityscapesSite, tmp_path: Path
) -> None:
    with CityscapesSite(site.packages) as other:
        away = Fault(status=307, headers={"Location": f"{other.address}/x?token=session-cookie"})
        site.next(path, away)
        message = refused(site.address, tmp_path, FINE)
        assert "sends on to another address of 127.0.0.1 (307), and a login is not" in message
        assert other.seen == []


def test_a_name_that_the_list_does_not_have(site: CityscapesSite, tmp_path: Path) -> None:
    message = refused(site.address, tmp_path, "gtFine_trainvaltets.zip", "xyz.bin", COARSE)
    assert "  gtFine_trainvaltets.zip (did you mean gtFine_trainvaltest.zip?)" in message
    assert "\n  xyz.bin" in message
    assert COARSE not in message
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


def test_a_name_of_the_list_stays_in_the_folder(site: CityscapesSite, tmp_path: Path) -> None:
    site.packages["../out.zip"] = archive(3)
    site.digests["../out.zip"] = None
    site.sizes["../out.zip"] = "1MB"
    assert "no such packages" in refused(site.address, tmp_path / "target", "../out.zip")
    assert not list(tmp_path.glob("out*"))


def test_a_list_without_end(site: CityscapesSite, tmp_path: Path) -> None:
    site.list_text = "[" + " " * 3_000_000
    assert "something endless" in refused(site.address, tmp_path, FINE)


def test_a_disk_too_small_is_said_before(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, 10_000))
    message = refused(site.address, tmp_path, FINE, COARSE)
    assert "have to be downloaded, and 10.0 kB are free" in message
    assert f"  {COARSE}: " in message
    assert site.bytes_sent() == 0


def test_bytes_that_are_here_need_no_space(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE][:195_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, 10_000))
    download([FINE], tmp_path, site.address, QUICK)
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
        (errno.EIO, "cannot be written"),
    ],
)
def test_a_disk_that_fills_up_keeps_the_part(
    number: int,
    words: str,
    site: CityscapesSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = part.Path.open

    def limited(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return _Disk(path, "a") if mode == "ab" else opened(path, mode, *arguments, **options)

    with monkeypatch.context() as small:
        small.setattr(_Disk, "number", number)
        small.setattr(part.Path, "open", limited)
        message = refused(site.address, tmp_path, FINE)
    assert words in message
    assert "100.0 kB are kept in" in message
    assert (tmp_path / f"{FINE}.part").read_bytes() == site.packages[FINE][:100_000]
    download([FINE], tmp_path, site.address, QUICK)
    assert site.requests(site.file_path(FINE))[-1].headers["Range"] == "bytes=100000-"
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]


def test_a_full_disk_stops_the_other_packages(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = part.Path.open

    def limited(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        full = mode == "ab" and path.name.startswith(FINE)
        if full:
            other = tmp_path / f"{COARSE}.part"
            while not (other.exists() and other.stat().st_size == 20_000):
                time.sleep(0.01)
        return _Disk(path, "a") if full else opened(path, mode, *arguments, **options)

    monkeypatch.setattr(part.Path, "open", limited)
    begun = time.monotonic()
    site.next(site.file_path(COARSE), Fault(stall=20_000))
    patient = type(QUICK)(read_timeout=30.0)
    message = refused(site.address, tmp_path, FINE, COARSE, patience=patient)
    assert message.startswith(f"{FINE}: the disk is full")
    assert time.monotonic() - begun < 15  # and not the 30 s of the read timeout
    assert (tmp_path / f"{COARSE}.part").read_bytes() == site.packages[COARSE][:20_000]


def test_a_limit_on_the_size_of_files(site: CityscapesSite, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        message = refused(site.address, tmp_path, FINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "takes no larger file. 100.0 kB are kept" in message
    assert kept(tmp_path) == 100_000


def test_a_folder_that_cannot_be(site: CityscapesSite, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made" in refused(site.address, tmp_path / "file/folder", FINE)
    (tmp_path / "a" / ".lock").mkdir(parents=True)
    assert "cannot be written (Is a directory)" in refused(site.address, tmp_path / "a", FINE)
    (tmp_path / "b" / f"{FINE}.part.json").mkdir(parents=True)
    assert "cannot be written or read" in refused(site.address, tmp_path / "b", FINE)


def test_nobody_answers(site: CityscapesSite, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = refused(f"http://127.0.0.1:{port}", tmp_path, FINE)
    assert "login: 127.0.0.1 refuses the connection; given up after 2 tries" in message


def test_a_name_that_is_not_found(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    message = refused("https://www.cityscapes.invalid", tmp_path, FINE)
    assert "the name www.cityscapes.invalid is not found (DNS)" in message


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
        download([FINE, COARSE], tmp_path / "target", other.address, QUICK)
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
    assert "the proxy on the way to www.cityscapes.invalid (HTTPS_PROXY)" in message


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://www.cityscapes-dataset.com", "a password is sent over https only"),
        ("http://127.0.0.1.example.org", "a password is sent over https only"),
        ("ftp://127.0.0.1", "https only"),
        ("https://me:anything@www.cityscapes-dataset.com", "of the form https://HOST"),
        ("www.cityscapes-dataset.com", "of the form https://HOST"),
    ],
)
def test_an_address_that_gets_no_password(
    address: str, words: str, site: CityscapesSite, tmp_path: Path
) -> None:
    assert words in refused(address, tmp_path, FINE)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.ConnectTimeout(), "does not take the connection in time"),
        (requests.exceptions.SSLError(ssl.SSLEOFError()), r"connection \(TLS\) failed"),
        (urllib3.exceptions.ProtocolError("x", ConnectionResetError()), "was cut"),
        (requests.exceptions.InvalidSchema("socks"), r"cannot be asked \(InvalidSchema\)"),
    ],
)
def test_other_faults_of_the_network(error: Exception, words: str) -> None:
    with pytest.raises(Exception, match=words):
        raise network_fault(error, "host")
    permanent = isinstance(network_fault(error, "host"), SiteError)
    assert permanent == isinstance(error, requests.exceptions.InvalidSchema)


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

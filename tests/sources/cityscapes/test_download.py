"""Packages of Cityscapes: they come whole, once, and are continued after a break."""

import hashlib
import io
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from segpipe.runtime.lock import held_file
from segpipe.sources.archives import unpack
from segpipe.sources.cityscapes import download as download_module
from segpipe.sources.cityscapes.download import download
from tests.sources.cityscapes.server import (
    ATTEMPTS,
    PASSWORD,
    USERNAME,
    CityscapesSite,
    Fault,
    archive,
    be_quick,
    refused,
)

FINE, IMAGES, COARSE = "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip", "gtCoarse.zip"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[CityscapesSite]:
    be_quick(monkeypatch)
    monkeypatch.setenv("CITYSCAPES_USERNAME", USERNAME)
    monkeypatch.setenv("CITYSCAPES_PASSWORD", PASSWORD)
    content = {FINE: archive(1), IMAGES: archive(2, 700_000), COARSE: archive(3, 50_000)}
    with CityscapesSite(content) as opened:
        yield opened


def brought(site: CityscapesSite, target: Path, name: str = FINE) -> Path:
    download([name], target, site.address)
    return target / name


def ranges(site: CityscapesSite, name: str) -> list[str | None]:
    return [seen.headers.get("Range") for seen in site.requests(site.file_path(name))]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_packages_come_whole_in_the_order_of_the_names(
    site: CityscapesSite, tmp_path: Path
) -> None:
    target = tmp_path / "not/yet/there"
    names = [IMAGES, FINE, COARSE]
    download(names, target, site.address)
    assert [(target / name).read_bytes() for name in names] == [
        site.packages[name] for name in names
    ]
    asked = [seen.path for seen in site.requests("/file-handling/")]
    assert asked == [site.file_path(name) for name in names]
    assert site.bytes_sent() == sum(len(content) for content in site.packages.values())
    assert len(site.requests("/login")) == 2
    (tmp_path / "raw").mkdir()
    unpack(target / FINE, tmp_path / "raw")
    assert (tmp_path / "raw/leftImg8bit/train/a/a.png").stat().st_size == 200_000


def test_the_record_tells_size_and_digest(site: CityscapesSite, tmp_path: Path) -> None:
    path = brought(site, tmp_path)
    receipt = json.loads((tmp_path / f"{FINE}.json").read_text())
    assert receipt == {
        "bytes": len(site.packages[FINE]),
        "md5": hashlib.md5(site.packages[FINE]).hexdigest(),
        "modified_ns": path.stat().st_mtime_ns,
    }
    assert files(tmp_path) == {FINE, f"{FINE}.json"}


def test_what_is_whole_is_not_asked_for_again_and_needs_no_login(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download([FINE], tmp_path, site.address)
    before = len(site.seen)
    monkeypatch.delenv("CITYSCAPES_PASSWORD")
    download([FINE], tmp_path, site.address)
    assert len(site.seen) == before


def test_what_is_whole_waits_for_no_other_process(site: CityscapesSite, tmp_path: Path) -> None:
    download([FINE], tmp_path, site.address)
    with held_file(tmp_path / ".lock", pytest.fail):
        download([FINE], tmp_path, site.address)
    assert len(site.requests(site.file_path(FINE))) == 1


def test_only_the_missing_package_is_asked_for(site: CityscapesSite, tmp_path: Path) -> None:
    download([FINE], tmp_path, site.address)
    download([FINE, COARSE], tmp_path, site.address)
    assert len(site.requests(site.file_path(FINE))) == 1
    assert (tmp_path / COARSE).read_bytes() == site.packages[COARSE]


def test_a_copied_folder_is_known_by_its_digest(site: CityscapesSite, tmp_path: Path) -> None:
    download([FINE], tmp_path / "a", site.address)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    os.utime(tmp_path / "b" / FINE, (1, 1))
    before = len(site.seen)
    download([FINE], tmp_path / "b", site.address)
    assert len(site.seen) == before
    receipt = json.loads((tmp_path / "b" / f"{FINE}.json").read_text())
    assert receipt["modified_ns"] == 10**9  # so that it need not be read again


def test_the_receipt_of_an_earlier_version_is_believed(
    site: CityscapesSite, tmp_path: Path
) -> None:
    path = brought(site, tmp_path)
    receipt = tmp_path / f"{FINE}.json"
    receipt.write_text(json.dumps({**json.loads(receipt.read_text()), "md5_published": True}))
    before = len(site.seen)
    download([path.name], tmp_path, site.address)
    assert len(site.seen) == before


def test_an_end_before_the_receipt_was_written_costs_no_byte(
    site: CityscapesSite, tmp_path: Path
) -> None:
    (tmp_path / FINE).write_bytes(site.packages[FINE])
    (tmp_path / f"{FINE}.json").write_text(json.dumps({"md5": site.digests[FINE]}))
    download([FINE], tmp_path, site.address)
    assert site.seen == []


@pytest.mark.parametrize("harm", ["flipped", "cut", "no receipt", "broken receipt"])
def test_a_file_that_is_not_as_recorded_is_verified_and_mended(
    harm: str, site: CityscapesSite, tmp_path: Path
) -> None:
    path = brought(site, tmp_path)
    receipt = tmp_path / f"{FINE}.json"
    content = path.read_bytes()
    sent = site.bytes_sent()
    if harm == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, (1, 1))
    elif harm == "cut":
        before = path.stat().st_mtime_ns
        path.write_bytes(content[:150_000])
        os.utime(path, ns=(before, before))
    elif harm == "no receipt":
        receipt.unlink()
    else:
        receipt.write_text('{"bytes": ')
    download([FINE], tmp_path, site.address)
    assert path.read_bytes() == content
    again = {"flipped": len(content), "cut": len(content) - 150_000}.get(harm, 0)
    assert site.bytes_sent() - sent == again


def test_a_cut_connection_is_continued_where_it_was_cut(
    site: CityscapesSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(IMAGES), Fault(cut=300_000), Fault(cut=100_000))
    path = brought(site, tmp_path, IMAGES)
    assert path.read_bytes() == site.packages[IMAGES]
    assert ranges(site, IMAGES) == [None, "bytes=300000-", "bytes=400000-"]
    assert site.bytes_sent() == len(site.packages[IMAGES])
    assert "failed (IncompleteRead); attempt 2 of 4 in 0 s" in capsys.readouterr().out


def test_a_line_that_breaks_often_is_borne_while_bytes_come(
    site: CityscapesSite, tmp_path: Path
) -> None:
    breaks = ATTEMPTS * 3
    site.next(site.file_path(IMAGES), *[Fault(cut=50_000)] * breaks)
    download([IMAGES], tmp_path, site.address)
    assert len(ranges(site, IMAGES)) == breaks + 1
    assert site.bytes_sent() == len(site.packages[IMAGES])


def test_the_next_call_asks_only_for_the_rest(
    site: CityscapesSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(IMAGES), Fault(cut=250_000), *[Fault(status=500)] * ATTEMPTS)
    message = refused(site.address, tmp_path, IMAGES)
    assert "given up after" in message
    assert f"{IMAGES}.part: 250kB are kept, and the next start continues" in capsys.readouterr().out
    assert (tmp_path / f"{IMAGES}.part").read_bytes() == site.packages[IMAGES][:250_000]
    site.faults.clear()
    path = brought(site, tmp_path, IMAGES)
    assert path.read_bytes() == site.packages[IMAGES]
    assert ranges(site, IMAGES)[-1] == "bytes=250000-"
    assert site.requests(site.file_path(IMAGES))[-1].sent == len(site.packages[IMAGES]) - 250_000


def part_of(site: CityscapesSite, tmp_path: Path, count: int) -> Path:
    """Leave a part of so many bytes behind, as a broken transfer does."""
    site.next(site.file_path(FINE), Fault(cut=count), *[Fault(status=500)] * ATTEMPTS)
    refused(site.address, tmp_path, FINE)
    site.faults.clear()
    assert (tmp_path / f"{FINE}.part").stat().st_size == count
    return tmp_path / f"{FINE}.part"


def test_a_server_that_knows_no_ranges_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    part_of(site, tmp_path, 60_000)
    site.next(site.file_path(FINE), Fault(plain=True))
    path = brought(site, tmp_path)
    assert path.read_bytes() == site.packages[FINE]
    assert site.requests(site.file_path(FINE))[-1].status == 200


def test_a_complete_part_without_notes_is_verified_by_416(
    site: CityscapesSite, tmp_path: Path
) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE])
    path = brought(site, tmp_path)
    assert path.read_bytes() == site.packages[FINE]
    assert site.statuses("/file-handling/") == {416: 1}
    assert site.bytes_sent() == 0


def test_a_part_longer_than_the_file_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE] + b"more")
    path = brought(site, tmp_path)
    assert path.read_bytes() == site.packages[FINE]
    assert site.statuses("/file-handling/") == {416: 1, 200: 1}


def test_a_part_of_an_older_file_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    part_of(site, tmp_path, 60_000)
    site.packages[FINE] = archive(9)
    site.digests[FINE] = hashlib.md5(site.packages[FINE]).hexdigest()
    path = brought(site, tmp_path)
    assert path.read_bytes() == site.packages[FINE]
    assert ranges(site, FINE)[-1] is None


def test_a_transfer_without_a_length_is_settled_by_the_digest(
    site: CityscapesSite, tmp_path: Path
) -> None:
    site.chunked = True
    site.next(site.file_path(FINE), Fault(cut=60_000))
    path = brought(site, tmp_path)
    assert path.read_bytes() == site.packages[FINE]
    assert ranges(site, FINE) == [None, "bytes=60000-"]


def test_a_wrong_digest_removes_the_part_once(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(garbage=True))
    message = refused(site.address, tmp_path, FINE)
    assert str(site.digests[FINE]) in message
    assert "so they were removed; start again" in message
    assert files(tmp_path) == set()
    assert len(ranges(site, FINE)) == 1
    download([FINE], tmp_path, site.address)
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]


def test_a_wrong_byte_in_the_part_that_was_there_is_found(
    site: CityscapesSite, tmp_path: Path
) -> None:
    part = part_of(site, tmp_path, 60_000)
    content = bytearray(part.read_bytes())
    content[30_000] ^= 1
    part.write_bytes(bytes(content))
    assert f"came, but the site publishes {site.digests[FINE]}" in refused(
        site.address, tmp_path, FINE
    )
    assert files(tmp_path) == set()


def test_one_refused_package_does_not_stop_the_others(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(status=403))
    site.next(site.file_path(COARSE), Fault(status=404))
    message = refused(site.address, tmp_path, FINE, IMAGES, COARSE)
    first, second = message.splitlines()
    assert first.startswith(f"{FINE}: {site.address} answers with status 403, refused")
    assert second.startswith(f"{COARSE}: {site.address} answers with status 404, not found")
    assert (tmp_path / IMAGES).read_bytes() == site.packages[IMAGES]


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    site: CityscapesSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    part_of(site, tmp_path, 60_000)
    capsys.readouterr()
    monkeypatch.setattr(download_module, "SECONDS_BETWEEN_LINES", 0.0)
    download([FINE], tmp_path, site.address)
    told = capsys.readouterr()
    assert told.err == ""
    assert "\r" not in told.out
    first, *lines, last = told.out.splitlines()
    assert first == f"about 140kB to download from {site.address} into {tmp_path}"
    assert last == f"{FINE}: 200kB are here (MD5 as published)"
    # What was there counts as done, and not into the rate.
    line = rf"{FINE}: (\d+\.?\d*)kB of 200kB, \d+\.?\d*[kM]?B/s"
    sizes = [float(found[1]) for found in map(re.compile(line).fullmatch, lines) if found]
    assert len(sizes) == len(lines) >= 1
    assert sizes == sorted(sizes) and sizes[0] >= 60 and sizes[-1] == 200


def test_progress_is_a_bar_on_a_terminal(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    part_of(site, tmp_path, 60_000)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    download([FINE], tmp_path, site.address)
    bars = [text for text in terminal.getvalue().split("\r") if "%" in text]
    assert bars[0].startswith(f"{FINE}:  30%")
    assert bars[-1].startswith(f"{FINE}: 100%")
    assert "200k/200k" in bars[-1] and "B/s" in bars[-1]


def test_the_same_name_twice_is_brought_once(site: CityscapesSite, tmp_path: Path) -> None:
    download([FINE, FINE], tmp_path, site.address)
    assert len(ranges(site, FINE)) == 1


def test_any_cut_leads_to_the_same_file(site: CityscapesSite, tmp_path: Path) -> None:
    size = len(site.packages[COARSE])
    for number, (first, second) in enumerate(itertools.product((1, 2, 17_000, size - 1), repeat=2)):
        site.next(site.file_path(COARSE), Fault(cut=first), Fault(cut=second))
        path = brought(site, tmp_path / str(number), COARSE)
        assert path.read_bytes() == site.packages[COARSE]
        site.faults.clear()

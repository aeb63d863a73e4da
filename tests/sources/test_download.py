"""Packages of Cityscapes: they come whole, once, and are continued after a break."""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from segpipe.sources.archives import unpack
from segpipe.sources.download.packages import download
from tests.sources.cityscapes_site import (
    PASSWORD,
    QUICK,
    USERNAME,
    CityscapesSite,
    Fault,
    archive,
    refused,
)

FINE, IMAGES, COARSE = "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip", "gtCoarse.zip"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[CityscapesSite]:
    monkeypatch.setenv("CITYSCAPES_USERNAME", USERNAME)
    monkeypatch.setenv("CITYSCAPES_PASSWORD", PASSWORD)
    content = {FINE: archive(1), IMAGES: archive(2, 700_000), COARSE: archive(3, 50_000)}
    with CityscapesSite(content) as opened:
        yield opened


def ranges(site: CityscapesSite, name: str) -> list[str | None]:
    return [seen.headers.get("Range") for seen in site.requests(site.file_path(name))]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_packages_come_whole_in_the_order_of_the_names(
    site: CityscapesSite, tmp_path: Path
) -> None:
    target = tmp_path / "not/yet/there"
    paths = download([IMAGES, FINE, COARSE], target, site.address, QUICK)
    assert paths == [target / IMAGES, target / FINE, target / COARSE]
    assert [path.read_bytes() for path in paths] == [
        site.packages[name] for name in (IMAGES, FINE, COARSE)
    ]
    assert site.bytes_sent() == sum(len(content) for content in site.packages.values())
    assert len(site.requests("/login")) == 2
    (tmp_path / "raw").mkdir()
    unpack(paths[1], tmp_path / "raw")
    assert (tmp_path / "raw/leftImg8bit/train/a/a.png").stat().st_size == 200_000


def test_the_record_tells_size_and_digest(site: CityscapesSite, tmp_path: Path) -> None:
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    receipt = json.loads((tmp_path / f"{FINE}.json").read_text())
    assert receipt["bytes"] == path.stat().st_size
    assert receipt["md5"] == hashlib.md5(site.packages[FINE]).hexdigest()
    assert receipt["md5_published"] is True
    assert files(tmp_path) == {FINE, f"{FINE}.json"}


def test_what_is_whole_is_not_asked_for_again_and_needs_no_login(
    site: CityscapesSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download([FINE], tmp_path, site.address, QUICK)
    before = len(site.seen)
    monkeypatch.delenv("CITYSCAPES_PASSWORD")
    assert download([FINE], tmp_path, site.address, QUICK) == [tmp_path / FINE]
    assert len(site.seen) == before


def test_only_the_missing_package_is_asked_for(site: CityscapesSite, tmp_path: Path) -> None:
    download([FINE], tmp_path, site.address, QUICK)
    download([FINE, COARSE], tmp_path, site.address, QUICK)
    assert len(site.requests(site.file_path(FINE))) == 1
    assert (tmp_path / COARSE).read_bytes() == site.packages[COARSE]


def test_a_copied_folder_is_known_by_its_digest(site: CityscapesSite, tmp_path: Path) -> None:
    download([FINE], tmp_path / "a", site.address, QUICK)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    os.utime(tmp_path / "b" / FINE, (1, 1))
    before = len(site.seen)
    download([FINE], tmp_path / "b", site.address, QUICK)
    assert len(site.seen) == before


@pytest.mark.parametrize("harm", ["flipped", "cut", "no receipt", "broken receipt"])
def test_a_file_that_is_not_as_recorded_is_verified_and_mended(
    harm: str, site: CityscapesSite, tmp_path: Path
) -> None:
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    receipt = tmp_path / f"{FINE}.json"
    content = path.read_bytes()
    sent = site.bytes_sent()
    if harm == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, (1, 1))
        assert "it was removed" in refused(site.address, tmp_path, FINE)
        assert files(tmp_path) == {f"{FINE}.json"}
    elif harm == "cut":
        path.write_bytes(content[:150_000])
    elif harm == "no receipt":
        receipt.unlink()
    else:
        receipt.write_text('{"bytes": ')
    download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == content
    again = {"flipped": len(content), "cut": len(content) - 150_000}.get(harm, 0)
    assert site.bytes_sent() - sent == again


def test_a_cut_connection_is_continued_where_it_was_cut(
    site: CityscapesSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.next(site.file_path(IMAGES), Fault(cut=300_000), Fault(cut=100_000))
    (path,) = download([IMAGES], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[IMAGES]
    assert ranges(site, IMAGES) == [None, "bytes=300000-", "bytes=400000-"]
    assert site.bytes_sent() == len(site.packages[IMAGES])
    assert "was cut; next try" in capsys.readouterr().out


def test_a_line_that_breaks_often_is_borne_while_bytes_come(
    site: CityscapesSite, tmp_path: Path
) -> None:
    breaks = QUICK.attempts * 3
    site.next(site.file_path(IMAGES), *[Fault(cut=50_000)] * breaks)
    download([IMAGES], tmp_path, site.address, QUICK)
    assert len(ranges(site, IMAGES)) == breaks + 1
    assert site.bytes_sent() == len(site.packages[IMAGES])


def test_the_next_call_asks_only_for_the_rest(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(IMAGES), Fault(cut=250_000), *[Fault(status=500)] * QUICK.attempts)
    message = refused(site.address, tmp_path, IMAGES)
    assert "given up after" in message
    assert "250.0 kB are kept in" in message
    assert (tmp_path / f"{IMAGES}.part").read_bytes() == site.packages[IMAGES][:250_000]
    site.faults.clear()
    (path,) = download([IMAGES], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[IMAGES]
    assert ranges(site, IMAGES)[-1] == "bytes=250000-"
    assert site.requests(site.file_path(IMAGES))[-1].sent == len(site.packages[IMAGES]) - 250_000


def part_of(site: CityscapesSite, tmp_path: Path, count: int) -> Path:
    """Leave a part of so many bytes behind, as a broken transfer does."""
    site.next(site.file_path(FINE), Fault(cut=count), *[Fault(status=500)] * QUICK.attempts)
    refused(site.address, tmp_path, FINE)
    site.faults.clear()
    assert (tmp_path / f"{FINE}.part").stat().st_size == count
    return tmp_path / f"{FINE}.part"


def test_a_server_that_knows_no_ranges_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    part_of(site, tmp_path, 60_000)
    site.next(site.file_path(FINE), Fault(plain=True))
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]
    assert site.requests(site.file_path(FINE))[-1].status == 200


def test_a_complete_part_without_notes_is_verified_by_416(
    site: CityscapesSite, tmp_path: Path
) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE])
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]
    assert site.statuses("/file-handling/") == {416: 1}
    assert site.bytes_sent() == 0


def test_a_416_without_a_size_is_settled_by_the_digest(
    site: CityscapesSite, tmp_path: Path
) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE])
    site.next(site.file_path(FINE), Fault(status=416))
    download([FINE], tmp_path, site.address, QUICK)
    assert site.bytes_sent() == 0


def test_a_part_longer_than_the_file_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    (tmp_path / f"{FINE}.part").write_bytes(site.packages[FINE] + b"more")
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]
    assert site.statuses("/file-handling/") == {416: 1, 200: 1}


def test_a_part_of_an_older_file_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    part_of(site, tmp_path, 60_000)
    site.packages[FINE] = archive(9)
    site.digests[FINE] = hashlib.md5(site.packages[FINE]).hexdigest()
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]
    assert ranges(site, FINE)[-1] is None


def test_another_entity_tag_with_the_same_digest_loses_nothing(
    site: CityscapesSite, tmp_path: Path
) -> None:
    site.etags[FINE] = '"one"'
    part_of(site, tmp_path, 60_000)
    site.etags[FINE] = '"two"'
    download([FINE], tmp_path, site.address, QUICK)
    assert ranges(site, FINE)[-1] == "bytes=60000-"
    assert site.requests(site.file_path(FINE))[-1].status == 206


@pytest.mark.parametrize("etag", ['"one"', '"two"'])
def test_without_a_digest_the_entity_tag_says_whether_to_continue(
    etag: str, site: CityscapesSite, tmp_path: Path
) -> None:
    site.digests[FINE] = None
    site.etags[FINE] = '"one"'
    part_of(site, tmp_path, 60_000)
    site.etags[FINE] = etag
    if etag == '"two"':
        site.packages[FINE] = archive(9)
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]
    last = site.requests(site.file_path(FINE))[-1]
    assert last.headers["If-Range"] == '"one"'
    assert last.status == (206 if etag == '"one"' else 200)
    receipt = json.loads((tmp_path / f"{FINE}.json").read_text())
    assert receipt["md5_published"] is False
    assert receipt["md5"] == hashlib.md5(site.packages[FINE]).hexdigest()


def test_without_a_digest_another_size_begins_anew(site: CityscapesSite, tmp_path: Path) -> None:
    site.digests[FINE] = None
    part_of(site, tmp_path, 60_000)
    site.packages[FINE] = archive(9, 300_000)
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]


def test_a_transfer_without_a_length_is_settled_by_the_digest(
    site: CityscapesSite, tmp_path: Path
) -> None:
    site.chunked = True
    site.next(site.file_path(FINE), Fault(cut=60_000))
    (path,) = download([FINE], tmp_path, site.address, QUICK)
    assert path.read_bytes() == site.packages[FINE]
    assert ranges(site, FINE) == [None, "bytes=60000-"]


def test_neither_length_nor_digest_is_refused(site: CityscapesSite, tmp_path: Path) -> None:
    site.chunked = True
    site.digests[FINE] = None
    assert "neither its size nor its MD5" in refused(site.address, tmp_path, FINE)


def test_a_wrong_digest_removes_the_part_once(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(garbage=True))
    message = refused(site.address, tmp_path, FINE)
    assert str(site.digests[FINE]) in message
    assert "it was removed; start again" in message
    assert files(tmp_path) == set()
    assert len(ranges(site, FINE)) == 1
    download([FINE], tmp_path, site.address, QUICK)
    assert (tmp_path / FINE).read_bytes() == site.packages[FINE]


def test_a_wrong_byte_in_the_part_that_was_there_is_found(
    site: CityscapesSite, tmp_path: Path
) -> None:
    part = part_of(site, tmp_path, 60_000)
    content = bytearray(part.read_bytes())
    content[30_000] ^= 1
    part.write_bytes(bytes(content))
    assert "its MD5 is" in refused(site.address, tmp_path, FINE)
    assert files(tmp_path) == set()


def test_packages_come_side_by_side_three_at_most(site: CityscapesSite, tmp_path: Path) -> None:
    site.packages = {f"{seed}.zip": archive(seed, 80_000) for seed in range(5)}
    site.digests = dict.fromkeys(site.packages)
    site.sizes = dict.fromkeys(site.packages, "79KB")
    site.delay = 0.05
    download(["0.zip"], tmp_path, site.address, QUICK)
    assert site.most_active == 1
    download(list(site.packages), tmp_path, site.address, QUICK)
    assert site.most_active == 3


def test_one_refused_package_does_not_stop_the_others(site: CityscapesSite, tmp_path: Path) -> None:
    site.next(site.file_path(FINE), Fault(status=403))
    site.next(site.file_path(COARSE), Fault(status=404))
    message = refused(site.address, tmp_path, FINE, IMAGES, COARSE)
    assert message.startswith("2 packages could not be brought:")
    assert "no access to gtFine_trainvaltest.zip" in message
    assert "gtCoarse.zip: not found" in message
    assert (tmp_path / IMAGES).read_bytes() == site.packages[IMAGES]


def test_one_login_serves_all_threads_when_the_session_expires(
    site: CityscapesSite, tmp_path: Path
) -> None:
    for number in range(20):
        site.packages[f"more{number}.zip"] = archive(number, 3000)
        site.digests[f"more{number}.zip"] = None
        site.sizes[f"more{number}.zip"] = "3KB"
    for number in range(0, 20, 5):
        site.next(site.file_path(f"more{number}.zip"), Fault(expire=True))
    paths = download(list(site.packages), tmp_path, site.address, QUICK)
    assert [path.read_bytes() for path in paths] == list(site.packages.values())
    assert sum(seen.method == "POST" for seen in site.seen) == 5


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    site: CityscapesSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part_of(site, tmp_path, 60_000)
    capsys.readouterr()
    download([FINE, IMAGES], tmp_path, site.address, QUICK)
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert "\r" not in told.err
    # What was there counts as done: 60 kB of 900 kB.
    assert lines[0].startswith("download 2 packages:   7%")
    assert lines[-1].startswith("download 2 packages: 100%")
    assert "900k/900k" in lines[-1]
    assert "B/s" in lines[-1]
    assert f"{FINE}: 200.1 kB are here (MD5 as published)" in told.out


def test_the_same_name_twice_is_brought_once(site: CityscapesSite, tmp_path: Path) -> None:
    assert download([FINE, FINE], tmp_path, site.address, QUICK) == [tmp_path / FINE] * 2
    assert len(ranges(site, FINE)) == 1


def test_any_cut_leads_to_the_same_file(site: CityscapesSite, tmp_path: Path) -> None:
    size = len(site.packages[COARSE])
    for number, (first, second) in enumerate(itertools.product((1, 2, 17_000, size - 1), repeat=2)):
        site.next(site.file_path(COARSE), Fault(cut=first), Fault(cut=second))
        (path,) = download([COARSE], tmp_path / str(number), site.address, QUICK)
        assert path.read_bytes() == site.packages[COARSE]
        site.faults.clear()

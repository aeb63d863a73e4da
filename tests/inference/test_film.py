"""Films: what is read of them, and what is written (film.py)."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from segpipe.inference import film as film_module
from segpipe.inference.film import FilmReader, FilmWriter, film_comment
from segpipe.runtime.errors import DataError, ParameterError
from tests.inference.films import grey, read_film, turn_sideways, write_film

RATE = Fraction(30000, 1001)


def read(path: Path) -> FilmReader:
    return FilmReader(str(path), path.name)


def copy(path: Path, target: Path) -> None:
    reader = read(path)
    with FilmWriter(target, reader, "by a test") as writer:
        for frame in reader.frames():
            writer.add(frame.picture_HW3, frame.seconds)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm"])
def test_every_frame_is_read_in_order(suffix: str, tmp_path: Path) -> None:
    values = [20, 60, 100, 140, 180, 220, 40]
    codec = "libvpx-vp9" if suffix == ".webm" else "mpeg4" if suffix == ".avi" else "libx264"
    reader = read(write_film(tmp_path / f"a{suffix}", [grey(v) for v in values], 10, codec))
    frames = [*reader.frames()]
    assert [frame.number for frame in frames] == [*range(7)]
    assert [round(float(frame.seconds), 2) for frame in frames] == [n / 10 for n in range(7)]
    assert reader.rate == 10
    assert reader.fault == ""
    found = [frame.picture_HW3.mean() for frame in frames]
    assert np.abs(np.array(found) - values).max() < 6
    assert {frame.picture_HW3.shape for frame in frames} == {(32, 48, 3)}


def test_a_film_without_loss_is_read_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (20, 30, 3)).astype(np.uint8) for _ in range(4)]
    frames = [*read(write_film(tmp_path / "a.mkv", pictures, codec="ffv1")).frames()]
    assert all(
        (one.picture_HW3 == other).all() for one, other in zip(frames, pictures, strict=True)
    )


def test_size_rate_times_and_number_are_kept(tmp_path: Path) -> None:
    """Also uneven times, as phones write them, and sides that are odd."""
    times = [0, 1, 2, 5, 6, 9, 10]
    for sides in ((32, 48), (31, 47)):
        for spacing in (None, times):
            made = [grey(30 * n, *sides) for n in range(7)]
            codec = "libx264" if sides[0] % 2 == 0 else "ffv1"
            path = write_film(tmp_path / "a.mkv", made, RATE, codec, spacing)
            copy(path, tmp_path / "b.mp4")
            pictures, found, rate = read_film(tmp_path / "b.mp4")
            assert [picture.shape for picture in pictures] == [(*sides, 3)] * 7
            expected = np.array(spacing or range(7)) / float(RATE)
            assert np.abs(np.array(found) - expected).max() < 2e-3  # Matroska counts milliseconds
            if spacing is None:
                assert abs(rate / RATE - 1) < 0.01
    copy(write_film(tmp_path / "a.mp4", [grey(30 * n) for n in range(7)], RATE), tmp_path / "c.mp4")
    assert read_film(tmp_path / "c.mp4")[2] == RATE


def test_colours_come_back(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 180, 60), (50, 60, 210), (128, 64, 128)]
    made = [np.full((64, 64, 3), colour, np.uint8) for colour in colours]
    copy(write_film(tmp_path / "a.mkv", made, codec="ffv1"), tmp_path / "b.mp4")
    for frame, colour in zip(read(tmp_path / "b.mp4").frames(), colours, strict=True):
        assert np.abs(frame.picture_HW3.mean((0, 1)) - colour).max() < 4


def test_films_of_phones_are_turned_upright(tmp_path: Path) -> None:
    stored = grey(30)
    stored[:, :24] = 200  # the left half becomes the upper one
    turn_sideways(write_film(tmp_path / "a.mp4", [stored] * 3))
    frames = [*read(tmp_path / "a.mp4").frames()]
    assert {frame.picture_HW3.shape for frame in frames} == {(48, 32, 3)}
    assert frames[0].picture_HW3[:20].mean() > 180
    assert frames[0].picture_HW3[28:].mean() < 50
    copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert read_film(tmp_path / "b.mp4")[0][0].shape == (48, 32, 3)


def noise(frames: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(frames)]


def test_of_a_film_that_is_cut_off_what_is_there_is_read(tmp_path: Path) -> None:
    for name, options in (("a.mkv", {}), ("a.mp4", {"movflags": "faststart"})):
        whole = write_film(tmp_path / name, noise(60), **options)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        reader = read(whole)
        number = len([*reader.frames()])
        assert 10 < number < 50
        of_all = "of 2.4 seconds" if name == "a.mkv" else f"{number} of 60 frames"
        assert f"{of_all} could be read" in reader.fault


def test_damage_amid_a_film_is_passed_over_and_said(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", noise(60))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    reader = read(path)
    assert len([*reader.frames()]) > 50
    assert "frames are damaged" in reader.fault


def test_what_is_no_film_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film" * 100)
    with pytest.raises(DataError, match=r"a\.mp4: cannot be read as a film: Invalid data"):
        read(tmp_path / "a.mp4")
    whole = write_film(tmp_path / "b.mp4", noise(20))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # the index is at the end
    with pytest.raises(DataError, match=r"b\.mp4: cannot be read as a film"):
        read(whole)


def test_a_list_of_files_that_is_called_a_film_opens_none_of_them(tmp_path: Path) -> None:
    write_film(tmp_path / "other.ts", [grey(9)] * 5)
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile other.ts\n")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.format.name == "concat", "else nothing is shown here"
    with pytest.raises(DataError, match=r"a\.mp4: cannot be read as a film"):
        read(tmp_path / "a.mp4")
    assert film_comment(tmp_path / "a.mp4") is None


def test_without_h264_the_film_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_module, "_ENCODERS", ("none such", "mpeg4"))
    copy(write_film(tmp_path / "a.mp4", [grey(90)] * 5, RATE), tmp_path / "b.mp4")
    pictures, _, rate = read_film(tmp_path / "b.mp4")
    assert len(pictures) == 5
    assert abs(rate / RATE - 1) < 1e-3
    monkeypatch.setattr(film_module, "_ENCODERS", ("none such",))
    with pytest.raises(ParameterError, match="encodes none of none such"):
        copy(tmp_path / "a.mp4", tmp_path / "c.mp4")


def test_the_comment_is_read_back(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [grey(9)] * 2)
    copy(path, tmp_path / "b.mp4")
    assert film_comment(tmp_path / "b.mp4") == "by a test"
    assert film_comment(path) is None
    (tmp_path / "c.mp4").write_bytes(b"none")
    assert film_comment(tmp_path / "c.mp4") is None


def test_without_pyav_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ParameterError, match=r"pip install 'segpipe\[video\]'"):
        film_module.require_av()

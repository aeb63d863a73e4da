"""Films and cameras from the command line: overlays, labels, refusals (predict_film.py)."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.bundle_format import SHIPPED
from segpipe.cli import predict as command
from segpipe.inference import film as module
from segpipe.inference.film import FilmReader, FilmWriter, open_camera
from segpipe.inference.predict_film import FilmTarget, predict_film
from segpipe.inference.predictor import load_model
from segpipe.runtime.errors import ParameterError
from tests.cli.test_predict import brightness, predict  # noqa: F401
from tests.forge import save, scene
from tests.inference.films import grey, read_film, write_film


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The frames of overlays before they are encoded."""
    found: list[np.ndarray] = []
    add = FilmWriter.add

    def noted(self: FilmWriter, picture_HW3: Any, seconds: Any) -> None:
        found.append(picture_HW3.copy())
        add(self, picture_HW3, seconds)

    monkeypatch.setattr(FilmWriter, "add", noted)
    return found


def test_frames_are_labelled_as_pictures_are(tmp_path: Path, added: list[np.ndarray]) -> None:
    """On one device and on two; what the film shows is that within the codec's loss."""
    scenes = [scene(n)[0] for n in range(20)]
    film = write_film(tmp_path / "a.mkv", scenes, 10, "ffv1")
    for number, picture in enumerate(scenes):
        save(tmp_path / f"in/{number:06d}.png", picture)
    bundle = ["--bundle", SHIPPED]
    assert predict(tmp_path / "in", "--out", tmp_path / "pictures", *bundle) == 0
    for devices in ("cpu", "cpu,cpu"):
        added.clear()
        out = tmp_path / devices
        assert predict(film, "--out", out, "--frames", "--device", devices, *bundle) == 0
        assert len(added) == 20
        shown, times, rate = read_film(out / "overlays/a.mp4")
        assert (len(shown), float(rate)) == (20, 10)
        assert times == pytest.approx([n / 10 for n in range(20)])
        for number in range(20):
            name = f"{number:06d}.png"
            expected = np.asarray(Image.open(tmp_path / "pictures/overlays" / name))
            assert (added[number] == expected).all()
            assert np.abs(shown[number].astype(int) - expected).mean() < 12
            label = (out / "frames/a" / name).read_bytes()
            assert label == (tmp_path / "pictures" / name).read_bytes()
    assert not (tmp_path / "cpu/a.png").exists()


def test_a_model_of_clips_is_shown_the_frames_before(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    added: list[np.ndarray],
) -> None:
    """Clips of 3 frames, 2 apart: the label of frame n is the brightness of frame n - 4."""
    brightness(frames=3, stride=2)
    values = [250, 3, 3, 250, 3, 250, 250, 3]
    pictures = [grey(value, 8, 12) for value in values]
    film = write_film(tmp_path / "a.mkv", pictures, codec="ffv1")
    out = tmp_path / "out"
    assert predict(film, "--out", out, "--frames") == 0
    labels = {
        path.name: np.unique(Image.open(path)).tolist() for path in (out / "frames/a").iterdir()
    }
    assert labels == {f"{n:06d}.png": [7 if values[n - 4] == 250 else 3] for n in range(4, 8)}
    assert len(added) == 8
    assert all((added[n] == pictures[n]).all() for n in range(4))


def test_a_film_that_is_shorter_than_a_clip_is_named(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness(frames=3, stride=2)
    film = write_film(tmp_path / "a.mkv", [grey(3)] * 4)
    assert predict(film, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "a.mkv: has 4 frames, and the model takes clips of 3, each 2 after" in said.err
    assert not list((tmp_path / "out").rglob("*.*"))


def test_the_last_line_names_overlays_and_labels(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness()
    film, out = write_film(tmp_path / "a.mp4", [grey(3)] * 4), tmp_path / "out"
    save(tmp_path / "b.png", grey(250))
    for words, last in (
        ([film], f"overlays: {out}/overlays/"),
        ([film, "--frames"], f"overlays: {out}/overlays/, labels of frames: {out}/frames/"),
        ([tmp_path / "b.png"], f"overlays: {out}/overlays/, labels: {out}/"),
        ([tmp_path / "b.png", film], f"overlays: {out}/overlays/, labels: {out}/"),
    ):
        assert predict(*words, "--out", out) == 0
        assert capsys.readouterr().out.splitlines()[-1] == last


def test_what_can_be_read_of_a_damaged_film_is_written_and_said(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness()
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(40)]
    film = write_film(tmp_path / "a.mp4", noise, movflags="faststart")
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    (tmp_path / "b.mp4").write_bytes(b"none")
    good = write_film(tmp_path / "c.mp4", [grey(3)] * 4)
    out = tmp_path / "out"
    assert predict(film, tmp_path / "b.mp4", good, "--out", out) == 1
    said = capsys.readouterr()
    number = len(read_film(out / "overlays/a.mp4")[0])
    assert 5 < number < 40
    assert f"a.mp4: " in said.err and f"{number} of 40 frames could be read" in said.err  # noqa: F541
    assert "b.mp4: cannot be read as a film" in said.err
    assert f"2 of 3 films have their overlays, of {number + 4} frames" in said.out
    assert sorted(path.name for path in (out / "overlays").iterdir()) == ["a.mp4", "c.mp4"]


def test_films_of_others_and_inputs_are_not_overwritten(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness()
    film, out = write_film(tmp_path / "a.mov", [grey(3)] * 4), tmp_path / "out"
    foreign = write_film(out / "overlays/a.mp4", [grey(9)] * 2).read_bytes()
    assert predict(film, "--out", out) == 1
    assert "1 files there were not written by `segpipe predict`" in capsys.readouterr().err
    assert predict(out / "overlays/a.mp4", "--out", out, "--force") == 1
    assert "would be overwritten by their own labels" in capsys.readouterr().err
    assert (out / "overlays/a.mp4").read_bytes() == foreign
    assert predict(film, "--out", out, "--frames", "--force") == 0
    assert predict(film, "--out", out, "--frames") == 0
    save(out / "frames/a/000001.png", grey(3)[..., 0])
    assert predict(film, "--out", out, "--frames") == 1
    assert "frames/a/000001.png" in capsys.readouterr().err
    assert predict(film, "--out", out) == 0


def test_what_does_not_suit_films_is_refused(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brightness()
    film = write_film(tmp_path / "a.mp4", [grey(3)] * 4)
    save(tmp_path / "b.png", grey(3))
    for words, reason in (
        ([film, "--uncertainty"], "are for single images"),
        ([film, "--seconds", "0"], "must be above 0"),
        ([tmp_path / "b.png", "--frames"], "--frames and --seconds are for films"),
    ):
        assert predict(*words, "--out", tmp_path / "out") == 1
        assert reason in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert predict(film, "--out", tmp_path / "out") == 1
    assert "pip install 'segpipe[video]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_seconds_end_a_film_early(brightness: Any, tmp_path: Path) -> None:  # noqa: F811
    brightness()
    film = write_film(tmp_path / "a.mp4", [grey(3)] * 30, 10)
    assert predict(film, "--out", tmp_path / "out", "--seconds", "1.5") == 0
    assert len(read_film(tmp_path / "out/overlays/a.mp4")[0]) == 15


def test_a_camera_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CAMERA", "/nowhere/video{}")
    with pytest.raises(
        ParameterError, match=r"webcam:3: there is no camera /nowhere/video3; this mach"
    ):
        open_camera(3)


def test_a_camera_is_labelled_until_ctrl_c(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A film stands in for the camera, and its twentieth overlay for the key."""
    brightness()
    film = write_film(tmp_path / "a.mp4", [grey(3)] * 200, 10)
    monkeypatch.setattr(command, "open_camera", lambda n: FilmReader(str(film), f"webcam:{n}"))
    monkeypatch.setattr(module, "_CAMERA", f"{tmp_path}/video{{}}")
    assert predict("webcam:0", "--out", tmp_path / "out") == 1
    assert "there is no camera" in capsys.readouterr().err
    (tmp_path / "video0").touch()
    add = FilmWriter.add

    def pressed(self: FilmWriter, picture_HW3: Any, seconds: Any) -> None:
        add(self, picture_HW3, seconds)
        if seconds == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(FilmWriter, "add", pressed)
    assert predict("webcam:0", "--out", tmp_path / "out") == 0
    [written] = (tmp_path / "out/overlays").iterdir()
    assert written.name.startswith("webcam0-20")
    assert len(read_film(written)[0]) == 21
    assert "1 of 1 films have their overlays" in capsys.readouterr().out
    # Of a film that is a file nothing is left.
    assert predict(film, "--out", tmp_path / "other") == 130
    assert not list((tmp_path / "other").rglob("*.*"))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    predictor, peaks = load_model(SHIPPED), []
    for frames in (60, 240):
        film = write_film(tmp_path / f"{frames}.mp4", [grey(3, 120, 160)] * frames)
        reader = FilmReader(str(film), film.name)
        tracemalloc.start()
        target = FilmTarget(tmp_path / f"out/{frames}.mp4", None)
        assert predict_film([predictor], reader, target, 0.5, 1) == frames
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 120 * 120 * 160 * 3

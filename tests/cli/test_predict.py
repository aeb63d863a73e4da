"""segpipe predict, from the command line: what is read, what is written, and what is left alone."""

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segpipe.bundle import Bundle
from segpipe.cli.main import main
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.raw.pictures.reader import PictureReader
from segpipe.rendering.png import write_png
from tests.forge import save, scene, signalled

SCHEME = LabelScheme(
    "two",
    ("dark", "bright"),
    (RawLabel(3, "dark", (10, 20, 30), 0), RawLabel(7, "bright", (200, 210, 220), 1)),
)


def flat(value: int) -> NDArray[np.uint8]:
    return np.full((8, 12, 3), value, np.uint8)


def written(out: Path) -> dict[str, int]:
    """The one value of each label image, by its path."""
    found = {}
    for path in sorted(out.rglob("*.png")):
        name = path.relative_to(out).as_posix()
        if not name.startswith("overlays"):
            with Image.open(path) as picture:
                [found[name]] = np.unique(picture).tolist()
    return found


class EarliestFrame(Network):
    """Bright where the red of the earliest frame that it is shown is above a half."""

    takes_clips = True

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        above_B1HW = frames_BTCHW[:, 0, :1] - 0.5
        return torch.cat([-above_B1HW, above_B1HW], 1)


@pytest.fixture
def brightness(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the command use a model that tells bright (7) from dark (3); of clips where frames > 1."""

    def use(frames: int = 1, stride: int = 1, temperature: float = 1) -> None:
        network = EarliestFrame().eval()
        lineage = {"parameters": {"source": {"clip": {"frames": frames, "stride": stride}}}}
        spec = InputSpec(PICTURES, 8, 12, "stretch", frames, [0.0] * 3, [1.0] * 3)
        bundle = Bundle(
            network, ModelParams(), SCHEME, spec, "fp32", lineage, temperature=temperature
        )
        predictor = Predictor(bundle, torch.device("cpu"))
        monkeypatch.setattr(Predictor, "load", lambda *_, **__: predictor)

    return use


def predict(*arguments: Path | str) -> int:
    return main(["predict", *map(str, arguments)])


def test_predict_labels_every_image_at_its_own_size(bundle: Path, tmp_path: Path) -> None:
    sizes = {"a.png": (48, 64), "b.jpg": (31, 77), "c.PNG": (9, 200)}
    for name, (height, width) in sizes.items():
        save(tmp_path / "in" / name, scene(1, max(height, 40), max(width, 40))[0][:height, :width])
    code = main(
        ["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--bundle", str(bundle)]
    )
    assert code == 0
    for name, size in sizes.items():
        stem = Path(name).stem
        with Image.open(tmp_path / "out" / f"{stem}.png") as label:
            assert np.asarray(label).shape == size
            assert set(np.unique(label)) <= {0, 1, 2}
        with Image.open(tmp_path / "out/overlays" / f"{stem}.png") as overlay:
            assert np.asarray(overlay).shape == (*size, 3)


def test_unreadable_images_are_named_and_skipped(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "in/good.png", scene(0)[0])
    (tmp_path / "in/bad.png").write_bytes(b"no picture")
    whole = (tmp_path / "in/good.png").read_bytes()
    (tmp_path / "in/cut.png").write_bytes(whole[: len(whole) // 2])
    code = main(
        ["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--bundle", str(bundle)]
    )
    said = capsys.readouterr()
    assert code == 1
    assert "1 of 3 label images" in said.out
    assert "2 images were skipped" in said.err
    assert "bad.png" in said.err
    assert "cut.png" in said.err
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["good.png"]


def test_folders_in_folders_are_read_and_kept(
    brightness: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that are linked too, but not in circles; what is not read is counted."""
    brightness()
    images, out = tmp_path / "in", tmp_path / "in/out"
    values = {"a.png": 250, "b/a.png": 3, "b/c/d.PNG": 250, ".hidden/x.png": 3, "b/.x.png": 3}
    for name, value in values.items():
        save(images / name, flat(value))
    save(tmp_path / "elsewhere/e.png", flat(3))
    (images / "linked").symlink_to(tmp_path / "elsewhere")
    (images / "b/circle").symlink_to(images)
    (images / "gone.png").symlink_to(tmp_path / "nowhere")
    (images / "self.png").symlink_to("self.png")
    os.mkfifo(images / "fifo.png")
    for name in ("x.gif", "y.gif", "b/notes.txt", "README"):
        (images / name).write_text("")
    expected = {"a.png": 7, "b/a.png": 3, "b/c/d.png": 7, "linked/e.png": 3}
    for again in (False, True):
        assert predict(images, "--out", out) == 0
        said = capsys.readouterr().out
        assert written(out) == expected
        assert f"4 of 4 label images are in {out}/" in said
        assert (
            f"{images}: 2 .gif, 1 .txt, 3 pipes, devices or broken links, 1 without suffix were not read"
            in said
        )
        assert (f"8 files of an earlier prediction, in {out}/, were not read" in said) == again


def test_a_fifo_is_refused_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert predict(tmp_path / "a.png", "--out", tmp_path / "o") == 1
    assert "a.png: is neither a regular file nor a folder" in capsys.readouterr().err


def test_names_that_differ_in_the_suffix_alone_stay_apart(brightness: Any, tmp_path: Path) -> None:
    brightness()
    images, out = tmp_path / "in", tmp_path / "out"
    for name, value in {"a.png": 250, "a.bmp": 3, "a.png.bmp": 3, "b.bmp": 250}.items():
        save(images / name, flat(value))
    assert predict(images, "--out", out) == 0
    assert written(out) == {"a.bmp.png": 3, "a.png.bmp.png": 3, "a.png.png": 7, "b.png": 7}


def test_names_as_long_as_the_file_system_allows(brightness: Any, tmp_path: Path) -> None:
    brightness()
    images, out = tmp_path / "in", tmp_path / "out"
    deep = "/".join(["d" * 200] * 8)
    names = [f"{'x' * 251}.png", f"{'ä' * 125}.png", f"{deep}/{'y' * 251}.bmp"]
    for name in names:
        save(images / name, flat(250))
    save(images / f"{'x' * 251}.bmp", flat(3))
    assert predict(images, "--out", out) == 0
    found = written(out)
    assert sorted(found.values()) == [3, 7, 7, 7]
    assert f"{deep}/{'y' * 251}.png" in found
    assert f"{'ä' * 125}.png" in found
    assert not list(out.rglob("*.partial"))


def test_a_file_that_cannot_be_written_or_read_does_not_end_the_others(
    brightness: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness()
    for name in ("a.png", "b/c.png", "d.png", "e.png"):
        save(tmp_path / "in" / name, flat(250))
    out = tmp_path / "out"
    out.mkdir()
    (out / "b").write_text("a file where a folder is needed")
    read_image = PictureReader.read_image

    def forbidden(self: PictureReader, path: Path) -> Any:
        if path.name == "d.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read_image(self, path)

    monkeypatch.setattr(PictureReader, "read_image", forbidden)
    assert predict(tmp_path / "in", "--out", out) == 1
    said = capsys.readouterr()
    assert written(out) == {"a.png": 7, "e.png": 7}
    assert "2 of 4 label images" in said.out
    assert "2 images were skipped" in said.err
    assert "b/c.png: " in said.err
    assert "d.png: [Errno 13] Permission denied" in said.err


def test_a_full_disk_ends_it_and_says_what_is_kept(
    brightness: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness()
    for name in "abc":
        save(tmp_path / f"in/{name}.png", flat(250))
    fsync, out = os.fsync, tmp_path / "out"

    def full(handle: int) -> None:
        if (out / "a.png").exists() and (out / "overlays/a.png").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert predict(tmp_path / "in", "--out", out) == 1
    said = capsys.readouterr()
    assert f"the labels of 0 of 3 are finished, in {out}/" in said.out
    assert "the disk is full; no file was left half-written" in said.err
    assert sorted(path.name for path in out.rglob("*.p*")) == ["a.png", "a.png"]


def test_what_a_reader_leaves_out_of_a_file_is_said(
    brightness: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness()
    for name in "ab":
        save(tmp_path / f"in/{name}.png", flat(250))
    pages = {"a.png": "2 further pages"}
    monkeypatch.setattr(PictureReader, "left_out", lambda _, path: pages.get(path.name))
    assert predict(tmp_path / "in", "--out", tmp_path / "out") == 0
    said = f"of 1 images a part was not read:\n  {tmp_path / 'in/a.png'}: 2 further pages"
    assert said in capsys.readouterr().out


def snapshot(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_inputs_are_never_overwritten(
    brightness: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brightness()
    project, links = tmp_path / "proj", tmp_path / "links"
    save(tmp_path / "in/a.png", flat(250))
    assert predict(tmp_path / "in", "--out", project) == 0
    links.mkdir()
    (links / "a.png").symlink_to(project / "a.png")
    before = snapshot(project)
    for given in (project / "overlays", links):
        for force in ([], ["--force"]):
            assert predict(given, "--out", project, *force) == 1
            assert "would be overwritten by their own labels" in capsys.readouterr().err
    assert snapshot(project) == before
    save(tmp_path / "two/a.png", flat(250))
    save(tmp_path / "two/overlays/a.png", flat(3))
    assert predict(tmp_path / "two", "--out", tmp_path / "new") == 1
    assert "would both be written to" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["a.png", "overlays/a.png"])
def test_files_of_others_are_overwritten_by_force_alone(
    place: str, brightness: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also labels that were corrected: a program that edits pictures leaves the mark out."""
    brightness()
    save(tmp_path / "in/a.png", flat(250))
    out = tmp_path / "out"
    assert predict(tmp_path / "in", "--out", out) == 0
    whole = snapshot(out)
    with Image.open(out / place) as picture:
        corrected = np.asarray(picture) * 0
    save(out / place, corrected)
    before = snapshot(out)
    assert predict(tmp_path / "in", "--out", out) == 1
    said = capsys.readouterr().err
    assert "1 files there were not written by `segpipe predict`" in said
    assert str(out / place) in said
    assert snapshot(out) == before
    assert predict(tmp_path / "in", "--out", out, "--force") == 0
    assert snapshot(out) == whole
    assert predict(tmp_path / "in", "--out", out) == 0


def test_an_output_folder_that_cannot_be_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "in/a.png", flat(250))
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    for out in ("file", "file/below/it"):
        assert predict(tmp_path / "in", "--out", tmp_path / out) == 1
        assert f"{tmp_path / 'file'} is a file; name a folder" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert predict(tmp_path / "in", "--out", tmp_path / "new") == 1
    assert f"{tmp_path} cannot be written to" in capsys.readouterr().err


# A clip model's clips of 3 frames, 2 apart: the label of frame 4 is the brightness of frame 0.
FILM = {0: 250, 1: 3, 2: 3, 3: 250, 4: 3, 5: 250, 6: 250}
OF_FILM = {4: 7, 5: 3, 6: 3}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ulm_000001_{:06d}_leftImg8bit.png", "by Cityscapes names"),
        ("frame{:03d}_left.png", "by the numbers in their names"),
        ("{}.png", "by the numbers in their names"),
        ("{}x.png", "each folder as a clip, in the order of the names"),
    ],
)
def test_a_model_of_clips_is_shown_the_frames_before(
    name: str,
    rule: str,
    brightness: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    brightness(frames=3, stride=2)
    written_as = {
        number: name.format(chr(ord("a") + number) if "order" in rule else number)
        for number in FILM
    }
    for number, value in FILM.items():
        save(tmp_path / "in/film" / written_as[number], flat(value))
    assert predict(tmp_path / "in", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert written(tmp_path / "out/film") == {written_as[n]: value for n, value in OF_FILM.items()}
    assert f"3 clips of 3 frames, each 2 after the one before, {rule}" in said
    assert "4 images have no label image, because frames before them are missing" in said
    assert "3 of 3 label images" in said
    one = tmp_path / "in/film" / written_as[4]
    assert predict(one, "--out", tmp_path / "one") == 0
    assert written(tmp_path / "one") == {written_as[4]: 7}


def test_a_still_is_no_clip(
    brightness: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brightness(frames=3)
    for name in ("ulm_000001_000019_leftImg8bit.png", "ulm_000002_000019_leftImg8bit.png"):
        save(tmp_path / "in" / name, flat(250))
    assert predict(tmp_path / "in", "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "none of the 2 images has the frames before it" in said
    assert "ulm_000001_000019_leftImg8bit.png" in said
    assert not (tmp_path / "out").exists()


def test_frames_of_another_size_are_named(
    brightness: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brightness(frames=2)
    save(tmp_path / "in/0.png", flat(250)[:4])
    for number in (1, 2):
        save(tmp_path / f"in/{number}.png", flat(3))
    assert predict(tmp_path / "in", "--out", tmp_path / "out") == 1
    assert "0.png, a frame before it, has 4 x 12" in capsys.readouterr().err
    assert written(tmp_path / "out") == {"2.png": 3}


# Predicts, and waits when the first label image is half-written.
SLOWED = """
import sys, time
from pathlib import Path
from segpipe.cli.main import main
from segpipe.runtime import atomic

def waiting(path):
    Path("here").touch()
    time.sleep(600)

atomic.sync = waiting
sys.exit(main(["predict", "in", "--out", "out"]))
"""


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGKILL,
    ],
)
def test_killed_it_leaves_nothing_to_the_user(number: signal.Signals, tmp_path: Path) -> None:
    """Of kill -9 the rest goes with the next prediction into the folder."""
    save(tmp_path / "in/a.png", scene(0)[0])
    process = signalled(SLOWED, tmp_path, "here", number)
    said, errors = process.communicate(timeout=60)
    left = [path.name for path in (tmp_path / "out").iterdir()]
    if number == signal.SIGKILL:
        assert len(left) == 1
        write_png(tmp_path / "out/other.png", flat(3))
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["other.png"]
        return
    assert left == []
    assert process.returncode == 128 + number
    assert "the labels of 0 of 1 are finished" in said
    assert errors.endswith("interrupted\n")
    assert "Traceback" not in errors


def test_the_maps_are_written_with_views(bundle: Path, tmp_path: Path) -> None:
    save(tmp_path / "in/b/a.jpg", scene(0)[0])
    asked = [
        "--probabilities",
        "--uncertainty",
        "--windows",
        "slide",
        "--scales",
        "0.5",
        "1",
        "--flip",
    ]
    out = str(tmp_path / "out")
    called = ["predict", str(tmp_path / "in"), "--out", out, "--bundle", str(bundle), *asked]
    for _ in range(2):  # written again, over its own files
        assert main(called) == 0
        for folder in (".", "overlays", "probabilities", "uncertainty"):
            with Image.open(Path(out) / folder / "b/a.png") as file:
                assert file.size == scene(0)[0].shape[1::-1]
    assert main([*called[:6], "--scales", "9"]) == 1


def test_a_submission_of_other_labels_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "in/a_000001_000019.png", scene(0)[0])
    called = ["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--submission"]
    assert main([*called, "--bundle", str(bundle)]) == 1
    assert "is for models of Cityscapes' labels" in capsys.readouterr().err
    assert main([*called, "--bundle", str(bundle), "--uncertainty"]) == 1
    assert "--submission writes labels alone" in capsys.readouterr().err

"""`segpipe.predict`: the label images of a folder, as the command writes them."""

from pathlib import Path

import pytest

import segpipe
from segpipe.bundle_format import SHIPPED
from segpipe.cli.main import main
from segpipe.inference.predict_folder import predict
from segpipe.runtime.errors import DataError, ParameterError
from tests.forge import save, scene


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.png", "inner/b.png"):
        save(tmp_path / "images" / name, scene(len(name))[0])
    return tmp_path / "images"


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_it_writes_what_the_command_writes(images: Path, tmp_path: Path) -> None:
    written = predict(str(images), str(tmp_path / "labels"), segpipe.load_model())
    assert written == [tmp_path / "labels/a.png", tmp_path / "labels/inner/b.png"]
    command = ["predict", str(images), "--out", str(tmp_path / "other"), "--bundle", str(SHIPPED)]
    assert main(command) == 0
    assert contents(tmp_path / "labels") == contents(tmp_path / "other")
    assert "overlays/inner/b.png" in contents(tmp_path / "labels")


def test_the_model_may_be_the_folder_of_its_bundle(images: Path, tmp_path: Path) -> None:
    (usual,) = predict(images / "a.png", tmp_path / "usual")
    for number, model in enumerate((SHIPPED, str(SHIPPED))):
        (named,) = predict(images / "a.png", tmp_path / str(number), model)
        assert named.read_bytes() == usual.read_bytes()


def test_a_file_that_cannot_be_read_is_named_after_the_others(images: Path, tmp_path: Path) -> None:
    (images / "c.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 files or folders were skipped") as caught:
        predict(images, tmp_path / "labels")
    assert "c.png" in str(caught.value)
    assert (tmp_path / "labels/inner/b.png").is_file()


def test_nothing_of_others_is_overwritten(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="is the folder of the images"):
        predict(images, images)
    save(tmp_path / "labels/a.png", scene(9)[0])
    with pytest.raises(ParameterError, match="were not written by"):
        predict(images, tmp_path / "labels")
    predict(images, tmp_path / "labels", force=True)

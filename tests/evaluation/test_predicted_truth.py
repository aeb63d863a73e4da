"""segpipe predict --truth, from the command line: sheets and scores of an existing bundle."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from segpipe.cli.main import main
from segpipe.evaluation.evaluate import evaluate
from segpipe.evaluation.predicted_truth import TruthPairs
from segpipe.inference.predictor import load_model
from segpipe.params.model import ModelParams, UNetParams
from segpipe.raw.sample import Sample
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import ImageRow
from segpipe.results.records import read_record, read_table
from tests.export.make_bundle import make_bundle
from tests.forge import make_folder, save, scene


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = ModelParams(unet=UNetParams(width=4, depth=2))
    return make_bundle(tmp_path_factory.mktemp("bundle") / "models", model, sides=(24, 40))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_folder(tmp_path / "data", train=1, val=3)


def compare(bundle: Path, *options: str) -> int:
    inputs = ["data/images/val", "--truth", "data/masks/val", "--out", "out"]
    return main(["predict", *inputs, "--bundle", str(bundle), *options])


def test_the_scores_are_those_of_an_evaluation(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # the second run replaces what the first has written
        assert compare(bundle) == 0
    said = capsys.readouterr().out
    names = sorted(path.stem for path in Path("data/images/val").iterdir())
    samples = [Sample(n, "g", f"images/val/{n}.png", f"masks/val/{n}.png") for n in names]
    predictor = load_model(bundle)
    expected = evaluate(predictor, samples, data).summary().scores
    found = read_record(Evaluation, Path("out/scores/evaluation.json"))
    assert found.miou == expected["miou"]
    assert f"mIoU {100 * expected['miou']:.2f} %" in said
    assert "measured on 3 images of split val" in said
    assert "network input 24x40, stretch" in said
    assert (found.protocol.network_input, found.protocol.data) == ("24x40, stretch", "abc")
    assert not found.protocol.of_labels_alone
    rows = read_table(ImageRow, Path("out/scores/images.csv"))
    assert sorted(row.name for row in rows) == names
    for name in names:
        with Image.open(f"out/comparisons/{name}.png") as sheet:
            assert sheet.width > 4 * 64  # four panels beside each other
            assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 10


def test_truth_pairs_by_the_usual_endings(bundle: Path, tmp_path: Path) -> None:
    image, mask = scene(1)
    save(tmp_path / "in/a_000000_000001_leftImg8bit.png", image)
    save(tmp_path / "gt/a_000000_000001_gtFine_labelIds.png", mask)
    words = [str(tmp_path / "in"), "--truth", str(tmp_path / "gt"), "--out", str(tmp_path / "out")]
    assert main(["predict", *words, "--bundle", str(bundle)]) == 0
    assert [p.name for p in (tmp_path / "out/comparisons").iterdir()] == [
        "a_000000_000001_leftImg8bit.png"
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", "1 images have no truth below data/masks/val"),
        ("extra", "1 label images of data/masks/val have no image"),
        ("size", "1 label images do not have the size of their picture"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_predicted(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str], change: str, words: str
) -> None:
    first = sorted((data / "masks/val").iterdir())[0]
    if change == "missing":
        first.unlink()
    elif change == "extra":
        save(data / "masks/val/other.png", scene(5)[1])
    else:
        save(first, scene(1, 40, 64)[1])
    assert compare(bundle) == 1
    assert words in capsys.readouterr().err
    assert not Path("out").exists()


def test_unknown_values_of_the_truth_are_refused_and_nothing_is_scored(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sorted((data / "masks/val").iterdir())[0]
    save(first, np.full((48, 64), 77, np.uint8))
    assert compare(bundle) == 1
    assert "1 masks hold values that the scheme" in capsys.readouterr().err
    assert not Path("out/scores").exists()


def test_nothing_is_scored_where_an_image_cannot_be_read(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sorted((data / "images/val").iterdir())[0]
    first.write_bytes(first.read_bytes()[:200])
    assert compare(bundle) == 1
    said = capsys.readouterr()
    assert "nothing is scored" in said.err
    assert "mIoU" not in said.out


def test_files_of_others_in_the_folder_of_scores_stay(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = Path("out/scores/notes.txt")
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    assert compare(bundle) == 1
    assert "holds files that are no result of score" in capsys.readouterr().err
    assert notes.read_text() == "mine"


def test_frames_of_clips_need_no_truth(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a model of clips the earlier frames have none; they are named, and the others are paired."""
    first = sorted((data / "masks/val").iterdir())[0]
    first.unlink()
    names = {path: path.stem for path in sorted(Path("data/images/val").iterdir())}
    clips = SimpleNamespace(scheme=load_model(bundle).scheme, frames=2)
    pairs = TruthPairs.of(clips, names, Path("out"), Path("data/masks/val"))  # type: ignore[arg-type]
    assert [sample.name for sample in pairs.samples] == [*names.values()][1:]
    assert "they are predicted and not scored" in capsys.readouterr().out


def test_it_is_for_pictures_alone(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(bundle, "--submission") == 1
    assert "leave out --truth" in capsys.readouterr().err

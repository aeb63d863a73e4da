"""segpipe score: hand-made cases, the official evaluator of Cityscapes, and what is refused.

Also of label_pair.py, label_folders.py, label_names.py and segpipe/cli/score.py.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels
from PIL import Image

import segpipe
from segpipe.cli.main import main
from segpipe.evaluation import score as scoring
from segpipe.labels.load import scheme_at
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import RESULT_FILES, GroupRow, ImageRow
from segpipe.results.records import read_record, read_table
from segpipe.runtime.errors import DataError, ParameterError

CLASSES = (
    "id,name,red,green,blue,class\n0,none,0,0,0,void\n1,sky,0,0,255,sky\n5,tree,0,255,0,tree\n"
)
# 2x4 pixels: sky has 3 of 4 right and one false alarm, tree 2 of 3 with one, one pixel is void.
TRUTH = [[1, 1, 1, 1], [5, 5, 5, 0]]
PREDICTION = [[1, 1, 1, 5], [5, 5, 1, 5]]


def write(path: Path, values: Any, palette: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.array(values, np.uint8))
    if palette is not None:
        picture.putpalette(palette)
    picture.save(path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("classes.csv").write_text(CLASSES)
    write(Path("truth/a.png"), TRUTH)
    return tmp_path


def scored(**options: Any) -> Evaluation:
    return segpipe.score("predicted", "truth", "classes.csv", processes=1, **options)


def test_the_library_offers_it() -> None:
    assert segpipe.score is scoring.score


def ious(found: Evaluation) -> list[float | None]:
    return [scores.iou for scores in found.classes.values()]


def as_painted(values: list[list[int]]) -> Any:
    table = np.zeros((256, 3), np.uint8)
    table[1], table[5] = (0, 0, 255), (0, 255, 0)
    return table[np.array(values)]


@pytest.mark.parametrize("kind", ["ids", "palette", "colours", "train-ids"])
def test_a_hand_case_of_each_kind_of_file(folders: Path, kind: str) -> None:
    values: Any = PREDICTION
    palette = [0, 0, 0, 0, 0, 255, 9, 9, 9, 8, 8, 8, 7, 7, 7, 0, 255, 0]
    if kind == "colours":
        values = as_painted(PREDICTION)
    if kind == "train-ids":
        values = np.array(PREDICTION) // 5
    write(Path("predicted/a.png"), values, palette if kind == "palette" else None)
    found = scored(values="train-ids" if kind == "train-ids" else None)
    assert ious(found) == [0.6, 0.5]
    assert found.miou == 0.55
    protocol = found.protocol
    assert (protocol.images, protocol.pixels, protocol.void_pixels) == (1, 7, 1)
    assert (protocol.label_scheme, protocol.class_count) == ("classes", 2)
    assert protocol.image_sizes == {"2x4": 1}
    assert (protocol.network_input, protocol.data, protocol.views) == (None, None, None)


@pytest.mark.parametrize("missing", [0, 255])
def test_no_answer_misses_its_class_and_is_no_false_alarm(folders: Path, missing: int) -> None:
    write(Path("predicted/a.png"), [[1, 1, missing, missing], [5, 5, 5, 5]])
    assert ious(scored()) == [0.5, 1.0]


def test_train_ids_are_not_taken_for_ids(folders: Path) -> None:
    write(Path("predicted/a.png"), [[0, 0, 0, 1], [1, 1, 1, 1]])
    with pytest.raises(DataError, match=r"may be train ids 0\.\.1, as mmsegmentation"):
        scored()
    assert ious(scored(values="train-ids")) == [0.75, 0.75]
    assert ious(scored(values="ids")) == [0.142857, 0.0]  # 1 of 4 + 4 - 1


def test_each_fault_is_listed_and_nothing_is_written(folders: Path) -> None:
    for name in "bcd":
        write(Path(f"truth/{name}.png"), TRUTH)
    write(Path("predicted/a.png"), [[1, 1], [5, 5]])
    write(Path("predicted/b.png"), [[1, 1, 7, 1], [5, 5, 9, 5]])
    write(Path("predicted/c.png"), PREDICTION)
    write(Path("truth/c.png"), [[1, 1, 1, 77], [5, 5, 5, 5]])
    Path("predicted/d.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as raised:
        scored(out="out")
    said = str(raised.value)
    assert "predicted/a.png: has 2 x 2 pixels, its truth 2 x 4" in said
    assert "predicted/b.png: 7, 9" in said
    assert "--predictions train-ids" in said
    assert "truth/c.png: 77" in said
    assert "predicted/d.png: cannot be read as a picture" in said
    assert not Path("out").exists()
    write(Path("predicted/b.png"), [[0, 1, 2, 1], [1, 1, 1, 1]])
    with pytest.raises(DataError, match=r"they are 0\.\.1, and 255 for no answer; leave it out"):
        scored(values="train-ids")


def test_missing_predictions_are_refused_and_extra_ones_told(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("predicted/a_pred.png"), PREDICTION)
    write(Path("predicted/z.png"), PREDICTION)
    write(Path("predicted/overlays/a.png"), as_painted(PREDICTION))
    assert ious(scored()) == [0.6, 0.5]
    said = capsys.readouterr().out
    assert "warning: 1 predictions below predicted have no truth below truth" in said
    assert "z.png" in said
    assert "overlays" not in said
    write(Path("truth/sub/b.png"), TRUTH)
    with pytest.raises(DataError, match="1 label images of truth have no prediction") as raised:
        scored()
    assert "  sub/b.png" in str(raised.value)


def test_what_predict_writes_beside_its_labels_is_no_prediction(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where images pair by their last name alone, which would not be unique."""
    Path("truth/sub").mkdir()
    Path("truth/a.png").rename("truth/sub/a.png")
    write(Path("predicted/a.png"), PREDICTION)
    for folder in ("overlays", "probabilities", "uncertainty"):
        write(Path("predicted") / folder / "a.png", as_painted(TRUTH))
    assert ious(scored()) == [0.6, 0.5]
    assert "warning" not in capsys.readouterr().out


def test_groups_are_folders_or_what_a_pattern_finds(folders: Path) -> None:
    for name in ("x/s1_0.png", "x/s2_0.png", "y/s1_1.png"):
        write(Path("truth") / name, TRUTH)
        write(Path("predicted") / name, PREDICTION)
    write(Path("predicted/a.png"), PREDICTION)
    scored(out="out")
    assert {row.group: row.images for row in read_table(GroupRow, Path("out/groups.csv"))} == {
        "a": 1,
        "x": 2,
        "y": 1,
    }
    with pytest.raises(DataError, match="finds no group in 1 names"):
        scored(group="^(s.)_")
    with pytest.raises(ParameterError, match="exactly one"):
        scored(group="s")
    Path("truth/a.png").unlink()
    scored(out="out", group="^(s.)_")  # replaces the earlier result
    assert {row.group: row.images for row in read_table(GroupRow, Path("out/groups.csv"))} == {
        "s1": 2,
        "s2": 1,
    }
    names = {row.name for row in read_table(ImageRow, Path("out/images.csv"))}
    assert names == {"x/s1_0", "x/s2_0", "y/s1_1"}
    assert {path.name for path in Path("out").iterdir()} == RESULT_FILES


def test_what_is_no_result_of_score_is_kept(folders: Path) -> None:
    write(Path("predicted/a.png"), PREDICTION)
    with pytest.raises(ParameterError, match="no result of score"):
        scored(out="truth")
    scored(out="out")
    path = Path("out/evaluation.json")
    path.write_text(path.read_text().replace('"split"', '"network_input": "8x8", "split"'))
    with pytest.raises(ParameterError, match="evaluation of a model"):
        scored(out="out")
    with pytest.raises(ParameterError, match="is a file"):
        scored(out="classes.csv")
    with pytest.raises(ParameterError, match="there is no label scheme 'cityscapes91'"):
        segpipe.score("predicted", "truth", "cityscapes91")
    with pytest.raises(ParameterError, match="boundaries"):
        scored(boundaries=[50.0])
    write(Path("truth/a.png"), np.zeros((2, 4)))
    with pytest.raises(DataError, match="every pixel is void"):
        scored()


def cityscapes_files(tmp_path: Path, images: int) -> tuple[list[str], list[str]]:
    """Truth and predictions of all ids of 0 to 33, in the names of a submission."""
    random, files = np.random.default_rng(0), ([], [])  # type: tuple[Any, tuple[list[str], list[str]]]
    for number in range(images):
        truth = random.integers(0, 34, (20, 30))
        truth = np.where(truth == 31, 7, truth)  # trains are predicted and nowhere true
        other = random.integers(0, 34, truth.shape)
        prediction = np.where(random.random(truth.shape) < 0.6, truth, other)
        # The official iIoU of a category counts predicted caravans and trailers, which have no class.
        prediction = np.where(np.isin(prediction, [29, 30]), 0, prediction)
        stem = f"{('lindau', 'munster')[number % 2]}_{number:06d}_000019"
        true = tmp_path / f"val/{stem[:6]}/{stem}_gtFine_labelIds.png"
        write(true, truth)
        write(true.with_name(f"{stem}_gtFine_color.png"), truth * 0)
        # Half of the pixels of labels with objects are of groups, the others of two objects each.
        objects = np.where(truth > 23, 1000 * truth + random.integers(0, 2, truth.shape), truth)
        instances = np.where(random.random(truth.shape) < 0.5, truth, objects).astype(np.uint16)
        Image.fromarray(instances).save(true.with_name(f"{stem}_gtFine_instanceIds.png"))
        write(tmp_path / f"results/{stem}_pred.png", prediction)
        files[0].append(str(tmp_path / f"results/{stem}_pred.png"))
        files[1].append(str(true))
    return files


def test_scores_are_those_of_the_official_evaluator(tmp_path: Path) -> None:
    files = cityscapes_files(tmp_path, 6)
    args = copy.copy(official.args)
    args.quiet, args.JSONOutput, args.evalInstLevelScore = True, False, True
    with pytest.MonkeyPatch.context() as patch:
        # numpy 2.4 has no in1d any more, which the evaluator calls.
        patch.setattr(np, "in1d", np.isin, raising=False)
        expected = official.evaluateImgLists(*files, args)
    found = segpipe.score(tmp_path / "results", tmp_path / "val", "cityscapes19", processes=1)
    names = [label.name for label in labels if not label.ignoreInEval]
    assert len(names) == 19
    assert found.classes.keys() == set(names)
    for name in names:
        assert found.classes[name].iou == pytest.approx(expected["classScores"][name], abs=5.1e-7)
        ours, theirs = found.classes[name].instance_iou, expected["classInstScores"][name]
        assert (np.nan if ours is None else ours) == pytest.approx(theirs, abs=5.1e-7, nan_ok=True)
    assert found.classes["train"].iou == 0
    for score, average in (
        (found.miou, "averageScoreClasses"),
        (found.instance_iou, "averageScoreInstClasses"),
        (found.category_iou, "averageScoreCategories"),
        (found.category_instance_iou, "averageScoreInstCategories"),
    ):
        assert score == pytest.approx(expected[average], abs=5.1e-7) and 0 < expected[average] < 1
    assert found.protocol.groups == 2


def test_a_damaged_or_missing_file_of_instances(tmp_path: Path) -> None:
    _, (first, second) = cityscapes_files(tmp_path, 2)
    Path(first.replace("labelIds", "instanceIds")).unlink()
    found = segpipe.score(tmp_path / "results", tmp_path / "val", "cityscapes19", processes=1)
    assert found.instance_iou is None and found.category_iou is not None
    assert found.protocol.instances == "none: 1 of 2 images have no file of instances"
    damaged = Path(second.replace("labelIds", "instanceIds"))
    write(damaged, [[0, 1]])
    with pytest.raises(
        DataError, match=f"{damaged.name}: is 1 x 2, but the mask beside it is 20 x 30"
    ):
        segpipe.score(tmp_path / "results", tmp_path / "val", "cityscapes19", processes=1)


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    cityscapes_files(tmp_path, 21)
    folders = tmp_path / "results", tmp_path / "val"
    for processes in (1, 2):
        out = tmp_path / f"by{processes}"
        segpipe.score(
            *folders,
            scheme_at("cityscapes19"),
            out=out,
            boundaries=[2],
            group=r"_(\d{6})_000019",  # each image is a group, as if they were independent
            processes=processes,
        )
    for name in RESULT_FILES:
        one, two = (tmp_path / out / name for out in ("by1", "by2"))
        # The report holds the command, which names the folder.
        named = one.read_bytes().replace(
            f"--out {one.parent}".encode(), f"--out {two.parent}".encode()
        )
        assert named == two.read_bytes()
    found = read_record(Evaluation, tmp_path / "by2/evaluation.json")
    assert found.pixel_accuracy_interval is not None


def test_the_command_says_the_score_and_compare_reads_its_folder(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("predicted/a.png"), PREDICTION)
    Path("params.yaml").write_text("train: {seed: 7}\n")  # nothing that made these label images
    for out in ("one", "two"):
        options = ["--scheme", "classes.csv", "--out", out, "--boundaries", "2"]
        assert main(["score", "predicted", "truth", *options]) == 0
    said = capsys.readouterr().out
    assert "mIoU 55.00 % (no interval: 1 image files with truth; at least 20 are needed)" in said
    assert said.splitlines()[-2].endswith("on 1 images; the results are in two/")
    assert said.splitlines()[-1] == "the report: two/report.html"
    assert main(["compare", "one", "two"]) == 0
    said = capsys.readouterr().out
    assert "warning" not in said
    assert "parameter" not in said
    assert "55.0" in said

"""A label file that is missing: what the masks hold, and the lines of a file that would do."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segpipe.cli.main import main
from segpipe.labels.load import load_scheme
from segpipe.preflight import label_proposal
from tests.forge import (
    make_folder,
    make_workspace,
    run_stage,
    save,
    tiny_parameters,
    write_parameters,
)
from tests.raw.rasters.geotiffs import write_tif

MISSING = (
    "data/{}: there is no such file; labels.scheme in params.yaml names it, and it must lie in the "
    "folder of the data (source.path), beside the images"
)
SAVE = (
    "save these lines as data/{} (`segpipe check --write-classes` does), and write your names in place "
    "of `class ...` (`void`, also several times, for what counts nowhere):"
)


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("segpipe.training.forecast.available_bytes", lambda _device: 1 << 40)


@pytest.fixture
def masks() -> list[Path]:
    """The masks of a data set without a label file: three in train, two in val."""
    make_folder(Path("data"), train=3, val=2)
    Path("data/classes.csv").unlink()
    write_parameters(Path("params.yaml"), tiny_parameters(Path("data")))
    return sorted(Path("data/masks").rglob("*.png"))


def refusal(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["check"]) == 1
    said = capsys.readouterr().err.strip().removeprefix("error: ").splitlines()
    assert (
        said.pop() == "next: `segpipe check --write-classes`, then fill in the names in that file"
    )
    return said


def save_proposal(said: list[str], path: Path) -> None:
    """Do what the message says."""
    start = said.index("id,name,red,green,blue")
    path.write_text("\n".join(said[start:]))


def halves(low: object, high: object) -> NDArray[np.uint8]:
    """A mask, or painted mask, whose upper quarter is `low` and whose rest is `high`."""
    mask = np.empty((48, 64, *np.shape(low)), np.uint8)
    mask[:12], mask[12:] = low, high
    return mask


def test_masks_of_numbers(masks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in masks:
        save(path, halves(7, 200))
    save(masks[0], halves(7, 30))
    said = refusal(capsys)
    assert said[:5] == [
        MISSING.format("classes.csv"),
        "the 5 masks (all were read) hold:",
        "  value 7: 25.0 % of the pixels, in 5 masks",
        "  value 30: 15.0 % of the pixels, in 1 mask",
        "  value 200: 60.0 % of the pixels, in 4 masks",
    ]
    assert said[5:7] == [SAVE.format("classes.csv"), "id,name,red,green,blue"]
    assert [line.split(",")[:2] for line in said[7:]] == [
        ["7", "class 7"],
        ["30", "class 30"],
        ["200", "class 200"],
    ]
    save_proposal(said, Path("data/classes.csv"))
    assert main(["check"]) == 0
    assert load_scheme("classes.csv", {}, Path("data")).classes == (
        "class 7",
        "class 30",
        "class 200",
    )


def test_palette_masks(masks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in masks:
        picture = Image.fromarray(halves(0, 1))
        picture.putpalette([10, 20, 30, 200, 100, 50])
        picture.save(path)
    said = refusal(capsys)
    assert said[2:4] == [
        "  value 0: 25.0 % of the pixels, in 5 masks, painted 10,20,30",
        "  value 1: 75.0 % of the pixels, in 5 masks, painted 200,100,50",
    ]
    assert said[6:] == ["0,class 0,10,20,30", "1,class 1,200,100,50"]
    save_proposal(said, Path("data/classes.csv"))
    assert main(["check"]) == 0


def test_painted_masks(masks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in masks:
        save(path, halves((0, 0, 0), (255, 0, 16)))
    said = refusal(capsys)
    assert said[2:4] == [
        "  colour 255,0,16: 75.0 % of the pixels, in 5 masks",
        "  colour 0,0,0: 25.0 % of the pixels, in 5 masks",
    ]
    assert said[6:] == ["0,class 0,255,0,16", "1,class 1,0,0,0"]
    save_proposal(said, Path("data/classes.csv"))
    assert main(["check"]) == 0


def test_odd_ones_are_counted(masks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    masks[0].write_bytes(b"none")
    save(masks[1], halves((1, 2, 3), (4, 5, 6)))
    said = refusal(capsys)
    assert said[1] == "4 of 5 masks, which were read (the others may hold more), hold:"
    other = (
        "left out: 1 of another kind, painted in colours, where these are numbers; bring all masks "
    )
    assert f"{other}to one kind" in said
    place = said.index("not readable: 1")
    assert said[place + 1].startswith(f"  {masks[0]}: cannot be read")


def test_so_many_values_are_no_classes(
    masks: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    Image.fromarray(ramp).save(masks[0])
    said = refusal(capsys)
    assert len(said) == 24
    assert said[22] == "  ... and 3052 more"
    assert said[23].startswith(
        "3,072 values are more than the 254 classes there can be: masks saved as JPEG"
    )


def test_a_number_of_masks_is_read_at_most(
    masks: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(label_proposal, "_MOST_MASKS", 2)
    assert refusal(capsys)[1] == "2 of 5 masks, which were read (the others may hold more), hold:"


@pytest.mark.parametrize(
    ("scheme", "there", "hint"),
    [
        ("classes.csv", ["Classes.csv"], "; did you mean Classes.csv?"),
        ("classes.csv", ["classes.yaml", "notes.txt"], "; did you mean classes.yaml?"),
        ("labels.yml", ["labels.yaml"], "; did you mean labels.yaml?"),
        ("classes.csv", ["x.yaml", "own.CSV"], "; the label files there are own.CSV, x.yaml"),
        ("classes.csv", [], ""),
    ],
)
def test_a_label_file_that_lies_there_is_named(
    scheme: str, there: list[str], hint: str, masks: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in there:
        Path("data", name).write_text("")
    write_parameters(Path("params.yaml"), tiny_parameters(Path("data"), labels__scheme=scheme))
    said = refusal(capsys)
    assert said[0] == MISSING.format(scheme) + hint
    other = "" if scheme == "classes.csv" else ", set `scheme: labels.csv` under labels"
    name = Path(scheme).with_suffix(".csv").name
    assert SAVE.format(name).replace(", and write", f"{other}, and write") in said


def test_rasters(capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for name in ("train/a", "val/b"):
        write_tif(Path(f"data/images/{name}.tif"), random.integers(0, 999, (3, 40, 60), np.uint16))
        labels = np.zeros((40, 60), np.int16)
        labels[:10] = 300
        labels[10:20] = -1
        write_tif(Path(f"data/masks/{name}.tif"), labels)
    changes = {"source__name": "rasters", "prepare__height": 20, "prepare__width": 30}
    write_parameters(Path("params.yaml"), tiny_parameters(Path("data"), **changes))
    said = refusal(capsys)
    assert said[1:6] == [
        "the 8 windows (all were read) hold:",
        "  value -1: 25.0 % of the pixels, in 4 windows",
        "  value 0: 50.0 % of the pixels, in 4 windows",
        "  value 300: 25.0 % of the pixels, in 4 windows",
        SAVE.format("classes.csv"),
    ]
    assert [line.split(",")[:2] for line in said[7:9]] == [["0", "class 0"], ["300", "class 300"]]
    assert said[9:] == ["values below 0 are named in params.yaml: `map: {-1: void}` under labels"]


def test_the_stage_says_where_the_users_own_folder_is(masks: list[Path], tmp_path: Path) -> None:
    """It reads a copy, in which nothing is to be saved."""
    workspace = make_workspace(tmp_path / "work", tmp_path / "data")
    assert run_stage("fetch", workspace).returncode == 0
    done = run_stage("prepare", workspace)
    assert done.returncode == 1
    assert "data/raw/classes.csv: there is no such file" in done.stderr
    assert f"save these lines as {tmp_path / 'data/classes.csv'} (`segpipe check" in done.stderr
    assert "9,class 9," in done.stderr
    assert "Traceback" not in done.stderr


def test_the_class_file_is_written_once_and_its_names_are_asked_for(
    masks: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in masks:
        save(path, halves(7, 200))
    assert main(["check", "--write-classes"]) == 0
    said = capsys.readouterr().out.strip().splitlines()
    assert "  value 7: 25.0 % of the pixels, in 5 masks" in said
    assert said[-1] == (
        "next: write your names in place of `class ...` (`void`, also several times, for what counts "
        "nowhere), then `segpipe check`"
    )
    target = Path("data/classes.csv")
    rows = [line.split(",")[:2] for line in target.read_text().splitlines()]
    assert rows == [["id", "name"], ["7", "class 7"], ["200", "class 200"]]
    assert main(["check"]) == 0
    said = capsys.readouterr().out.strip().splitlines()
    assert any("2 classes have the names that were proposed" in line for line in said)
    assert said[-1] == "next: write the names of the classes into data/classes.csv, segpipe train"
    target.write_text(target.read_text().replace("class 7", "sky").replace("class 200", "road"))
    filled = target.read_text()
    assert main(["check"]) == 0
    assert "names that were proposed" not in capsys.readouterr().out
    assert main(["check", "--write-classes"]) == 1
    assert "data/classes.csv: is there already and stays as it is" in capsys.readouterr().err
    assert target.read_text() == filled


def test_with_a_scheme_of_other_data_the_file_is_to_be_named(
    masks: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in masks:
        save(path, halves(7, 200))
    changes = {"labels__scheme": "cityscapes19"}
    write_parameters(Path("params.yaml"), tiny_parameters(Path("data"), **changes))
    assert main(["check"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "next: if the masks were not made for cityscapes19, set `scheme: classes.csv` under labels in "
        "params.yaml, and run `segpipe check --write-classes`; then `segpipe check` again"
    )
    assert main(["check", "--write-classes"]) == 0
    assert "set `scheme: classes.csv` under labels, then `segpipe check`" in capsys.readouterr().out
    assert Path("data/classes.csv").is_file()


def test_masks_that_are_void_by_a_scheme_of_other_data(
    masks: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in masks:
        save(path, halves(0, 1))
    changes = {"labels__scheme": "cityscapes19"}
    write_parameters(Path("params.yaml"), tiny_parameters(Path("data"), **changes))
    assert main(["check"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        "next: if the masks were not made for cityscapes19, set `scheme: classes.csv`"
    )


def test_masks_in_three_equal_channels_are_proposed_as_ids(
    masks: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in masks:
        save(path, halves((0, 0, 0), (3, 3, 3)))
    assert main(["check", "--write-classes"]) == 0
    rows = [line.split(",")[:2] for line in Path("data/classes.csv").read_text().splitlines()]
    assert rows[1:] == [["0", "class 0"], ["3", "class 3"]]
    assert main(["check"]) == 0


def test_a_class_file_is_not_written_for_other_sources(capsys: pytest.CaptureFixture[str]) -> None:
    world = Path(__file__).resolve().parents[2] / "data/synthetic.yaml"
    content = tiny_parameters(world, source__name="synthetic", labels__scheme="cityscapes19")
    write_parameters(Path("params.yaml"), content)
    assert main(["check", "--write-classes"]) == 1
    assert "source.name is synthetic; --write-classes reads the masks" in capsys.readouterr().err

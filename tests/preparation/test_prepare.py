"""Prepared arrays: what is in them, and the data that must never get there."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.dataset.layout import DESCRIPTION, FORMAT, read_samples
from segpipe.dataset.reader import open_dataset
from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID
from segpipe.params.prepare import CopyParams, PrepareParams, SplitParams
from segpipe.preflight.judge import judge
from segpipe.preparation.prepare import prepare_data, survey_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import refuse
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder, save, scene

SMALL = PrepareParams(height=24, width=32)


def prepared(
    raw: Path,
    target: Path,
    prepare: PrepareParams = SMALL,
    extra: dict | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """As the stage does it: what is wrong is judged, and refused."""
    listing = list_samples(raw, SplitParams())
    target.mkdir()
    scheme = load_scheme("classes.csv", extra or {}, raw)
    context = PrepareContext(raw, scheme, PICTURES, prepare, excluded_labels(scheme, without))
    survey, _ = prepare_data(listing.samples, context, target)
    refuse(judge(survey, listing.findings, scheme, prepare))
    return target


def refusal(raw: Path, target: Path) -> str:
    with pytest.raises(DataError) as caught:
        prepared(raw, target)
    return str(caught.value)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("raw"), train=6, val=3, test=2)


@pytest.fixture(scope="module")
def plain(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(raw, tmp_path_factory.mktemp("plain") / "prepared")


def test_rows_hold_the_resized_files_in_the_order_of_the_index(raw: Path, plain: Path) -> None:
    dataset = open_dataset(plain)
    split = dataset.split("train")
    assert len(split) == 6
    for number, row in enumerate(split.rows):
        with Image.open(raw / row.sample.image) as image:
            expected = np.asarray(image.resize((32, 24), Image.Resampling.BILINEAR))
        assert (split.images_NTHWC[number, 0] == expected).all()
        with Image.open(raw / str(row.sample.mask)) as mask:
            nearest = np.asarray(mask.resize((32, 24), Image.Resampling.NEAREST))
        assert (split.masks_Nhw[number] == dataset.scheme.encode(nearest)[0]).all()


def test_statistics_are_those_of_the_training_arrays(plain: Path) -> None:
    dataset = open_dataset(plain)
    split = dataset.split("train")
    pixels = split.images_NTHWC[:].reshape(-1, 3) / 255
    np.testing.assert_allclose(dataset.input.mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(dataset.input.std, pixels.std(0), rtol=1e-9)
    counted = dataset.splits["train"]
    for train_id, name in enumerate(dataset.scheme.classes):
        assert counted["class_pixels"][name] == (split.masks_Nhw[:] == train_id).sum()
    assert counted["void_pixels"] == (split.masks_Nhw[:] == VOID).sum() > 0


def test_a_test_split_is_checked_and_listed_but_not_stored(plain: Path) -> None:
    assert [path.name for path in (plain / "test").iterdir()] == ["index.csv"]
    assert len(read_samples(plain / "test" / "index.csv")) == 2


def test_copies_recolour_the_training_split_alone(raw: Path, tmp_path: Path) -> None:
    dataset = open_dataset(
        prepared(
            raw, tmp_path / "p", PrepareParams(height=24, width=32, copies=CopyParams(count=2))
        )
    )
    train, val = dataset.split("train"), dataset.split("val")
    assert len(train) == 18
    assert len(val) == 3
    assert [row.copy for row in train.rows[:3]] == [0, 1, 2]
    assert len({row.sample.name for row in train.rows[:3]}) == 1
    for first in range(0, 18, 3):
        for copy in (1, 2):
            assert (train.masks_Nhw[first] == train.masks_Nhw[first + copy]).all()
            assert (train.images_NTHWC[first] != train.images_NTHWC[first + copy]).any()


def test_the_same_data_gives_the_same_bytes(raw: Path, plain: Path, tmp_path: Path) -> None:
    again = prepared(raw, tmp_path / "again")
    files = sorted(path.relative_to(plain) for path in plain.rglob("*") if path.is_file())
    assert len(files) == 11
    for file in files:
        assert (plain / file).read_bytes() == (again / file).read_bytes()


def test_a_changed_pixel_changes_the_fingerprint(raw: Path, plain: Path, tmp_path: Path) -> None:
    changed = make_folder(tmp_path / "raw", train=6, val=3, test=2)
    image, _ = scene(0)
    image[20, 20] = 255 - image[20, 20]
    save(changed / "images/train/drive0_000.png", image)
    other = open_dataset(prepared(changed, tmp_path / "p"))
    assert other.fingerprint != open_dataset(plain).fingerprint


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "raw", train=3, val=0)
    assert "val" in refusal(tmp_path / "raw", tmp_path / "p")


def test_every_kind_of_bad_file_is_listed_in_one_message(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=20, val=2)
    whole = (raw / "images/train/drive0_000.png").read_bytes()
    (raw / "images/train/drive0_000.png").write_bytes(whole[: len(whole) // 2])
    (raw / "images/train/drive1_001.png").write_bytes(b"")
    (raw / "masks/train/drive0_002.png").write_text("no picture")
    save(raw / "masks/val/drive0_000.png", scene(0, 24, 32)[1])
    for number in range(4, 16):
        mask = scene(number)[1]
        mask[5:8, 5] = 77
        save(raw / f"masks/train/drive{number % 2}_{number:03d}.png", mask)
    said = refusal(raw, tmp_path / "p")
    assert "3 files cannot be read" in said
    assert "drive0_000.png" in said
    assert "images/val/drive0_000.png is 48x64, masks/val/drive0_000.png is 24x32" in said
    assert "12 times a mask holds a value outside the label scheme" in said
    assert "masks/train/drive0_004.png: value 77 in 3 pixels" in said
    assert "... and 2 more" in said
    assert "params.yaml: the line `map: {77: void}` under labels" in said


def test_the_line_that_the_message_gives_mends_it(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=2, val=1)
    mask = scene(0)[1]
    mask[0, 0] = 77
    save(raw / "masks/train/drive0_000.png", mask)
    dataset = open_dataset(
        prepared(raw, tmp_path / "p", PrepareParams(height=48, width=64), {77: "void"})
    )
    assert dataset.split("train").masks_Nhw[0, 0, 0] == VOID


def test_unknown_colours_are_named_as_colours(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=2, val=1)
    scheme = load_scheme("classes.csv", {}, raw)
    painted = scheme.paint(scheme.encode(scene(0)[1])[0])
    painted[0, 0] = (1, 2, 3)
    save(raw / "masks/train/drive0_000.png", painted)
    said = refusal(raw, tmp_path / "p")
    assert "drive0_000.png: colour 1,2,3 in 1 pixels" in said
    assert "add the colours to the CSV or YAML file" in said


def test_a_colour_without_red_is_no_number_and_a_large_number_no_colour(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=2, val=1)
    scheme = load_scheme("classes.csv", {}, raw)
    painted = scheme.paint(scheme.encode(scene(0)[1])[0])
    painted[0, 0] = (0, 1, 2)
    save(raw / "masks/train/drive0_000.png", painted)
    wide = scene(1)[1].astype(np.uint16)
    wide[0, 0] = 300
    save(raw / "masks/train/drive1_001.png", wide)
    said = refusal(raw, tmp_path / "p")
    assert "drive0_000.png: colour 0,1,2 in 1 pixels" in said
    assert "drive1_001.png: value 300 in 1 pixels" in said
    assert "`map: {300: void}`" in said
    assert "add the colours to the CSV or YAML file" in said


def test_masks_of_all_kinds_mean_the_same(tmp_path: Path, plain: Path, raw: Path) -> None:
    other = make_folder(tmp_path / "raw", train=6, val=3, test=2)
    scheme = load_scheme("classes.csv", {}, other)
    index = Image.open(other / "masks/train/drive0_000.png")
    palette = index.copy()
    palette.putpalette([value % 256 for value in range(768)])
    palette.save(other / "masks/train/drive0_000.png")
    colours = np.zeros((10, 3), np.uint8)
    for label in scheme.raw:
        colours[label.id] = label.colour
    save(other / "masks/train/drive1_001.png", colours[scene(1)[1]])
    save(other / "masks/train/drive0_002.png", scene(2)[1].astype(np.uint16))
    alpha = np.dstack([colours[scene(3)[1]], np.full((48, 64), 200, np.uint8)])
    save(other / "masks/train/drive1_003.png", alpha)
    made = open_dataset(prepared(other, tmp_path / "p")).split("train")
    assert (made.masks_Nhw[:] == open_dataset(plain).split("train").masks_Nhw[:]).all()


def test_a_palette_that_contradicts_its_values_is_refused(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=2, val=1)
    mask = Image.open(raw / "masks/train/drive0_000.png").copy()
    # Value 0 means sky, but is painted like a road, and the reverse.
    mask.putpalette([128, 64, 128, 70, 130, 180, 0, 0, 142] + [0, 0, 0] * 7)
    mask.save(raw / "masks/train/drive0_000.png")
    assert "value 0 means sky, but its palette paints it like road" in refusal(raw, tmp_path / "p")


def test_a_survey_finds_the_same_and_writes_nothing(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=20, val=1)
    (raw / "images/val/drive0_000.png").write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    listing = list_samples(raw, SplitParams())
    context = PrepareContext(raw, load_scheme("classes.csv", {}, raw), PICTURES, SMALL)
    survey = survey_data(listing.samples, context)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "p").mkdir()
    assert survey == prepare_data(listing.samples, context, tmp_path / "p")[0]
    assert [stats.sample.name for stats in survey.samples if stats.unreadable] == ["drive0_000"]


def test_images_with_excluded_labels_leave_no_row(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=6, val=3)
    for number in (1, 4):
        mask = scene(number)[1]
        mask[mask == 2] = 1
        mask[0, 0] = 7
        save(raw / f"masks/train/drive{number % 2}_{number:03d}.png", mask)
    with (raw / "classes.csv").open("a") as labels:
        labels.write("7,tram,0,80,100\n")
    copies = PrepareParams(height=24, width=32, copies=CopyParams(count=1))
    everything = open_dataset(prepared(raw, tmp_path / "all", copies))
    dataset = open_dataset(prepared(raw, tmp_path / "p", copies, without=("tram",)))
    assert dataset.excluded == {"tram": 2}
    assert everything.excluded == {}
    whole, fewer = everything.split("train"), dataset.split("train")
    trams = ("drive1_001", "drive0_004")
    kept = [place for place, row in enumerate(whole.rows) if row.sample.name not in trams]
    assert len(fewer) == 8
    assert [whole.rows[row] for row in kept] == fewer.rows
    assert (whole.images_NTHWC[kept] == fewer.images_NTHWC[:]).all()
    assert (whole.masks_Nhw[kept] == fewer.masks_Nhw[:]).all()
    assert dataset.splits["train"]["class_pixels"]["tram"] == 0
    with pytest.raises(DataError, match="leaves no image in train"):
        prepared(raw, tmp_path / "none", without=("road",))


def test_the_frames_of_a_clip_lie_in_their_order_before_the_annotated_one(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=3, val=1)
    listing = list_samples(raw, SplitParams())
    names = [sample.image for sample in listing.samples["train"]]
    clips = {
        split: [replace(sample, frames=(names[1], names[2])) for sample in members]
        for split, members in listing.samples.items()
    }
    (tmp_path / "p").mkdir()
    prepare = PrepareParams(height=24, width=32, copies=CopyParams(count=1))
    scheme = load_scheme("classes.csv", {}, raw)
    prepare_data(clips, PrepareContext(raw, scheme, PICTURES, prepare), tmp_path / "p")
    dataset = open_dataset(tmp_path / "p")
    split = dataset.split("train")
    single = open_dataset(prepared(raw, tmp_path / "single")).split("train").images_NTHWC[:, 0]
    assert dataset.input.frames == 3
    assert split.images_NTHWC.shape == (6, 3, 24, 32, 3)
    for number in range(3):
        assert (split.images_NTHWC[2 * number] == single[[1, 2, number]]).all()
    assert split.rows[0].sample.frames == (names[1], names[2])
    # One draw for all frames: what was equal before is equal after.
    assert (split.images_NTHWC[3, 0] == split.images_NTHWC[3, 2]).all()
    assert (split.images_NTHWC[3] != split.images_NTHWC[2]).any()
    pixels = split.images_NTHWC[::2].reshape(-1, 3) / 255
    np.testing.assert_allclose(dataset.input.mean, pixels.mean(0), rtol=1e-12)


@pytest.mark.parametrize(
    "damage",
    [
        *("missing", "json", "list", "nested", "std", "train id", "format"),
        *("short", "no header", "no shard", "other shards", "no number", "dtype", "rows"),
        *("index", "fewer"),
    ],
)
def test_damaged_prepared_data_is_refused(damage: str, plain: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(plain, copy)
    about = copy / DESCRIPTION
    match damage:
        case "missing":
            about.unlink()
        case "json":
            about.write_text("{")
        case "list":
            about.write_text("[]")
        case "nested":
            about.write_text("[" * 3000)
        case "std":
            content = json.loads(about.read_text())
            content["input"]["std"][1] = 0.0
            about.write_text(json.dumps(content))
        case "train id":
            about.write_text(about.read_text().replace('"train_id": 1', '"train_id": 77'))
        case "format":
            about.write_text(json.dumps(json.loads(about.read_text()) | {"format": 99}))
        case "short":
            shard = copy / "train/images-00000.npy"
            shard.write_bytes(shard.read_bytes()[:-1000])
        case "no header":
            (copy / "train/masks-00000.npy").write_bytes(b"")
        case "no shard":
            (copy / "train/masks-00000.npy").unlink()
        case "other shards":
            about.write_text(json.dumps(json.loads(about.read_text()) | {"shards": {"train": 2}}))
        case "no number":
            about.write_text(json.dumps(json.loads(about.read_text()) | {"shards": {}}))
        case "dtype":
            np.save(copy / "train/masks-00000.npy", np.zeros((6, 24, 32), np.int64))
        case "rows":
            np.save(copy / "train/masks-00000.npy", np.zeros((7, 24, 32), np.uint8))
        case "fewer":
            lines = (copy / "train/index.csv").read_text().splitlines(keepends=True)
            (copy / "train/index.csv").write_text("".join(lines[:-1]))
        case "index":
            (copy / "train/index.csv").write_text("name\n")
    with pytest.raises(DataError, match="dvc repro"):
        open_dataset(copy).split("train")


def test_data_of_an_earlier_format_is_refused_with_the_repair(plain: Path, tmp_path: Path) -> None:
    about = json.loads((plain / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps(about | {"format": FORMAT - 1}))
    said = (
        rf"another version of segpipe, in format {FORMAT - 1} and not {FORMAT}; run `dvc repro --f"
    )
    with pytest.raises(DataError, match=said):
        open_dataset(tmp_path)


@pytest.mark.parametrize("content", ["[" * 3000, "[]", "3", f'{{"format": {FORMAT}}}'])
def test_a_damaged_description_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=r"dataset\.json: .*run `dvc repro --force prepare`"):
        open_dataset(tmp_path)

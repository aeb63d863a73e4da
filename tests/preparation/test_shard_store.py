"""Shards made ahead by several workers: the same bytes as without, and nothing damaged is taken."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segpipe.dataset import shards
from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.load import load_scheme
from segpipe.params.prepare import CopyParams, PrepareParams, SplitParams
from segpipe.preparation import shard_store
from segpipe.preparation.prepare import make_part, prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.sample_stats import Survey
from segpipe.preparation.shard_store import Part
from segpipe.preparation.statistics import Totals
from segpipe.raw.input_spec import PICTURES, Scaling
from segpipe.runtime.errors import ParameterError
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder, save, scene

PREPARE = PrepareParams(height=16, width=24, copies=CopyParams(count=1))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 4 to 8 KB: eight of train, one of val, one of test."""
    monkeypatch.setattr(shards, "_LEAST_AVERAGE", 4096)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two images hold trams, and are left out where these are asked for."""
    made = make_folder(tmp_path / "raw", train=20, val=3, test=2, height=24, width=32)
    with (made / "classes.csv").open("a") as labels:
        labels.write("7,tram,0,80,100\n")
    for name in ("drive0_004", "drive1_013"):
        mask = scene(4, 24, 32)[1]
        mask[0, 0] = 7
        save(made / f"masks/train/{name}.png", mask)
    return made


@pytest.fixture
def context(raw: Path) -> PrepareContext:
    scheme = load_scheme("classes.csv", {}, raw)
    return PrepareContext(raw, scheme, PICTURES, PREPARE, excluded_labels(scheme, ("tram",)))


Result = tuple[dict[str, bytes], Survey, dict[str, Totals]]


def prepared(context: PrepareContext, target: Path, store: Path | None = None) -> Result:
    """All files, and what the stage is told."""
    target.mkdir()
    samples = list_samples(context.raw, SplitParams()).samples
    survey, totals = prepare_data(samples, context, target, store)
    files = (path for path in target.rglob("*") if path.is_file())
    content = {path.relative_to(target).as_posix(): path.read_bytes() for path in files}
    return content, survey, totals


def in_parts(context: PrepareContext, store: Path, *parts: Part) -> list[tuple[int, int]]:
    samples = list_samples(context.raw, SplitParams()).samples
    return [make_part(samples, context, store, part) for part in parts]


def assert_same(found: Result, expected: Result) -> None:
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    for split, totals in expected[2].items():
        for name, value in vars(totals).items():
            np.testing.assert_array_equal(getattr(found[2][split], name), value)


@pytest.mark.parametrize("total", [1, 3, 40])
def test_any_number_of_workers_leaves_the_same_bytes(
    total: int, context: PrepareContext, tmp_path: Path
) -> None:
    expected = prepared(context, tmp_path / "alone")
    assert expected[1].excluded == {"tram": 2}
    parts = [Part(number, total) for number in range(1, total + 1)]
    made = in_parts(context, tmp_path / "store", *parts[::-1])
    every = len(list((tmp_path / "store").iterdir()))
    assert every > 8
    assert [sum(column) for column in zip(*made, strict=True)] == [every, every]
    assert in_parts(context, tmp_path / "store", parts[0])[0][0] == 0, "all of them are there"
    # No raw file is read again.
    for path in (context.raw / "images").rglob("*.png"):
        path.write_bytes(b"")
    assert_same(prepared(context, tmp_path / "taken", tmp_path / "store"), expected)


def test_scaled_pictures_have_the_same_mean_to_the_last_bit(
    context: PrepareContext, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for path in sorted((context.raw / "images").rglob("*.png")):
        save(path, random.integers(0, 65536, (24, 32), np.uint16))
    scaling = Scaling((1,), (300.0,), (61234.5,))
    grey = replace(PICTURES, channels=("grey",), display=(0, 0, 0), scaling=scaling)
    plain = PrepareParams(height=16, width=24)
    context = replace(context, files=grey, prepare=plain)
    expected = prepared(context, tmp_path / "alone")
    assert expected[2]["train"].first_C is not None
    in_parts(context, tmp_path / "store", Part(1, 2))
    half = prepared(context, tmp_path / "half", tmp_path / "store")
    assert_same(half, expected)
    in_parts(context, tmp_path / "store", Part(2, 2))
    assert_same(prepared(context, tmp_path / "all", tmp_path / "store"), expected)


def test_faults_are_reported_by_the_stage(context: PrepareContext, tmp_path: Path) -> None:
    (context.raw / "images/train/drive0_006.png").write_bytes(b"x")
    mask = scene(8, 24, 32)[1]
    mask[3, 3] = 99
    save(context.raw / "masks/train/drive0_008.png", mask)
    (context.raw / "images/test/drive0_000.png").write_bytes(b"y")
    expected = prepared(context, tmp_path / "alone")
    assert sum(not stats.good for stats in expected[1].samples) == 3
    in_parts(context, tmp_path / "store", Part(1, 2), Part(2, 2))
    assert_same(prepared(context, tmp_path / "taken", tmp_path / "store"), expected)


@pytest.mark.parametrize(
    "damage", ["lost", "short", "bit", "no file", "record", "no record", "statistics", "names"]
)
def test_a_lost_or_damaged_shard_is_made_again(
    damage: str, context: PrepareContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = prepared(context, tmp_path / "alone")
    store = tmp_path / "store"
    in_parts(context, store, Part(1, 1))
    folder = next(path for path in sorted(store.iterdir()) if path.name.startswith("train"))
    [images] = folder.glob("images-*.npy")
    record = folder / "record.json"
    match damage:
        case "lost":
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        case "short":
            images.write_bytes(images.read_bytes()[:-1])
        case "bit":
            flipped = bytearray(images.read_bytes())
            flipped[-5] ^= 1
            images.write_bytes(flipped)
        case "no file":
            images.unlink()
        case "record":
            record.write_text(record.read_text()[:-20])
        case "no record":
            record.unlink()
        case "statistics":
            content = json.loads(record.read_text())
            content["totals"]["pixels_256"][0] += 1
            record.write_text(json.dumps(content))
        case "names":
            content = {
                key: value
                for key, value in json.loads(record.read_text()).items()
                if key in ("totals", "samples")
            }
            content["samples"][0]["name"] = "another"
            files = json.loads(record.read_text())["files"]
            digest = shard_store._text_digest(content)
            record.write_text(json.dumps({**content, "files": files, "digest": digest}))
    assert_same(prepared(context, tmp_path / "again", store), expected)
    said = capsys.readouterr().out
    assert (f"{folder}: is damaged, and is made again" in said) == (damage != "lost")


def test_impossible_copies_are_refused_before_a_file_is_read(
    context: PrepareContext, tmp_path: Path
) -> None:
    copies = CopyParams(count=1, zoom=(0.5, 0.9))
    coarse = replace(context.files, truth_ratio=2)
    prepare = PREPARE.model_copy(update={"copies": copies})
    with pytest.raises(ParameterError, match=r"prepare\.copies\.zoom"):
        in_parts(replace(context, files=coarse, prepare=prepare), tmp_path / "store", Part(1, 1))
    assert not (tmp_path / "store").exists()


def test_of_two_workers_on_one_part_one_is_enough(
    context: PrepareContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins when no shard is there, and ends when all are."""
    store, before = tmp_path / "store", shard_store.sample_results

    def overtaken(*arguments: object) -> object:
        monkeypatch.setattr(shard_store, "sample_results", before)
        in_parts(context, store, Part(1, 1))
        return before(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shard_store, "sample_results", overtaken)
    in_parts(context, store, Part(1, 1))
    assert not list(store.glob(".*")), "what the second made is removed"
    assert_same(prepared(context, tmp_path / "taken", store), prepared(context, tmp_path / "alone"))

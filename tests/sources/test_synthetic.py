"""The synthetic archives: like Cityscapes to the official tools, and the same for the same seed."""

import functools
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import name2label
from cityscapesscripts.preparation.json2instanceImg import createInstanceImage
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from PIL import Image
from ruamel.yaml import YAML
from torchvision.datasets import Cityscapes

from segpipe.params.source import CityscapesParams, ClipParams, SourceParams, SyntheticParams
from segpipe.runtime.errors import ParameterError
from segpipe.sources.archives import unpack
from segpipe.sources.cityscapes_layout.samples import list_samples
from segpipe.sources.synthetic import archives
from segpipe.sources.synthetic.archives import write_archives
from segpipe.sources.synthetic.compose import compose
from segpipe.sources.synthetic.scene import View
from segpipe.sources.synthetic.truth import annotate, clipped
from segpipe.sources.synthetic.world import World, read_world

WORLD = Path(__file__).parents[2] / "data" / "synthetic.yaml"
SMALL = SyntheticParams(train=5, val=2, test=1, height=64, width=128, seed=7)
STILL = ClipParams()
SOURCE = SourceParams(name="synthetic", path=str(WORLD), synthetic=SMALL)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    write_archives(SMALL, STILL, WORLD, folder)
    return folder


@pytest.fixture(scope="module")
def raw(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for archive in sorted(packed.glob("*.zip")):
        unpack(archive, folder)
    return folder


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def content_of_world() -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(WORLD.read_text(encoding="utf-8"))
    return content


def written(content: Any, folder: Path) -> Path:
    path = folder / "world.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    return path


def world_with(section: str, **changes: float) -> World:
    content = content_of_world()
    content[section] = content[section] | changes
    return World.model_validate(content)


def labels_of(world: World, index: int) -> Any:
    return annotate(View(compose(world, 0, "train", "aldbeck", index), 0.0, 64, 128)).label_ids()


class TestArchives:
    def test_names_are_the_official_ones(self, packed: Path) -> None:
        assert sorted(path.name for path in packed.iterdir()) == [
            "gtFine_trainvaltest.zip",
            "leftImg8bit_trainvaltest.zip",
        ]
        images = list(members(packed / archives.IMAGES))
        assert "leftImg8bit/train/aldbeck/aldbeck_000001_000019_leftImg8bit.png" in images
        assert len(images) == 8 and images == sorted(images)
        truth = list(members(packed / archives.TRUTH))
        assert len(truth) == 4 * 8 and truth == sorted(truth)
        ends = {name.split("_000019_")[1] for name in truth}
        assert ends == {
            "gtFine_color.png",
            "gtFine_instanceIds.png",
            "gtFine_labelIds.png",
            "gtFine_polygons.json",
        }

    def test_same_seed_gives_same_bytes_and_another_seed_gives_others(
        self, packed: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "again").mkdir()
        (tmp_path / "other").mkdir()
        for path in write_archives(SMALL, STILL, WORLD, tmp_path / "again"):
            assert path.read_bytes() == (packed / path.name).read_bytes()
        other = SMALL.model_copy(update={"seed": 8})
        for path in write_archives(other, STILL, WORLD, tmp_path / "other"):
            ours, theirs = members(packed / path.name), members(path)
            assert ours.keys() == theirs.keys()
            assert all(ours[name] != theirs[name] for name in ours)

    def test_a_scene_depends_on_neither_count_nor_processes(
        self, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "_WORTH_A_PROCESS", 1)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
        more = SMALL.model_copy(update={"train": 6, "test": 0})
        for path in write_archives(more, STILL, WORLD, tmp_path):
            few, many = members(packed / path.name), members(path)
            common = few.keys() & many.keys()
            assert len(common) == len([name for name in few if "/test/" not in name])
            assert len(many) > len(common)
            assert all(few[name] == many[name] for name in common)

    def test_our_own_source_pairs_all_of_it(self, raw: Path) -> None:
        found = list_samples(raw, SOURCE, truth_withheld=False)
        assert found.findings == []
        assert {split: len(members) for split, members in found.samples.items()} == {
            "train": 5,
            "val": 2,
            "test": 1,
        }
        assert all(one.mask for members in found.samples.values() for one in members)
        groups = [{one.group for one in members} for members in found.samples.values()]
        assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]

    def test_coarse_scenes_are_asked_of_cityscapes_alone(self, raw: Path) -> None:
        coarse = SOURCE.model_copy(update={"cityscapes": CityscapesParams(coarse_per_fine=2.0)})
        found = list_samples(raw, coarse, truth_withheld=False)
        assert found == list_samples(raw, SOURCE, truth_withheld=False)


class TestOfficialTools:
    def test_official_painters_make_the_same_pictures(self, raw: Path) -> None:
        files = sorted(raw.glob("gtFine/*/*/*_polygons.json"))
        assert len(files) == 8
        counted = 0
        for file in files:
            annotation = Annotation()
            annotation.fromJsonFile(str(file))
            stem = str(file).removesuffix("polygons.json")
            ids = np.asarray(Image.open(f"{stem}labelIds.png"))
            instances = Image.open(f"{stem}instanceIds.png")
            colours = Image.open(f"{stem}color.png")
            assert ids.shape == (64, 128) and ids.dtype == np.uint8
            assert instances.mode == "I;16" and colours.mode == "RGBA"
            assert np.array_equal(ids, np.asarray(createLabelImage(annotation, "ids")))
            official = np.asarray(createInstanceImage(annotation, "ids"))
            assert np.array_equal(np.asarray(instances), official)
            assert np.array_equal(
                np.asarray(colours), np.asarray(createLabelImage(annotation, "color"))
            )
            counted += int((official >= 24_000).sum())
        assert counted > 0

    def test_polygons_lie_in_the_picture_and_each_is_seen(self, raw: Path) -> None:
        for file in raw.glob("gtFine/*/*/*_polygons.json"):
            content = json.loads(file.read_text())
            assert (content["imgHeight"], content["imgWidth"]) == (64, 128)
            for one in content["objects"]:
                assert one["label"] in name2label and len(one["polygon"]) >= 3
                points = np.array(one["polygon"])
                assert points.min() >= 0 and (points <= (127, 63)).all()

    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_torchvision_loads_every_target(self, raw: Path, split: str) -> None:
        kinds = ["instance", "semantic", "color", "polygon"]
        data = Cityscapes(str(raw), split=split, mode="fine", target_type=kinds)
        assert len(data) == {"train": 5, "val": 2, "test": 1}[split]
        image, (instances, semantic, colour, polygons) = data[0]
        assert all(np.asarray(picture).any() for picture in (instances, semantic, colour))
        assert image.size == instances.size == semantic.size == colour.size == (128, 64)
        assert polygons["objects"]
        assert np.asarray(image).std() > 10

    def test_torchvision_unpacks_the_archives_itself(self, packed: Path, tmp_path: Path) -> None:
        for archive in packed.glob("*.zip"):
            (tmp_path / archive.name).write_bytes(archive.read_bytes())
        data = Cityscapes(str(tmp_path), split="val", target_type="semantic")
        assert len(data) == 2
        assert np.asarray(data[1][1]).shape == (64, 128)


class TestScenes:
    def test_all_classes_occur(self) -> None:
        world = read_world(WORLD)
        counts = [np.bincount(labels_of(world, k).ravel(), minlength=40) for k in range(60)]
        pixels = np.sum(counts, axis=0)
        names = [one.name for one in name2label.values() if 0 <= one.trainId < 19]
        missing = [name for name in names if pixels[name2label[name].id] == 0]
        # Trams are rare enough to miss sixty scenes of an unlucky seed.
        assert set(missing) <= {"train"}
        share = pixels / pixels.sum()
        assert share[7] > 0.15 and share[11] > 0.1 and share[23] > 0.03
        assert pixels[0] == 0

    def test_trams_run_where_they_are_asked_for(self) -> None:
        content = content_of_world()
        content["districts"] |= {"old_town": 0, "residential": 0, "industrial": 0}
        content["chances"]["tram_track"] = 1.0
        content["density"] |= {"trams": 9.0, "trucks": 0, "buses": 0}
        world = World.model_validate(content)
        assert any((labels_of(world, index) == 31).any() for index in range(6))

    def test_the_bonnet_is_void_at_the_lower_edge(self) -> None:
        ids = labels_of(world_with("chances", hood=1.0, border=0.0), 0)
        assert ids[-1, 64] == name2label["ego vehicle"].id
        assert name2label["ego vehicle"].trainId == 255
        without = labels_of(world_with("chances", hood=0.0, border=0.0), 0)
        assert not (without == name2label["ego vehicle"].id).any()

    def test_any_size_can_be_drawn(self, tmp_path: Path) -> None:
        odd = SyntheticParams(train=1, val=1, test=0, height=37, width=51, seed=1)
        images = members(write_archives(odd, STILL, WORLD, tmp_path)[0])
        for content in images.values():
            assert np.asarray(Image.open(io.BytesIO(content))).shape == (37, 51, 3)

    def test_labels_stand_where_the_picture_changes(self, raw: Path) -> None:
        # The mean step of brightness across a label's edge exceeds that within labels.
        across, within = [], []
        for file in raw.glob("leftImg8bit/*/*/*.png"):
            grey = np.asarray(Image.open(file).convert("L")).astype(float)
            name = str(file).replace("leftImg8bit.png", "gtFine_labelIds.png")
            ids = np.asarray(Image.open(name.replace("/leftImg8bit/", "/gtFine/")))
            step, edge = np.abs(np.diff(grey, axis=1)), np.diff(ids.astype(int), axis=1) != 0
            across.append(step[edge].mean())
            within.append(step[~edge].mean())
        assert len(across) == 8
        assert np.mean(across) > 2 * np.mean(within)

    def test_clipping_keeps_a_polygon_that_surrounds_the_picture(self) -> None:
        around = np.array([(-50.0, -50.0), (90.0, -50.0), (90.0, 90.0), (-50.0, 90.0)])
        assert sorted(set(clipped(around, 10, 20))) == [(0, 0), (0, 9), (19, 0), (19, 9)]
        assert clipped(around + 200, 10, 20) == []


class TestSequences:
    def test_frames_end_with_the_annotated_one(self, packed: Path, tmp_path: Path) -> None:
        few = SMALL.model_copy(update={"train": 2, "val": 1, "test": 0})
        paths = write_archives(few, ClipParams(frames=4), WORLD, tmp_path)
        assert [path.name for path in paths][2] == "leftImg8bit_sequence_trainvaltest.zip"
        frames = members(paths[2])
        stem = "leftImg8bit_sequence/train/aldbeck/aldbeck_000000_"
        mine = [name for name in frames if name.startswith(stem)]
        assert mine == [f"{stem}{k:06d}_leftImg8bit.png" for k in (16, 17, 18, 19)]
        assert len(frames) == 2 * 4 + 5, "val has the frame before its clip as well"
        annotated = "leftImg8bit/train/aldbeck/aldbeck_000000_000019_leftImg8bit.png"
        images = members(paths[0])
        assert frames[mine[3]] == images[annotated]
        assert len({frames[name] for name in mine}) == 4
        # The annotated frame is the same picture, whether earlier ones are drawn or not.
        assert images[annotated] == members(packed / archives.IMAGES)[annotated]

    def test_a_stride_leaves_frames_out_and_changes_none(self, tmp_path: Path) -> None:
        one = SMALL.model_copy(update={"train": 1, "val": 1, "test": 0})
        drawn = []
        for frames, stride in ((10, 1), (3, 3)):
            folder = tmp_path / str(stride)
            folder.mkdir()
            clip = ClipParams(frames=frames, stride=stride)
            drawn.append(members(write_archives(one, clip, WORLD, folder)[2]))
        numbers = {
            split: sorted(name.rsplit("_", 2)[1] for name in drawn[1] if f"/{split}/" in name)
            for split in ("train", "val")
        }
        assert numbers["train"] == ["000013", "000016", "000019"]
        # One more, from which a model of clips predicts the frame before the annotated one.
        assert numbers["val"] == ["000010", *numbers["train"]]
        assert drawn[1].items() <= drawn[0].items()

    def test_the_longest_clip_begins_the_snippet(self, tmp_path: Path) -> None:
        one = SyntheticParams(train=1, val=1, test=0, height=8, width=16)
        frames = members(write_archives(one, ClipParams(frames=2, stride=19), WORLD, tmp_path)[2])
        assert {name.rsplit("_", 2)[1] for name in frames} == {"000000", "000019"}

    def test_our_own_source_finds_the_clips(self, tmp_path: Path) -> None:
        few = SMALL.model_copy(update={"train": 1, "val": 1, "test": 1})
        clip = ClipParams(frames=3, stride=2)
        (tmp_path / "raw").mkdir()
        for archive in write_archives(few, clip, WORLD, tmp_path):
            unpack(archive, tmp_path / "raw")
        source = SOURCE.model_copy(update={"clip": clip})
        found = list_samples(tmp_path / "raw", source, truth_withheld=False)
        assert found.findings == []
        stem = "leftImg8bit_sequence/train/aldbeck/aldbeck_000000_"
        (sample,) = found.samples["train"]
        assert sample.frames == tuple(f"{stem}{k:06d}_leftImg8bit.png" for k in (15, 17))
        assert sample.image == "leftImg8bit/train/aldbeck/aldbeck_000000_000019_leftImg8bit.png"
        assert [len(found.samples[split][0].frames) for split in ("val", "test")] == [2, 2]

    def test_the_street_comes_nearer(self) -> None:
        scene = compose(read_world(WORLD), 0, "train", "aldbeck", 0)
        still = next(one for one in scene.things if one.label == "pole" and one.depth > 20)
        before, after = (scene.camera.view(still.points_P3, time)[:, 2] for time in (-0.2, 0.0))
        assert np.allclose(before - after, 0.2 * scene.camera.speed)


class TestWorld:
    def test_the_world_in_the_repository_is_valid(self) -> None:
        world = read_world(WORLD)
        assert len(world.cities.train) == 4 and len(world.cities.val) == 2

    def test_every_key_has_an_effect(self) -> None:
        content = content_of_world()
        # Nothing may hide a key behind another: everything is given its occasion.
        content["chances"] |= {"junction": 0.9, "tram_track": 0.9}

        @functools.cache
        def drawn(section: str, key: str, index: int) -> tuple[str, int]:
            changed = dict(content)
            if section:
                changed[section] = content[section] | {key: content[section][key] * 0.1}
            world = World.model_validate(changed)
            scene = compose(world, 0, "train", "aldbeck", index)
            corners = b"".join(one.points_P3.tobytes() for one in scene.things)
            rest = (vars(scene.camera), vars(scene.light), scene.hood_L2 is None, scene.border)
            return repr(rest), hash(corners)

        idle = []
        for section in ("weather", "districts", "density", "chances", "sensor"):
            for key in content[section]:
                pairs = ((drawn(section, key, k), drawn("", "", k)) for k in range(25))
                if all(changed == usual for changed, usual in pairs):
                    idle.append(f"{section}.{key}")
        assert idle == []

    @pytest.mark.parametrize(
        ("section", "key", "value", "told"),
        [
            ("density", "people", "many", "density.people is 'many'"),
            ("density", "people", -1.0, "density.people is -1.0"),
            (
                "density",
                "cars",
                3.0,
                "density.cars is not a key of this file; density has: parked_cars",
            ),
            ("chances", "hood", 1.5, "chances.hood is 1.5"),
            ("cities", "train", [], "cities.train is empty"),
            ("cities", "val", ["aldbeck"], "cities: aldbeck appears twice"),
            ("cities", "val", ["Old_Town"], "cities: 'Old_Town' is no usable city name"),
            ("sensor", "noise", None, "sensor.noise is None"),
        ],
    )
    def test_faults_are_named(
        self, tmp_path: Path, section: str, key: str, value: Any, told: str
    ) -> None:
        content = content_of_world()
        content[section][key] = value
        with pytest.raises(ParameterError) as caught:
            read_world(written(content, tmp_path))
        assert told in str(caught.value) and "world.yaml" in str(caught.value)

    def test_a_missing_key_is_named(self, tmp_path: Path) -> None:
        content = content_of_world()
        del content["weather"]["rain"]
        with pytest.raises(ParameterError, match=r"world.yaml: weather.rain is missing"):
            read_world(written(content, tmp_path))

    def test_weights_that_are_all_zero_are_refused(self, tmp_path: Path) -> None:
        content = content_of_world()
        content["districts"] = dict.fromkeys(content["districts"], 0)
        with pytest.raises(ParameterError, match="districts: all weights are 0"):
            read_world(written(content, tmp_path))

    def test_a_missing_world_is_explained_and_nothing_is_left(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match=r"source\.path is .*there is no such file"):
            write_archives(SMALL, STILL, tmp_path / "none.yaml", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_list_is_no_world(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match="must hold the sections cities, weather"):
            read_world(written([1, 2], tmp_path))

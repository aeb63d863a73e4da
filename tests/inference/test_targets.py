"""Names of what is written."""

from pathlib import Path

from segpipe.inference.targets import film_files, fitting, flat_names, output_names


def test_long_names_are_cut_at_a_whole_character_and_stay_apart() -> None:
    names = [f"{'ä' * 130}{end}" for end in "xy"]
    short = [fitting(name, 100) for name in names]
    assert short[0] != short[1]
    assert all(name.startswith("ä" * 41 + "-") for name in short)
    assert [len(name.encode()) for name in short] == [99, 99]
    assert fitting("a" * 251) == "a" * 251
    assert len(fitting("a" * 252)) == 251


def test_flat_names_are_one_to_one() -> None:
    names = ["val/a/b", "val/a__b", "val/c", "x" * 300, f"{'x' * 300}y"]
    flat = flat_names(names, 240)
    assert flat["val/c"] == "val__c"
    assert flat["val/a/b"].startswith("val__a__b-")
    assert len(set(flat.values())) == len(names)
    assert max(map(len, flat.values())) == 240
    assert flat == flat_names(reversed(names), 240)


def test_a_name_that_is_another_ones_whole_name_stays_apart() -> None:
    places = {
        Path("in", name): Path(name)
        for name in ("a.jpg", "a.png", "a.jpg.tif", "b/a.jpg", "c.d.jpg")
    }
    names = output_names(places)
    assert list(names.values()) == ["a.jpg", "a.png", "a.jpg.tif", "b/a", "c.d"]


def test_no_folder_of_frames_lies_in_another_one() -> None:
    files = film_files(["a", "a/b", "c/a__b", "c__a/b"], Path("out"))
    assert files["a"] == (Path("out/overlays/a.mp4"), Path("out/frames/a"))
    assert files["a/b"] == (Path("out/overlays/a/b.mp4"), Path("out/frames/a__b"))
    folders = {folder for _, folder in files.values()}
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {Path("out/frames")}

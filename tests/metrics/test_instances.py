"""Which classes and categories have objects; the scores themselves are compared with the official ones in
tests/evaluation/measures/test_cityscapes_scores.py.
"""

from pathlib import Path

from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels

from segpipe.labels.load import built_in_scheme, load_scheme
from segpipe.metrics.instances import AVERAGE_PIXELS, instance_sets


def test_the_table_of_objects_is_the_official_one() -> None:
    names = {name: pixels for (_, name), pixels in AVERAGE_PIXELS.items()}
    assert names == official.args.avgClassSize
    numbers = {(label.id, label.name) for label in labels if label.hasInstances}
    assert AVERAGE_PIXELS.keys() == numbers


def test_schemes_without_objects_or_categories(tmp_path: Path) -> None:
    for name in ("camvid11", "sky", "cityscapes19_trainids"):
        scheme = built_in_scheme(name)
        assert instance_sets(scheme, [None] * scheme.num_classes) is None
    (tmp_path / "own.csv").write_text("id,name\n24,person\n7,road\n26,bus\n")
    own = load_scheme("own.csv", {}, tmp_path)
    sets = instance_sets(own, [None] * 3)
    assert sets is not None and sets.names == ("person",), "26 is no bus in Cityscapes"

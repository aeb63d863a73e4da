"""Parallel coordinates: where the lines cross the axes."""

import re
from xml.etree import ElementTree

from segpipe.rendering.report.charts import Line, fitted, line_chart
from segpipe.rendering.sweep.parallel import Axis, parallel_coordinates

AXES = [
    Axis("lr", [1e-4, 1e-2, 1e-3], logarithmic=True),
    Axis("model <x>", ["fcn", "unet", "unet"]),
    Axis("depth", [None, 1, 4]),
]


def crossings(drawing: str) -> dict[str, list[float]]:
    """The height at which each trial crosses each axis, from the top."""
    found = {}
    for path in ElementTree.fromstring(drawing).iter("path"):
        if path.find("title") is not None:
            name = (path.find("title").text or "").partition(":")[0]  # type: ignore[union-attr]
            points = re.findall(r"(\d+) ([\d.]+)", path.get("d") or "")
            found[name] = [float(top) for _, top in points]
    return found


def test_lines_cross_the_axes_at_their_values() -> None:
    found = crossings(parallel_coordinates(AXES, ["a", "b", "c"], [False, True, False]))
    low, high, middle = (found[name][0] for name in "abc")
    assert high < low, "the largest value is at the head"
    assert abs(middle - (low + high) / 2) < 0.2, "the logarithm is in the middle"
    assert found["b"][1] == found["c"][1] != found["a"][1]
    assert found["a"][2] > found["b"][2] > found["c"][2], "without a value a line is at the foot"


def test_the_best_are_drawn_last_and_all_text_is_escaped() -> None:
    drawing = parallel_coordinates(AXES, ["<a>", "b", "c"], [True, False, False])
    assert list(crossings(drawing)) == ["b", "c", "<a>"]
    assert "<x>" not in drawing


def test_one_value_and_one_trial_are_drawn() -> None:
    assert crossings(parallel_coordinates([Axis("a", [3]), Axis("b", [True])], ["t"], [True]))["t"]


def test_points_alone_have_no_line_between_them() -> None:
    points = [(float(n), float(n % 7)) for n in range(100)]
    x, y = fitted("x", [0, 100]), fitted("y", [0, 7])
    drawing = line_chart([Line("p", points, joined=False)], x, y)
    assert drawing.count("<circle") == 100
    assert 'class="line' not in drawing

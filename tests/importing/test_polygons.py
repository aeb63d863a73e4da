"""Which pixels a polygon covers, beside a brute-force test of pixel centres and the tools' own drawing."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from segpipe.importing import polygons
from segpipe.importing.run_lengths import Mask
from segpipe.importing.shapes import Pixels, Region, polygon
from segpipe.runtime.errors import DataError

# pycocotools works to a fifth of a pixel, and rounds twice: a centre so near to an edge may go either way.
BOUND = 0.3


def whole(pixels: Pixels, height: int, width: int) -> Mask:
    """The pixels of a shape in the whole image."""
    region = pixels(height, width)
    assert region is not None
    mask = np.zeros((height, width), bool)
    region.paint(mask, True)
    return mask


def inside(x: float, y: float, ring: NDArray[np.float64]) -> bool:
    crossings = 0
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            crossings += 1
    return crossings % 2 == 1


def distance(x: float, y: float, ring: NDArray[np.float64]) -> float:
    found = math.inf
    for first, second in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        along = second - first
        part = np.clip(np.dot((x, y) - first, along) / np.dot(along, along), 0, 1)
        found = min(found, float(np.linalg.norm((x, y) - first - part * along)))
    return found


def test_pixels_are_those_whose_centres_lie_inside() -> None:
    covered = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        height, width, corners = 21, 17, int(random.integers(3, 9))
        angles = np.sort(random.uniform(0, 2 * math.pi, corners))
        radii = random.uniform(2, 14, corners)
        ring = np.stack([9 + radii * np.cos(angles), 10 + radii * np.sin(angles)], axis=1)
        found = polygons.by_centres([ring], height, width)
        covered += int(found.sum())
        for row, column in np.ndindex(height, width):
            if found[row, column] != inside(column + 0.5, row + 0.5, ring):
                assert distance(column + 0.5, row + 0.5, ring) < BOUND
    assert covered > 2000


@pytest.mark.parametrize("seed", range(20))
def test_a_polygon_is_drawn_alone_as_it_is_in_the_whole_image(seed: int) -> None:
    random = np.random.default_rng(seed)
    inner, outer = random.uniform(0, 40, (6, 2)), random.uniform(-20, 60, (6, 2))
    truth = polygons.by_centres([inner], 40, 40)
    np.testing.assert_array_equal(whole(polygon([inner]), 40, 40), truth)
    for ring in (inner, outer):
        for rule, outline in (("edges", False), ("edges and outline", True)):
            truth = polygons.with_edges(ring, 40, 40, outline=outline)
            found = whole(polygon([ring], rule), 40, 40)  # type: ignore[arg-type]
            np.testing.assert_array_equal(found, truth)


def test_neighbours_that_share_an_edge_neither_overlap_nor_leave_a_gap() -> None:
    left = np.array([(0, 0), (7.3, 0), (4.1, 12), (0, 12)])
    right = np.array([(7.3, 0), (16, 0), (16, 12), (4.1, 12)])
    one, other = (polygons.by_centres([ring], 12, 16) for ring in (left, right))
    assert (one ^ other).all()


def test_edges_belong_to_a_polygon_that_pillow_paints() -> None:
    ring = np.array([(2, 1), (5, 1), (5, 3), (2, 3)], float)
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    np.testing.assert_array_equal(polygons.with_edges(ring, 6, 8, outline=False), expected)
    np.testing.assert_array_equal(polygons.with_edges(ring, 6, 8, outline=True), expected)


@pytest.mark.parametrize("rule", ["centres", "edges"])
def test_a_hole_is_no_part_of_a_polygon(rule: str) -> None:
    outer, hole = [(0, 0), (9, 0), (9, 9), (0, 9)], [(3, 3), (6, 3), (6, 6), (3, 6)]
    found = whole(polygon([outer], rule, holes=[hole]), 10, 10)  # type: ignore[arg-type]
    assert found[1, 1] and not found[4, 4] and found[9, 9] == (rule == "edges")


def test_points_outside_of_the_image_are_cut_off_and_far_ones_refused() -> None:
    near = whole(polygon([[(-5, -5), (4, -5), (4, 3), (-5, 3)]]), 10, 10)
    assert near.sum() == 12 and near[:3, :4].all()
    for far in (1e9, math.nan, math.inf, -21):
        with pytest.raises(DataError, match=r"finite|farther outside"):
            polygon([[(0, 0), (far, 0), (4, 4)]])(10, 10)
    with pytest.raises(DataError, match="at most"):
        polygon([[(0, 0)] * (polygons.MOST_POINTS + 1)])(10, 10)


def test_a_polygon_of_two_points_has_no_area() -> None:
    assert polygon([[(0, 0), (4, 4)]])(10, 10) is None


def test_what_is_turned_keeps_its_area() -> None:
    upright = whole(polygon([polygons.rectangle(10, 14, 30, 26)]), 40, 40)
    turned = whole(polygon([polygons.rectangle(10, 14, 30, 26, 90)]), 40, 40)
    np.testing.assert_array_equal(turned, upright.T)
    round_one = whole(polygon([polygons.ellipse(20, 20, 10, 5)]), 40, 40)
    assert abs(round_one.sum() - math.pi * 50) < 8


@pytest.mark.parametrize("left", [-9, -2, 3, 7, 50])
@pytest.mark.parametrize("top", [-9, -1, 2, 5, 50])
def test_a_part_is_pasted_at_its_place_and_cut_at_the_border(left: int, top: int) -> None:
    part = np.random.default_rng(0).random((4, 5)) < 0.5
    expected = np.zeros((7, 9), bool)
    for row, column in np.ndindex(4, 5):
        if 0 <= row + top < 7 and 0 <= column + left < 9:
            expected[row + top, column + left] = part[row, column]
    found = np.zeros((7, 9), bool)
    Region(part, top, left).paint(found, True)
    np.testing.assert_array_equal(found, expected)

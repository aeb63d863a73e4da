import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segpipe.metrics.label_pairs import label_confusion, pair_counts
from segpipe.metrics.optical_flow import (
    NOWHERE,
    dis_flow,
    earlier_places,
    flow_name,
    moved_labels,
    require_opencv,
)
from segpipe.metrics.scores import class_counts, miou
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.sources.synthetic.compose import compose
from segpipe.sources.synthetic.painter import paint
from segpipe.sources.synthetic.scene import View
from segpipe.sources.synthetic.truth import annotate
from segpipe.sources.synthetic.world import read_world
from tests.forge import ROOT

VOID = 255


def flow(*vectors: tuple[float, float], shape: tuple[int, int] = (2, 4)) -> NDArray[np.float32]:
    """The same vector (across, down) everywhere, or one for each pixel."""
    return np.broadcast_to(np.array(vectors, np.float32), (8, 2)).reshape(*shape, 2)


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (7, 7), 0))


def test_2x4_pixels_by_hand() -> None:
    labels = np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.uint8)
    # Everything was one pixel further left; what is now in the first column came in from outside.
    places = earlier_places(flow((-1, 0)), flow((1, 0)))
    assert places.tolist() == [[NOWHERE, 0, 1, 2], [NOWHERE, 4, 5, 6]]
    assert moved_labels(labels, places).tolist() == [[VOID, 0, 1, 2], [VOID, 4, 5, 6]]
    # One row up; the nearest pixel counts, and a half goes to the right.
    places = earlier_places(flow((0.5, -1.2)), flow((-0.5, 1.2)))
    assert moved_labels(labels, places).tolist() == [[VOID] * 4, [1, 2, 3, VOID]]
    # The pixel at (0, 2) comes from (0, 0), which says that it went nowhere: it was hidden before.
    back = flow(*[(0, 0)] * 2, (-2, 0), *[(0, 0)] * 5)
    assert earlier_places(back, flow((0, 0))).tolist() == [[0, 1, NOWHERE, 3], [4, 5, 6, 7]]
    # A gap of 0.7 pixels is within 0.01 (|w|^2 + |v|^2) + 0.5, one of 0.75 is not.
    assert (earlier_places(flow((0, 0)), flow((0.7, 0))) != NOWHERE).all()
    assert (earlier_places(flow((0, 0)), flow((0.75, 0))) == NOWHERE).all()
    assert (earlier_places(flow((float("nan"), 0)), flow((0, 0))) == NOWHERE).all()


@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_is_that_of_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = 13, 17
    back, forth = (rng.normal(0, 1.5, (height, width, 2)).astype(np.float32) for _ in range(2))
    forth[:, 5:] = -back[:, 5:] + rng.normal(0, 0.3, (height, width - 5, 2))
    labels = rng.integers(0, 9, (height, width)).astype(np.uint8)
    wanted = np.full((height, width), VOID, np.uint8)
    for row in range(height):
        for column in range(width):
            across, down = back[row, column]
            r, c = int(np.floor(row + down + 0.5)), int(np.floor(column + across + 0.5))
            if not (0 <= r < height and 0 <= c < width):
                continue
            w, v = back[row, column], forth[r, c]
            if ((w + v) ** 2).sum() < 0.01 * ((w**2).sum() + (v**2).sum()) + 0.5:
                wanted[row, column] = labels[r, c]
    found = moved_labels(labels, earlier_places(back, forth))
    assert (found == wanted).all()
    assert 10 < (found != VOID).sum() < found.size - 10


@pytest.mark.parametrize(("across", "down"), [(3, 0), (-2, 1), (0, -4), (7, 5), (0, 0)])
def test_the_flow_follows_a_picture_that_moves_by_whole_pixels(across: int, down: int) -> None:
    film, labels = texture(90, 120), np.random.default_rng(1).integers(0, 9, (90, 120), np.uint8)
    earlier, later = film[10:74, 10:106], film[10 - down : 74 - down, 10 - across : 106 - across]
    before = labels[10:74, 10:106]
    after = labels[10 - down : 74 - down, 10 - across : 106 - across]
    places = earlier_places(dis_flow(later, earlier), dis_flow(earlier, later))
    moved = moved_labels(before, places)
    inside = np.s_[8:-8, 8:-8]
    assert (moved[inside] == after[inside]).all(), "also that nothing inside is left out"
    assert (moved == VOID).any() == ((across, down) != (0, 0))


def test_the_flow_does_not_depend_on_the_number_of_threads() -> None:
    frames = texture(120, 160), cv2.resize(texture(110, 150), (160, 120))
    threads, flows = cv2.getNumThreads(), []
    for number in (1, 2, 3):
        cv2.setNumThreads(number)
        flows.append(dis_flow(*frames))
    cv2.setNumThreads(threads)
    assert (flows[0] == flows[1]).all() and (flows[0] == flows[2]).all()


def test_small_frames_and_a_missing_opencv_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flow_name() == f"DIS optical flow (OpenCV {cv2.__version__}, preset medium)"
    with pytest.raises(
        DataError, match=r"is 11x40 pixels, and the optical flow .* needs 12 a side"
    ):
        dis_flow(texture(11, 40), texture(11, 40))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        ParameterError, match=r"evaluate\.temporal .* pip install 'segpipe\[video\]'"
    ):
        require_opencv()


def test_true_labels_of_generated_streets_stay_with_what_they_mark() -> None:
    """What a perfect model would have: labels at outlines change with the pixels they fall on."""
    world = read_world(ROOT / "data/synthetic.yaml")
    moved_counts, still_counts, compared = np.zeros((34, 3)), np.zeros((34, 3)), []
    for number in range(6):
        scene = compose(world, 0, "val", world.cities.val[0], number)
        frames, labels = [], []
        for seconds in (-1 / 17, 0.0):
            view = View(scene, seconds, 128, 256)
            truth = annotate(view)
            frames.append(np.asarray(paint(view, truth)))
            labels.append(truth.label_ids())
        places = earlier_places(dis_flow(frames[1], frames[0]), dis_flow(frames[0], frames[1]))
        moved = moved_labels(labels[0], places)
        compared.append((places != NOWHERE).mean())
        moved_counts += class_counts(label_confusion(pair_counts(labels[1], moved), 34))
        still_counts += class_counts(label_confusion(pair_counts(labels[1], labels[0]), 34))
    assert miou(moved_counts) > 0.85 > 0.8 > miou(still_counts)
    assert np.mean(compared) > 0.8

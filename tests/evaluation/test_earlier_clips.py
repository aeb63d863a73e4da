"""The frame before each image: which files it is predicted from, and what an evaluation says of it."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segpipe.bundle import Bundle
from segpipe.evaluation.earlier_clips import find_earlier_clips
from segpipe.evaluation.evaluate import evaluate
from segpipe.evaluation.report import EvaluationReport, evaluation_report
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.labels.load import load_scheme
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from tests.evaluation.images import SAME_SIZE
from tests.forge import CLASSES_CSV, save

HEIGHT, WIDTH, STEP = 48, 64, 3  # the film moves by STEP pixels to the right from frame to frame


def path_of(number: int, folder: str = "leftImg8bit_sequence") -> str:
    return f"{folder}/val/ulm/ulm_000000_{number:06d}_leftImg8bit.png"


def film(raw: Path, numbers: list[int]) -> Path:
    """Frames of a texture that moves, whose blue is above 150 where a class begins; the last has truth."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH + 200, 3)).astype(np.uint8)
    strip = np.asarray(cv2.GaussianBlur(noise, (9, 9), 0))
    strip = np.clip(3 * (strip.astype(int) - 85), 0, 255).astype(np.uint8)
    for number in numbers:
        start = 100 - STEP * number
        save(raw / path_of(number), strip[:, start : start + WIDTH])
    save(raw / path_of(numbers[-1], "leftImg8bit"), strip[:, start : start + WIDTH])
    save(raw / "gtFine/mask.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    (raw / "classes.csv").write_text(CLASSES_CSV)
    return raw


def clip(*numbers: int) -> Sample:
    *frames, last = numbers
    return Sample(
        name=f"ulm_{last}",
        group="ulm",
        image=path_of(last, "leftImg8bit"),
        mask="gtFine/mask.png",
        frames=tuple(map(path_of, frames)),
    )


class Thresholds:
    """Stands in for a predictor of clips of `frames` frames; keeps what it was shown.

    flicker: whether every second frame that it sees is labelled by another threshold.
    """

    precision = "fp32"
    device = torch.device("cpu")
    views = Views()
    train_ids = Predictor.train_ids
    predict = Predictor.predict
    predict_many = Predictor.predict_many
    input = InputSpec(PICTURES, HEIGHT, WIDTH, "stretch", 1, [0.5] * 3, [0.5] * 3)

    def __init__(self, raw: Path, frames: int = 1, flicker: bool = False) -> None:
        self.scheme = load_scheme("classes.csv", {}, raw)
        self.frames, self.flicker = frames, flicker
        self.shown: list[NDArray[np.uint8]] = []
        self.bundle = Bundle(SAME_SIZE, None, self.scheme, self.input, "fp32", {"data": "abc"})
        self.reader = build_reader(PICTURES)

    def score_strips(self, clips: list[NDArray[np.uint8]]) -> Any:
        """All rows as one strip."""
        found = []
        for frames_THWC in clips:
            self.shown.append(frames_THWC[-self.frames :])
            assert len(self.shown[-1]) == self.frames
            blue_HW = frames_THWC[-1, ..., 2].astype(int)
            threshold = 170 if self.flicker and len(self.shown) % 2 == 0 else 150
            ids_HW = np.where(blue_HW > threshold, 1, 0)
            scores = np.eye(3, dtype=np.float32)[ids_HW]
            found.append(iter([(slice(None), torch.from_numpy(scores).permute(2, 0, 1))]))
        return found


def reported(raw: Path, *samples: Sample, **options: Any) -> tuple[EvaluationReport, Thresholds]:
    predictor: Any = Thresholds(raw, **options)
    counts = evaluate(predictor, samples, raw, temporal=True)
    return evaluation_report(counts, predictor, "val"), predictor


def test_labels_that_move_with_a_picture_are_wholly_consistent(tmp_path: Path) -> None:
    raw = film(tmp_path, [1, 2, 3])
    report, predictor = reported(raw, clip(2, 3))
    found = report.evaluation
    assert found.temporal is not None
    assert found.temporal.consistency == 1
    # What came in from the left, STEP columns, and perhaps a few pixels at the edges are left out.
    assert 0.85 < found.temporal.compared <= 1 - STEP / WIDTH  # type: ignore[operator]
    assert found.classes["sky"].temporal_iou == found.classes["road"].temporal_iou == 1
    assert found.classes["car"].temporal_iou is None
    assert [frames_THWC.shape[0] for frames_THWC in predictor.shown] == [1, 1]
    flickering, _ = reported(raw, clip(2, 3), flicker=True)
    assert flickering.evaluation.temporal is not None
    assert flickering.evaluation.temporal.consistency < 0.95  # type: ignore[operator]
    assert flickering.evaluation.temporal.compared == found.temporal.compared, "flow sees no labels"
    assert flickering.evaluation.miou == found.miou, "the image itself is labelled as before"


def test_a_model_of_clips_sees_the_frames_before_the_earlier_frame(tmp_path: Path) -> None:
    raw = film(tmp_path, [1, 2, 3, 4])
    _, predictor = reported(raw, clip(2, 3, 4), frames=3)
    now, before = predictor.shown
    reader = build_reader(PICTURES)
    for frames_THWC, numbers in ((now, (2, 3, 4)), (before, (1, 2, 3))):
        for frame_HWC, number in zip(frames_THWC, numbers, strict=True):
            assert (frame_HWC == reader.read_image(raw / path_of(number))[0]).all()


def test_the_tables_and_the_protocol_tell_what_was_compared(tmp_path: Path) -> None:
    raw = film(tmp_path / "raw", [0, 1, 2, 3, 4])
    (raw / path_of(2, "leftImg8bit")).write_bytes((raw / path_of(2)).read_bytes())
    # The clip of frames 0 to 2 has no frame -1 before it.
    report, _ = reported(raw, clip(2, 3, 4), replace(clip(0, 1, 2), group="berlin"), frames=3)
    report.write(tmp_path / "metrics")
    rows = {}
    for file in ("images.csv", "groups.csv", "classes.csv"):
        with (tmp_path / "metrics" / file).open() as opened:
            rows[file] = list(csv.DictReader(opened))
    assert {row["name"]: row["temporal_miou"] for row in rows["images.csv"]} == {
        "ulm_4": "1",
        "ulm_2": "",
    }
    assert {row["group"]: row["temporal_miou"] for row in rows["groups.csv"]} == {
        "ulm": "1",
        "berlin": "",
    }
    assert [row["temporal_iou"] for row in rows["classes.csv"]] == ["1", "1", ""]
    said = report.evaluation.protocol.temporal
    assert said is not None and said.startswith("labels of 1 images and of the frame 1 before each")
    assert "; 1 further images left out" in said


def test_what_cannot_be_compared_is_refused_before_anything_is_predicted(tmp_path: Path) -> None:
    raw = film(tmp_path, [1, 2, 3])
    for samples, frames, words in (
        ([replace(clip(2, 3), frames=())], 1, "single images; set source.clip.frames to 2"),
        ([clip(0, 1, 2)], 3, "the clips begin where the films do"),
        ([clip(2, 3)], 2, None),
        (
            [clip(1, 2, 3)],
            3,
            "such as leftImg8bit_sequence/val/ulm/ulm_000000_000000_leftImg8bit.png",
        ),
    ):
        if words is None:
            found = find_earlier_clips(samples, raw, frames)
            assert found == {samples[0]: (path_of(1), path_of(2))}
            continue
        predictor: Any = Thresholds(raw, frames=frames)
        with pytest.raises(DataError, match=words):
            evaluate(predictor, samples, raw, temporal=True)
        assert predictor.shown == []


def test_frames_of_different_size_are_refused(tmp_path: Path) -> None:
    raw = film(tmp_path, [1, 2, 3])
    save(raw / path_of(1), np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8))
    with pytest.raises(DataError, match=r"000001_leftImg8bit\.png: has another size"):
        reported(raw, clip(2, 3), frames=2)

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.pose.crops import CropSpec
from pipeline.pose.topdown import Estimator, TopDown, boxes_around
from pipeline.values import Detections, Frame

FRAME = Frame(np.zeros((240, 320, 3), np.uint8), 0, 0.0)
BOX = np.array([[100, 50, 160, 200]], np.float32)


class Finder:
    """Finds what it is told to."""

    max_side = 320

    def __init__(self, *found: Detections) -> None:
        self._found = found

    def find(self, frames: Sequence[Frame]) -> list[Detections]:
        return list(self._found)


class Middle(Estimator):
    """Puts every joint in the middle of its crop and counts the crops of each batch."""

    def __init__(self) -> None:
        self.crop = CropSpec()
        self.batches: list[int] = []

    def estimate(self, crops: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        self.batches.append(len(crops))
        return np.full((len(crops), 17, 2), (96, 128), np.float32), np.full((len(crops), 17), 0.5, np.float32)


def detections(boxes: np.ndarray) -> Detections:
    return Detections(boxes, np.full(len(boxes), 0.9, np.float32))


def test_finding_keeps_the_boxes_and_scores_of_the_detector() -> None:
    backend = TopDown("test", Finder(detections(BOX)), Middle())
    (poses,) = backend.find([FRAME])
    assert poses.boxes_xyxy.tolist() == BOX.tolist()
    assert poses.box_scores.tolist() == pytest.approx([0.9])
    assert poses.keypoints[0, 0].tolist() == [130, 125]


def test_two_boxes_around_one_person_are_one_person() -> None:
    found = Detections(
        np.array([[100, 50, 160, 200], [90, 50, 170, 200]], np.float32), np.array([0.8, 0.4], np.float32)
    )
    (poses,) = TopDown("test", Finder(found), Middle()).find([FRAME])
    assert poses.boxes_xyxy.tolist() == [[100, 50, 160, 200]]


def test_all_people_of_all_frames_are_one_batch_and_come_back_to_their_frames() -> None:
    estimator = Middle()
    boxes = [np.concatenate([BOX, BOX + 40]), np.zeros((0, 4), np.float32), BOX + 20]
    poses = TopDown("test", Finder(), estimator).follow([FRAME] * 3, boxes)
    assert estimator.batches == [3]
    assert [len(one) for one in poses] == [2, 0, 1]
    assert poses[0].keypoints[1, 0].tolist() == [170, 165]
    assert poses[2].keypoints[0, 0].tolist() == [150, 145]


def test_nobody_anywhere_never_reaches_the_network() -> None:
    estimator = Middle()
    backend = TopDown("test", Finder(Detections.empty(), Detections.empty()), estimator)
    assert [len(one) for one in backend.find([FRAME, FRAME])] == [0, 0]
    assert estimator.batches == []


def test_a_box_is_drawn_anew_around_the_joints_that_were_seen() -> None:
    keypoints = np.zeros((1, 17, 2), np.float32)
    keypoints[0, 0], keypoints[0, 1], keypoints[0, 2] = (100, 50), (140, 250), (900, 900)
    scores = np.zeros((1, 17), np.float32)
    scores[0, :2] = 0.9
    assert boxes_around(keypoints, scores, BOX)[0].tolist() == pytest.approx([80, 30, 160, 270])


def test_who_shows_too_few_joints_keeps_the_box() -> None:
    scores = np.zeros((1, 17), np.float32)
    assert boxes_around(np.full((1, 17, 2), 7, np.float32), scores, BOX).tolist() == BOX.tolist()

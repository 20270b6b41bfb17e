import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.pose import pose_backend
from pipeline.pose.mmpose import MmPose
from pipeline.values import Frame

PICTURE = Frame(np.full((60, 80, 3), (200, 100, 50), np.uint8), 0, 0.0)
PERSON = {
    "keypoints": [[10.0, 20.0]] * 17,
    "keypoint_scores": [1.2] * 17,
    "bbox": ([5.0, 6.0, 30.0, 50.0],),
    "bbox_score": 0.8,
}
WHOLE = {**PERSON, "bbox": ([0.0, 0.0, 80.0, 60.0],), "bbox_score": 1.0}


class Inferencer:
    """Answers as MMPose does, and keeps what it was shown."""

    def __init__(self, *people: dict[str, object]) -> None:
        self._people = list(people)
        self.shown: list[np.ndarray] = []

    def __call__(self, inputs: list[np.ndarray]) -> Iterator[dict[str, list[list[dict[str, object]]]]]:
        for picture in inputs:
            self.shown.append(picture)
            yield {"predictions": [self._people]}


def test_people_are_read_from_mmpose_s_answer() -> None:
    (poses,) = MmPose(Inferencer(PERSON)).find([PICTURE])
    assert poses.keypoints[0, 3].tolist() == [10, 20]
    assert poses.scores[0].tolist() == [1.0] * 17
    assert poses.boxes_xyxy.tolist() == [[5, 6, 30, 50]]
    assert poses.box_scores.tolist() == pytest.approx([0.8])


def test_pictures_reach_it_in_its_own_order_of_colours() -> None:
    inferencer = Inferencer()
    MmPose(inferencer).find([PICTURE])
    assert inferencer.shown[0][0, 0].tolist() == [50, 100, 200]


@pytest.mark.parametrize("people", [(), (WHOLE,)], ids=["nobody", "the whole picture taken for a person"])
def test_nobody_is_an_empty_value(people: tuple[dict[str, object], ...]) -> None:
    (poses,) = MmPose(Inferencer(*people)).find([PICTURE])
    assert len(poses) == 0


def test_it_says_so_when_mmpose_is_not_installed() -> None:
    if importlib.util.find_spec("mmpose"):
        pytest.skip("needs an environment without mmpose: this would have checked the message")
    with pytest.raises(ModelError, match=r"needs the mmpose package.*pip install 'marey\[mmpose\]'"):
        pose_backend("mmpose")


def test_it_takes_no_size() -> None:
    with pytest.raises(ValueError, match="takes no size, but 320"):
        pose_backend("mmpose", size=320)

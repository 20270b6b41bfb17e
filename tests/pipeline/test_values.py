"""The values themselves: empty ones, choosing people, and scaling them."""

import dataclasses

import numpy as np
import pytest
from factories import make_clip, make_figure, make_frame, make_poses, make_prediction

from pipeline.values import Detections, Poses

TWO = make_poses(make_figure(x=100), make_figure(x=200), track_ids=[4, 7], box_scores=[0.5, 0.75])


def test_nobody_is_a_value_of_length_0() -> None:
    nobody = Poses.empty(17)
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 17, 2)
    assert nobody.boxes_xyxy.shape == Detections.empty().boxes_xyxy.shape == (0, 4)
    assert len(Detections.empty()) == 0


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (np.array([True, False]), [4]),
        (np.array([False, False]), []),
        (np.array([1, 0]), [7, 4]),
        (np.array([], np.int64), []),
    ],
    ids=["mask", "mask of nobody", "index", "index of nobody"],
)
def test_choosing_people_chooses_in_every_column(chosen: np.ndarray, ids: list[int]) -> None:
    some = TWO.select(chosen)
    assert some.track_ids.tolist() == ids
    assert some.box_scores.tolist() == [{4: 0.5, 7: 0.75}[track_id] for track_id in ids]
    assert {len(getattr(some, field.name)) for field in dataclasses.fields(some)} == {len(ids)}


def test_ids_are_given_to_a_copy() -> None:
    assert TWO.with_track_ids(np.array([1, 2])).track_ids.tolist() == [1, 2]
    assert TWO.track_ids.tolist() == [4, 7]


def test_scaling_moves_joints_and_boxes_alike() -> None:
    half = TWO.rescaled(0.5)
    assert half.keypoints == pytest.approx(TWO.keypoints / 2)
    assert half.boxes_xyxy == pytest.approx(TWO.boxes_xyxy / 2)
    assert half.keypoints.dtype == half.boxes_xyxy.dtype == np.float32
    assert half.scores is TWO.scores


def test_scaling_by_one_is_free() -> None:
    assert TWO.rescaled(1.0) is TWO


def test_a_frame_knows_its_size() -> None:
    assert make_frame(0.0, size_wh=(320, 240)).size_wh == (320, 240)


def test_a_clip_counts_its_frames() -> None:
    assert make_clip(np.stack([make_figure()] * 3), [0.0, 0.1, 0.2]).num_frames == 3


def test_a_prediction_speaks_for_the_middle_of_its_window() -> None:
    assert make_prediction(3.25, [1.0], window_s=2.0).centre_s == 3.25


@pytest.mark.parametrize("value", [TWO, make_frame(0.0), make_prediction(0.0, [1.0])], ids=lambda value: type(value))
def test_values_are_not_changed(value: object) -> None:
    field = dataclasses.fields(value)[0].name  # type: ignore[arg-type]  # they are all dataclasses
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)

"""People are followed alike however many frames come at a time."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
from factories import FakePose, make_figure, make_frame, make_poses, make_times

from pipeline.actions import Stopwatch
from pipeline.follow import Follower, size_of_video, surest
from pipeline.values import F32, Frame, Poses


def crossing(time_s: float) -> list[F32]:
    """Two people walk past each other."""
    return [make_figure(x=60 + 40 * time_s, torso=50), make_figure(x=260 - 40 * time_s, torso=40)]


def follow(pose: FakePose, groups: Sequence[Sequence[Frame]]) -> list[Poses]:
    follower = Follower(pose, max_people=5, stopwatch=Stopwatch())
    return [poses for group in groups for poses in follower.follow(group)]


@pytest.mark.parametrize("needs_boxes", [True, False], ids=["top-down", "one pass"])
@pytest.mark.parametrize("at_a_time", [1, 2, 4, 7, 46])
def test_frames_one_by_one_are_worth_as_much_as_in_groups(at_a_time: int, needs_boxes: bool) -> None:
    frames = [make_frame(float(time_s), index=index) for index, time_s in enumerate(make_times(3))]
    groups, parts = (FakePose(crossing, needs_boxes=needs_boxes, detect_every=4) for _ in range(2))
    whole = follow(groups, [frames[start : start + 4] for start in range(0, len(frames), 4)])
    pieces = follow(parts, [frames[start : start + at_a_time] for start in range(0, len(frames), at_a_time)])
    assert list(chain(*groups.found_s)) == list(chain(*parts.found_s))
    assert list(chain(*groups.followed_s)) == list(chain(*parts.followed_s))
    assert all(np.array_equal(one, other) for one, other in zip(groups.boxes, parts.boxes, strict=True))
    for one, other in zip(whole, pieces, strict=True):
        assert one.track_ids.tolist() == other.track_ids.tolist() == [1, 2]
        assert np.array_equal(one.keypoints, other.keypoints)


@pytest.mark.parametrize(("most", "kept"), [(5, [0, 1, 2]), (2, [0, 2]), (1, [2])])
def test_the_surest_people_are_kept_in_their_order(most: int, kept: list[int]) -> None:
    people = make_poses(*[make_figure(x=100 * one) for one in range(3)], box_scores=[0.5, 0.3, 0.9])
    assert surest(people, most).keypoints.tolist() == people.keypoints[kept].tolist()


def test_no_frame_is_followed_by_nobody() -> None:
    assert follow(FakePose(crossing), [[]]) == []


def test_a_picture_tells_the_size_of_the_video_that_it_was_made_from() -> None:
    assert size_of_video(make_frame(0.0, size_wh=(160, 120), scale=0.5)) == (320, 240)

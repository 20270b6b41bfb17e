from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pytest
from factories import BODIES

from pipeline.layouts import LAYOUTS, Layout
from pipeline.track import Tracker, TrackerSettings
from pipeline.values import UNTRACKED, Poses

COCO = LAYOUTS["coco17"]
SIZE_WH = (1280, 720)

# A standing figure one unit tall, feet at the origin: nose, eyes, ears, then both sides' limbs (x, y up).
FACE = [(0, 0.93), (0.02, 0.95), (-0.02, 0.95), (0.05, 0.94), (-0.05, 0.94)]
LEFT = [(0.12, 0.8), (0.16, 0.63), (0.17, 0.47), (0.08, 0.5), (0.09, 0.27), (0.09, 0.03)]
FIGURE = np.array([*FACE, *((sign * x, y) for x, y in LEFT for sign in (1, -1))])
SWING = np.array([0] * 7 + [0.05, -0.05, 0.12, -0.12, 0, 0, -0.06, 0.06, -0.15, 0.15])


@dataclass(frozen=True)
class Walker:
    """Somebody who walks on a line, swings arms and legs, and is in the picture from one time to another."""

    x: float
    speed: float = 0.0
    y: float = 500.0
    height: float = 240.0
    start_s: float = 0.0
    end_s: float = 1e9
    missed_s: tuple[float, float] = (1e9, 1e9)
    score: float = 0.6
    phase: float = 0.0

    def joints(self, time_s: float) -> np.ndarray:
        stride = 0.0 if self.speed == 0 else np.sin(6.0 * time_s + self.phase)
        swung = FIGURE * [1, -1] + np.stack([SWING * stride, 0 * SWING], axis=1)
        return np.array([self.x + self.speed * time_s, self.y]) + self.height * swung

    def present(self, time_s: float) -> bool:
        missed = self.missed_s[0] <= time_s < self.missed_s[1]
        inside = 0 <= self.x + self.speed * time_s <= SIZE_WH[0]
        return self.start_s <= time_s < self.end_s and inside and not missed


def poses_of(walkers: Sequence[Walker], time_s: float, rng: np.random.Generator) -> Poses:
    there = [walker for walker in walkers if walker.present(time_s)]
    if not there:
        return Poses.empty(17)
    joints = np.stack([walker.joints(time_s) for walker in there])
    joints += rng.normal(0, 2.0, joints.shape)
    seen = (joints[..., 0] >= 0) & (joints[..., 0] <= SIZE_WH[0])
    joints = np.clip(joints, 0, SIZE_WH)
    boxes = np.concatenate([joints.min(axis=1) - 5, joints.max(axis=1) + 5], axis=1)
    return Poses(
        joints.astype(np.float32),
        np.where(seen, 0.7, 0.05).astype(np.float32),
        boxes.astype(np.float32),
        np.array([walker.score for walker in there], np.float32),
        np.full(len(there), UNTRACKED, np.int64),
    )


def film(walkers: Sequence[Walker], *, seconds: float, fps: float = 15.0) -> list[tuple[float, Poses]]:
    rng = np.random.default_rng(0)
    times = [float(number / fps) for number in range(round(seconds * fps))]
    return [(time_s, poses_of(walkers, time_s, rng)) for time_s in times]


def new_tracker(settings: TrackerSettings | None = None) -> Tracker:
    return Tracker(settings or TrackerSettings(), layout=COCO, size_wh=SIZE_WH)


def ids_of(walkers: Sequence[Walker], *, seconds: float, fps: float = 15.0) -> list[list[int]]:
    """The ids that each walker had, in order of appearance, without repeats."""
    tracker = new_tracker()
    had: list[list[int]] = [[] for _ in walkers]
    for time_s, poses in film(walkers, seconds=seconds, fps=fps):
        followed = tracker.update(poses, time_s)
        there = [number for number, walker in enumerate(walkers) if walker.present(time_s)]
        for box, track_id in zip(followed.boxes_xyxy, followed.track_ids.tolist(), strict=True):
            place = np.flatnonzero((poses.boxes_xyxy == box).all(axis=1)).item()
            ids = had[there[place]]
            if track_id not in ids[-1:]:
                ids.append(track_id)
    return had


def test_people_who_stand_apart_keep_their_ids_and_ids_count_from_one() -> None:
    assert ids_of([Walker(300), Walker(600), Walker(900)], seconds=2) == [[1], [2], [3]]


def test_an_id_is_given_at_the_first_sight() -> None:
    first = film([Walker(300)], seconds=1)[0][1]
    assert new_tracker().update(first, 0.0).track_ids.tolist() == [1]


@pytest.mark.parametrize("fps", [7.5, 10, 15, 30])
def test_two_people_who_cross_keep_their_ids(fps: float) -> None:
    crossing = [Walker(300, 200), Walker(900, -180, y=510, phase=1.0)]
    assert ids_of(crossing, seconds=4, fps=fps) == [[1], [2]]


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_two_people_who_cross_keep_their_ids_when_one_hides_the_other(fps: float) -> None:
    hidden = Walker(900, -180, y=505, phase=1.0, missed_s=(1.4, 1.8))
    assert ids_of([Walker(300, 200), hidden], seconds=4, fps=fps) == [[1], [2]]


def test_half_the_frame_rate_gives_the_same_ids() -> None:
    scene = [Walker(200, 150), Walker(1000, -120, phase=2.0), Walker(600, start_s=1.0, missed_s=(2.0, 2.6), y=650)]
    assert ids_of(scene, seconds=5, fps=30) == ids_of(scene, seconds=5, fps=15) == [[1], [2], [3]]


@pytest.mark.parametrize("speed", [0, 120, -200], ids=["standing", "walking", "hurrying"])
def test_a_gap_of_one_second_is_bridged(speed: float) -> None:
    assert ids_of([Walker(640, speed, missed_s=(1.5, 2.5))], seconds=4) == [[1]]


def test_somebody_who_turns_round_while_unseen_is_known_again() -> None:
    tracker = new_tracker()
    there, back = Walker(400, 120, end_s=1.5), Walker(760, -120, start_s=2.5)
    ids = {int(i) for time_s, poses in film([there, back], seconds=4) for i in tracker.update(poses, time_s).track_ids}
    assert ids == {1}


def test_a_gap_longer_than_the_limit_ends_the_track() -> None:
    assert ids_of([Walker(640, missed_s=(1.5, 3.5))], seconds=5) == [[1, 2]]


def test_a_pause_of_the_whole_stream_ends_every_track() -> None:
    tracker, (_, poses) = new_tracker(), film([Walker(640)], seconds=1)[0]
    assert tracker.update(poses, 0.0).track_ids.tolist() == [1]
    assert tracker.update(poses, 10.0).track_ids.tolist() == [2]


def test_a_person_elsewhere_does_not_inherit_the_id_of_one_who_is_gone() -> None:
    assert ids_of([Walker(200, end_s=1.5), Walker(1000, start_s=2.0)], seconds=3) == [[1], [2]]


def test_a_ghost_is_over_soon_and_its_id_is_never_seen_again() -> None:
    ghost = Walker(1000, start_s=1.0, end_s=1.05)
    later = Walker(1010, start_s=1.6)
    assert ids_of([Walker(300), ghost, later], seconds=3) == [[1], [2], [3]]


def test_somebody_uncertain_may_continue_a_track_but_not_begin_one() -> None:
    frames = film([Walker(640, score=0.6, end_s=1.0), Walker(640, score=0.15, start_s=1.0)], seconds=2)
    tracker = new_tracker()
    assert {i for time_s, poses in frames for i in tracker.update(poses, time_s).track_ids.tolist()} == {1}
    assert len(new_tracker().update(frames[-1][1], 0.0)) == 0


def test_a_thing_whose_joints_do_not_fill_its_box_is_nobody() -> None:
    poses = film([Walker(640)], seconds=1)[0][1]
    centre = poses.keypoints.mean(axis=1, keepdims=True)
    shrunk = (centre + 0.2 * (poses.keypoints - centre)).astype(np.float32)
    knot = Poses(shrunk, poses.scores, poses.boxes_xyxy, poses.box_scores, poses.track_ids)
    assert len(new_tracker().update(knot, 0.0)) == 0


def test_somebody_reported_twice_is_one_person() -> None:
    tracker = new_tracker()
    for time_s, poses in film([Walker(640, 50)], seconds=2):
        twice = poses.select(np.array([0, 0]))
        assert tracker.update(twice, time_s).track_ids.tolist() == [1]


def test_half_a_person_within_a_person_followed_is_nobody_new() -> None:
    tracker = new_tracker()
    for time_s, poses in film([Walker(640)], seconds=1):
        tracker.update(poses, time_s)
    whole = poses_of([Walker(640)], 1.0, np.random.default_rng(1))
    upper = np.where(np.arange(17) < 11, whole.scores, 0).astype(np.float32)
    both = whole.select(np.array([0, 0]))
    boxes = both.boxes_xyxy + np.array([[0, 0, 0, 0], [0, 0, 0, -110]], np.float32)
    keypoints = both.keypoints + np.array([0, 6], np.float32)[:, None, None]
    scores = np.concatenate([whole.scores, upper])
    both = Poses(keypoints, scores, boxes, np.array([0.6, 0.5], np.float32), both.track_ids)
    assert tracker.update(both, 1.0).track_ids.tolist() == [1]


def test_a_new_person_at_the_door_through_which_another_left_is_new() -> None:
    leaving, entering = Walker(900, 250), Walker(1500, -250, start_s=2.2)
    assert ids_of([leaving, entering], seconds=4) == [[1], [2]]


def test_a_person_at_the_border_who_does_not_leave_is_bridged() -> None:
    assert ids_of([Walker(640, y=725, missed_s=(1.5, 2.5))], seconds=4) == [[1]]


def test_two_trackers_in_turn_give_what_each_gives_alone() -> None:
    scenes = [
        film([Walker(300, 200), Walker(900, -180)], seconds=3),
        film([Walker(500), Walker(700, start_s=1), Walker(200, 100, start_s=2)], seconds=3),
    ]
    alone = []
    for scene in scenes:
        tracker = new_tracker()
        alone.append([tracker.update(poses, time_s) for time_s, poses in scene])
    trackers = [new_tracker(), new_tracker()]
    in_turn = [
        [tracker.update(*reversed(frame)) for tracker, frame in zip(trackers, frames, strict=True)]
        for frames in zip(*scenes, strict=True)
    ]
    for frame, both in enumerate(in_turn):
        for stream in (0, 1):
            for column in fields(Poses):
                np.testing.assert_array_equal(
                    getattr(both[stream], column.name), getattr(alone[stream][frame], column.name)
                )


def test_nobody_in_the_picture_is_an_empty_answer() -> None:
    tracker = new_tracker()
    assert len(tracker.update(Poses.empty(17), 0.0)) == 0
    assert tracker.present.boxes_at(0.1).shape == (0, 4)
    poses = film([Walker(640)], seconds=1)[0][1]
    assert tracker.update(poses, 0.1).track_ids.tolist() == [1]
    assert len(tracker.update(Poses.empty(17), 0.2)) == 0


def test_the_poses_handed_in_stay_as_they_were() -> None:
    tracker = new_tracker()
    for time_s, poses in film([Walker(300), Walker(600, 50)], seconds=1):
        before = [getattr(poses, column.name).copy() for column in fields(Poses)]
        for column in fields(Poses):
            getattr(poses, column.name).flags.writeable = False
        followed = tracker.update(poses, time_s)
        for column, kept in zip(fields(Poses), before, strict=True):
            np.testing.assert_array_equal(getattr(poses, column.name), kept)
            assert not np.shares_memory(getattr(followed, column.name), getattr(poses, column.name))


def test_people_come_back_in_the_order_they_came_in() -> None:
    tracker = new_tracker()
    poses = film([Walker(300), Walker(600), Walker(900)], seconds=1)[0][1]
    tracker.update(poses, 0.0)
    turned = tracker.update(poses.select(np.array([2, 0, 1])), 0.1)
    assert turned.track_ids.tolist() == [3, 1, 2]
    np.testing.assert_array_equal(turned.keypoints, poses.keypoints[[2, 0, 1]])


def test_boxes_are_predicted_for_the_people_seen_last() -> None:
    tracker = new_tracker()
    walker = Walker(400, 150)
    frames = film([walker, Walker(900, missed_s=(1.9, 3.0))], seconds=2)
    for time_s, poses in frames:
        tracker.update(poses, time_s)
    predicted = tracker.present.boxes_at(2.2)
    assert predicted.shape == (1, 4)
    assert predicted.dtype == np.float32
    centre = (predicted[0, 0] + predicted[0, 2]) / 2
    assert centre == pytest.approx(walker.x + walker.speed * 2.2, abs=20)


def test_a_time_that_does_not_rise_is_refused() -> None:
    tracker = new_tracker()
    tracker.update(Poses.empty(17), 1.0)
    with pytest.raises(ValueError, match=r"after 1\.000 s"):
        tracker.update(Poses.empty(17), 1.0)


@pytest.mark.parametrize("wrong", [{"uncertain_score": 0.9}, {"exit_gap_s": 3.0}, {"unconfirmed_gap_s": 0.0}])
def test_settings_at_odds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected .* got"):
        TrackerSettings(**wrong)


@pytest.mark.parametrize("layout", BODIES.values(), ids=BODIES)
def test_every_body_can_be_followed(layout: Layout) -> None:
    tracker = Tracker(layout=layout)
    rng = np.random.default_rng(0)
    joints = rng.uniform(100, 300, (1, len(layout), 2)).astype(np.float32)
    box = np.array([[90, 90, 310, 310]], np.float32)
    scores = np.ones((1, len(layout)), np.float32)
    poses = Poses(joints, scores, box, np.ones(1, np.float32), np.full(1, UNTRACKED, np.int64))
    assert [tracker.update(poses, 0.1 * number).track_ids.tolist() for number in range(3)] == [[1]] * 3


def test_a_long_stream_leaves_nothing_behind() -> None:
    tracker = new_tracker()
    visitors = [Walker(200 + 100 * (number % 9), start_s=2.0 * number, end_s=2.0 * number + 1) for number in range(100)]
    remembered = []
    rng = np.random.default_rng(0)
    for number in range(2000):
        tracker.update(poses_of(visitors, number / 10, rng), number / 10)
        remembered.append(len(tracker._tracks))
    assert max(remembered) <= 3
    assert max(remembered[1000:]) <= max(remembered[:1000])

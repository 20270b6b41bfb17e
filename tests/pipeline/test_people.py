"""What is remembered of everybody: when they were there, what they did, and, if asked for, where."""

import numpy as np
import pytest
from factories import make_card, make_figure, make_poses, make_prediction, make_times

from pipeline.people import FEWEST_FRAMES, SHORTEST_TRACK_S, People
from pipeline.segments import SegmentSettings

CARD = make_card(("idle", "wave"), silent_labels=("idle",))
SETTINGS = SegmentSettings(smooth_s=0.0)
WAVE = [0.05, 0.95]


def see(people: People, track_ids: list[int], start_s: float, seconds: float, *, fps: float = 15.0) -> None:
    for time_s in make_times(seconds, fps=fps, start_s=start_s):
        people.see(make_poses(*[make_figure(x=50 * one) for one in track_ids], track_ids=track_ids), float(time_s))


def test_nobody_seen_is_no_track() -> None:
    people = People(keep_keypoints=True)
    people.see(make_poses(), 0.0)
    people.hear([])
    assert people.tracks(CARD, SETTINGS) == ()


def test_a_track_lasts_from_first_to_last_sight() -> None:
    people = People(keep_keypoints=False)
    see(people, [4], 2.0, 3.0)
    (track,) = people.tracks(CARD, SETTINGS)
    assert (track.track_id, track.start_s, track.end_s) == (4, 2.0, 5.0)
    assert track.segments == ()
    assert track.trajectory is None


@pytest.mark.parametrize(
    ("seconds", "fps", "is_kept"),
    [(SHORTEST_TRACK_S + 0.1, 15, True), (SHORTEST_TRACK_S - 0.1, 15, False), (1.0, 1, False), (1.0, 2, True)],
    ids=["long enough", "too short", "two frames", f"{FEWEST_FRAMES} frames"],
)
def test_a_passing_mistake_of_the_pose_network_is_no_track(seconds: float, fps: float, is_kept: bool) -> None:
    people = People(keep_keypoints=False)
    see(people, [1], 0.0, seconds, fps=fps)
    assert bool(people.tracks(CARD, SETTINGS)) == is_kept


def test_each_person_has_their_own_actions_and_tracks_are_in_order_of_ids() -> None:
    people = People(keep_keypoints=False)
    see(people, [9, 2], 0.0, 4.0)
    for moment in np.arange(0, 4.1, 0.25):
        people.hear([make_prediction(float(moment), WAVE, track_id=2)])
        people.hear([make_prediction(float(moment), [0.9, 0.1], track_id=9)])
    waver, idler = people.tracks(CARD, SETTINGS)
    assert (waver.track_id, idler.track_id) == (2, 9)
    assert [(wave.label, wave.start_s, wave.end_s) for wave in waver.segments] == [("wave", 0.0, 4.0)]
    assert idler.segments == ()


def test_keypoints_that_are_asked_for_are_kept_frame_by_frame() -> None:
    people = People(keep_keypoints=True)
    see(people, [3], 0.0, 1.0)
    see(people, [], 1.1, 0.5)
    see(people, [3], 1.7, 1.0)
    (track,) = people.tracks(CARD, SETTINGS)
    assert track.trajectory is not None
    assert track.trajectory.times_s.tolist() == [*make_times(1.0), *make_times(1.0, start_s=1.7)]
    assert (track.trajectory.keypoints == make_figure(x=150)).all()
    assert track.trajectory.scores.shape == (32, 17)
    assert track.trajectory.boxes_xyxy.shape == (32, 4)

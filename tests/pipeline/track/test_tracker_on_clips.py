"""The tracker behind MoveNet on real clips: what a user would count by eye."""

from collections import defaultdict
from pathlib import Path

import pytest

from pipeline.pose import PoseBackend, pose_backend
from pipeline.track import Tracker
from pipeline.video import open_video


@pytest.fixture(scope="module")
def movenet() -> PoseBackend:
    return pose_backend("movenet", threads=1)


def follow(clip: Path, backend: PoseBackend, *, fps: float, until_s: float = 1e9) -> tuple[int, dict[int, list[float]]]:
    """How many frames there were, and when each id was seen."""
    seen: dict[int, list[float]] = defaultdict(list)
    tracker, num_frames = None, 0
    with open_video(clip) as video:
        for frame in video.frames(fps=fps, max_side=backend.max_side):
            if frame.time_s > until_s:
                break
            tracker = tracker or Tracker(layout=backend.layout, size_wh=frame.size_wh)
            num_frames += 1
            for track_id in tracker.update(backend.find([frame])[0], frame.time_s).track_ids.tolist():
                seen[track_id].append(frame.time_s)
    return num_frames, seen


def test_two_men_who_meet_and_hug_keep_their_ids(shared: Path, movenet: PoseBackend) -> None:
    num_frames, seen = follow(shared / "videos" / "mmaction2_demo_skeleton.mp4", movenet, fps=15)
    assert set(seen) == {1, 2}
    assert min(len(times) for times in seen.values()) >= 0.85 * num_frames


@pytest.mark.slow
def test_three_women_at_aerobics_are_three_people_throughout(shared: Path, movenet: PoseBackend) -> None:
    num_frames, seen = follow(shared / "videos" / "felixchenfy_exercise.avi", movenet, fps=5)
    worth_keeping = [times for times in seen.values() if times[-1] - times[0] >= 1.0]
    assert len(worth_keeping) == 3
    assert min(len(times) for times in worth_keeping) >= 0.9 * num_frames


@pytest.mark.slow
def test_nobody_is_followed_in_the_empty_room_between_two_visitors(shared: Path, movenet: PoseBackend) -> None:
    clip = shared / "videos" / "intel_one_by_one_person.mp4"
    _, seen = follow(clip, movenet, fps=5, until_s=28)
    assert [(round(times[0]), round(times[-1])) for times in seen.values()] == [(6, 19), (23, 28)]

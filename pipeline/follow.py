"""The first half of the chain for one video or camera: frames in, the people followed in each of them out."""

from collections.abc import Sequence

import numpy as np

from pipeline.actions import Stopwatch
from pipeline.pose import PoseBackend
from pipeline.track import Tracker, Tracks
from pipeline.values import Frame, Poses


class Follower:
    """Searches for people in every ``detect_every``-th frame and, where that is quicker, follows them in between.

    What is found does not depend on how many frames come at a time.
    """

    def __init__(self, pose: PoseBackend, *, max_people: int, stopwatch: Stopwatch) -> None:
        self._pose, self._max_people, self._stopwatch = pose, max_people, stopwatch
        self._tracker: Tracker | None = None
        self._known: Tracks | None = None  # whom the last search found
        self._num_to_follow = 0  # frames until the next search

    def follow(self, frames: Sequence[Frame]) -> list[Poses]:
        """Take successive frames, and return who is followed in each, in px of the video."""
        followed: list[Poses] = []
        while rest := frames[len(followed) :]:
            followed += self._follow(rest[: self._num_to_follow]) if self._num_to_follow else self._search(rest[0])
        return followed

    def _search(self, frame: Frame) -> list[Poses]:
        if self._tracker is None:
            self._tracker = Tracker(layout=self._pose.layout, size_wh=size_of_video(frame))
        followed = self._track(self._tracker, [frame], self._find([frame]))
        self._known = self._tracker.present
        self._num_to_follow = max(self._pose.detect_every, 1) - 1
        return followed

    def _follow(self, frames: Sequence[Frame]) -> list[Poses]:
        assert self._tracker is not None  # a search came first
        assert self._known is not None
        self._num_to_follow -= len(frames)
        found = self._find_again(self._known, frames) if self._pose.needs_boxes else self._find(frames)
        return self._track(self._tracker, frames, found)

    def _find(self, frames: Sequence[Frame]) -> list[Poses]:
        with self._stopwatch.time("pose"):
            return self._pose.find(frames)

    def _find_again(self, known: Tracks, frames: Sequence[Frame]) -> list[Poses]:
        boxes = [known.boxes_at(frame.time_s) * np.float32(frame.scale) for frame in frames]
        with self._stopwatch.time("pose"):
            return self._pose.follow(frames, boxes)

    def _track(self, tracker: Tracker, frames: Sequence[Frame], found: Sequence[Poses]) -> list[Poses]:
        with self._stopwatch.time("track"):
            return [
                tracker.update(surest(poses, self._max_people).rescaled(1 / frame.scale), frame.time_s)
                for frame, poses in zip(frames, found, strict=True)
            ]


def size_of_video(frame: Frame) -> tuple[int, int]:
    """Return the width and height of the video that a frame may be a smaller picture of, px."""
    width, height = frame.size_wh
    return round(width / frame.scale), round(height / frame.scale)


def surest(poses: Poses, max_people: int) -> Poses:
    """Keep the people whose boxes are surest, in their order."""
    if len(poses) <= max_people:
        return poses
    return poses.select(np.sort(np.argsort(-poses.box_scores, kind="stable")[:max_people]))

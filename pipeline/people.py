"""What is remembered of everybody who was followed: from when to when, what was recognised, and where they were."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.bundle import Card
from pipeline.segments import SegmentSettings, find_segments
from pipeline.values import F32, F64, Poses, Prediction, Track, Trajectory

# Somebody seen for less, or in fewer frames, was most likely a mistake of the pose network.
SHORTEST_TRACK_S = 0.4
FEWEST_FRAMES = 3


@dataclass(slots=True, eq=False)
class _Person:
    start_s: float
    end_s: float
    num_frames: int = 0
    predictions: list[Prediction] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    keypoints: list[F32] = field(default_factory=list)
    scores: list[F32] = field(default_factory=list)
    boxes_xyxy: list[F32] = field(default_factory=list)


class People:
    """The memory of one stream; it hardly grows with its length unless ``keep_keypoints``."""

    def __init__(self, *, keep_keypoints: bool) -> None:
        self._keep_keypoints = keep_keypoints
        self._people: dict[int, _Person] = {}

    def see(self, poses: Poses, time_s: float) -> None:
        """Note who is in a frame."""
        for place, track_id in enumerate(poses.track_ids.tolist()):
            person = self._people.setdefault(track_id, _Person(time_s, time_s))
            person.end_s = time_s
            person.num_frames += 1
            if self._keep_keypoints:
                person.times_s.append(time_s)
                person.keypoints.append(poses.keypoints[place])
                person.scores.append(poses.scores[place])
                person.boxes_xyxy.append(poses.boxes_xyxy[place])

    def hear(self, predictions: list[Prediction]) -> None:
        """Note what was recognised, window by window in order of time."""
        for prediction in predictions:
            self._people[int(prediction.track_ids[0])].predictions.append(prediction)

    def tracks(self, card: Card, settings: SegmentSettings) -> tuple[Track, ...]:
        """Return everybody who was there for long enough, with their actions."""
        return tuple(
            Track(
                track_id,
                person.start_s,
                person.end_s,
                find_segments(person.predictions, card, seen_s=(person.start_s, person.end_s), settings=settings),
                self._trajectory(person),
            )
            for track_id, person in sorted(self._people.items())
            if person.end_s - person.start_s >= SHORTEST_TRACK_S and person.num_frames >= FEWEST_FRAMES
        )

    def _trajectory(self, person: _Person) -> Trajectory | None:
        if not self._keep_keypoints:
            return None
        times_s: F64 = np.array(person.times_s)
        return Trajectory(times_s, np.stack(person.keypoints), np.stack(person.scores), np.stack(person.boxes_xyxy))

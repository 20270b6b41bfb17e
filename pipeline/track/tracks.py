"""What a tracker remembers of the people it follows: one row a person, columns as arrays."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from pipeline.track.kalman import BoxStates
from pipeline.values import B1, F32, F64, I64, Poses


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """People followed, each as of the moment they were last seen (``seen_s``).

    ``keypoints`` (px) and ``scores`` are what was seen then, ``states`` the filtered boxes, ``hits`` how often they
    were seen by a confident detection.
    """

    ids: Int64[I64, " M"]
    states: BoxStates
    keypoints: Float32[F32, "M V 2"]
    scores: Float32[F32, "M V"]
    born_s: Float64[F64, " M"]
    seen_s: Float64[F64, " M"]
    hits: Int64[I64, " M"]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def born(cls, poses: Poses, time_s: float, *, first_id: int) -> "Tracks":
        """Start following people seen for the first time, under ids from ``first_id`` up."""
        times = np.full(len(poses), time_s)
        return cls(
            np.arange(first_id, first_id + len(poses), dtype=np.int64),
            BoxStates.born(poses.boxes_xyxy),
            poses.keypoints,
            poses.scores,
            times,
            times,
            np.ones(len(poses), np.int64),
        )

    def expected(self, time_s: float) -> tuple[Poses, Float64[F64, " M"]]:
        """Return the people where they should be at a time, and how far off each may be (px).

        The keypoints are those last seen, moved with the box.
        """
        states = self.states.predicted(time_s - self.seen_s)
        moved = (states.position - self.states.position)[:, None, :2].astype(np.float32)
        confidence = np.ones(len(self), np.float32)
        return Poses(self.keypoints + moved, self.scores, states.boxes_xyxy, confidence, self.ids), states.spread

    def boxes_at(self, time_s: float) -> Float32[F32, "M 4"]:
        """Return where the people should be at a time (px, no margin)."""
        return self.expected(time_s)[0].boxes_xyxy

    def seen_again(self, poses: Poses, time_s: float, *, confident: Bool[B1, " M"]) -> "Tracks":
        """Take in where each of these people, row by row, was seen."""
        return replace(
            self,
            states=self.states.predicted(time_s - self.seen_s).corrected(poses.boxes_xyxy),
            keypoints=poses.keypoints,
            scores=poses.scores,
            seen_s=np.full(len(self), time_s),
            hits=self.hits + confident,
        )

    def select(self, chosen: Bool[B1, " M"] | Int64[I64, " Q"]) -> "Tracks":
        """Keep the people that a mask or an index names."""
        return Tracks(
            self.ids[chosen],
            self.states.select(chosen),
            self.keypoints[chosen],
            self.scores[chosen],
            self.born_s[chosen],
            self.seen_s[chosen],
            self.hits[chosen],
        )

    def joined(self, others: "Tracks") -> "Tracks":
        """Append other people."""
        return Tracks(
            np.concatenate([self.ids, others.ids]),
            self.states.joined(others.states),
            np.concatenate([self.keypoints, others.keypoints]),
            np.concatenate([self.scores, others.scores]),
            np.concatenate([self.born_s, others.born_s]),
            np.concatenate([self.seen_s, others.seen_s]),
            np.concatenate([self.hits, others.hits]),
        )

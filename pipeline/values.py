"""The values that flow from stage to stage: frozen dataclasses of arrays, nothing else.

Axis letters, one table for the whole project:
N batch, T frames, M people, V joints, C channels, K classes, P adjacency partitions, S input streams, H rows,
W columns.
Pixels count from the top-left corner of the upright video; times are seconds on the stream's own clock.
Arrays are not written to after a value is made.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from numpy.typing import NDArray

from pipeline.layouts import Layout

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]

UNTRACKED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One upright RGB picture.

    ``scale`` is picture pixels per video pixel: below 1 where the decoder made the picture smaller than the video.
    """

    image: UInt8[U8, "H W 3"]
    index: int
    time_s: float
    scale: float = 1.0

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the picture, px."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes (x1 y1 x2 y2, px) around people, with scores in [0, 1]."""

    boxes_xyxy: Float32[F32, "M 4"]
    scores: Float32[F32, " M"]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> "Detections":
        """Nobody."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The people of one frame: keypoints in px, a score in [0, 1] per keypoint, a box and a track id each.

    A keypoint score of 0 says not seen. ``track_ids`` is -1 until a tracker has seen them. Nobody in the picture is a
    value of length 0.
    """

    keypoints: Float32[F32, "M V 2"]
    scores: Float32[F32, "M V"]
    boxes_xyxy: Float32[F32, "M 4"]
    box_scores: Float32[F32, " M"]
    track_ids: Int64[I64, " M"]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls, num_joints: int) -> "Poses":
        """Nobody, in a layout of that many joints."""
        return cls(
            np.zeros((0, num_joints, 2), np.float32),
            np.zeros((0, num_joints), np.float32),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
        )

    def select(self, chosen: Bool[B1, " M"] | Int64[I64, " Q"]) -> "Poses":
        """Keep the people that a mask or an index names, all columns alike."""
        return Poses(
            self.keypoints[chosen],
            self.scores[chosen],
            self.boxes_xyxy[chosen],
            self.box_scores[chosen],
            self.track_ids[chosen],
        )

    def with_track_ids(self, track_ids: Int64[I64, " M"]) -> "Poses":
        """Return the same people under these ids."""
        return replace(self, track_ids=track_ids)

    def rescaled(self, factor: float) -> "Poses":
        """Return the same people with every coordinate multiplied by ``factor``."""
        if factor == 1.0:
            return self
        scale = np.float32(factor)
        return replace(self, keypoints=self.keypoints * scale, boxes_xyxy=self.boxes_xyxy * scale)


@dataclass(frozen=True, slots=True, eq=False)
class SkeletonClip:
    """M people over T frames, before any normalisation.

    ``keypoints`` are px (D = 2, y pointing down) or metres (D = 3); a score of 0 says not seen, whatever the
    coordinates. ``times_s`` rises strictly. ``start_s`` and ``end_s`` bound the window that the clip fills, which may
    be wider than its frames where a track begins or ends inside it.
    """

    keypoints: Float32[F32, "T M V D"]
    scores: Float32[F32, "T M V"]
    times_s: Float64[F64, " T"]
    track_ids: Int64[I64, " M"]
    layout: Layout
    start_s: float
    end_s: float
    size_wh: tuple[int, int] | None = None

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.times_s)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What every recogniser takes: normalised joints, and which frames and people of them were really there.

    ``motion`` is how far the first person moves about the middle of the window, in lengths of the torso.
    """

    values: Float32[F32, "T M V C"]
    mask: Bool[B1, "T M"]
    motion: float


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a recogniser says of one window: calibrated probabilities, and where it looked.

    ``frame_attention`` [T] and ``joint_attention`` [V] sum to 1 and belong to the model's own frames and joints; both
    are empty where no explanation was asked for.
    """

    start_s: float
    end_s: float
    track_ids: Int64[I64, " M"]
    probabilities: Float32[F32, " K"]
    frame_attention: Float32[F32, " T"]
    joint_attention: Float32[F32, " V"]

    @property
    def centre_s(self) -> float:
        """The moment that the window speaks for."""
        return (self.start_s + self.end_s) / 2


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label and how sure the recogniser is of it, in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Segment:
    """One action of one person, from when to when, with the moments and joints that say so."""

    label: str
    label_id: int
    score: float
    start_s: float
    end_s: float
    top_k: tuple[LabelScore, ...]
    key_frames_s: tuple[float, ...] = ()
    key_joints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Everything that was seen of one person: the keypoints that a request may ask to have returned."""

    times_s: Float64[F64, " T"]
    keypoints: Float32[F32, "T V 2"]
    scores: Float32[F32, "T V"]
    boxes_xyxy: Float32[F32, "T 4"]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One person from first to last sight, and what they did in between."""

    track_id: int
    start_s: float
    end_s: float
    segments: tuple[Segment, ...]
    trajectory: Trajectory | None = None


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What was decoded: seconds, frames per second, frame count, and the size of the upright picture in px."""

    duration_s: float
    fps: float
    frames: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """The answer for one video: its people and their actions, what each stage cost, and what the reader should know.

    ``windows`` is how many the recogniser was asked about.
    """

    video: VideoInfo
    tracks: tuple[Track, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    windows: int = 0

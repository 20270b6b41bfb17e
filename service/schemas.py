"""The JSON that goes out, and how the pipeline's values become it.

``marey recognize --json`` prints the same answer as the service, from the same ``answer_of``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, Field

from pipeline.bundle import Bundle
from pipeline.layouts import Layout
from pipeline.values import F32, F64, Recognition, Segment, Track, Trajectory, VideoInfo

if TYPE_CHECKING:  # clients know these classes without loading a recogniser
    from pipeline.recognise import Recogniser

# Milliseconds, a hundredth of a pixel and four digits of a probability: more is noise that costs bytes.
TIME_DIGITS, PIXEL_DIGITS, SCORE_DIGITS = 3, 2, 4


class ModelName(BaseModel):
    """Which model answered, to the bit, and on what device."""

    name: str
    version: str
    sha256: str
    provider: str


class VideoAnswer(BaseModel):
    """What was decoded."""

    duration_s: float
    fps: float
    frames: int
    width: int
    height: int


class ScoredLabel(BaseModel):
    """A label and its probability."""

    label: str
    score: float


class Explanation(BaseModel):
    """The moments and joints that weighed most."""

    key_frames_s: list[float]
    key_joints: list[str]


class SegmentAnswer(BaseModel):
    """One action of one person."""

    label: str
    label_id: int
    score: float
    start_s: float
    end_s: float
    top_k: list[ScoredLabel]
    explanation: Explanation


class Keypoints(BaseModel):
    """A person's joints in px: `points[frame][joint]` is `[x, y, score]`, `boxes[frame]` is `[x1, y1, x2, y2]`."""

    times_s: list[float]
    layout: str
    points: list[list[list[float]]]
    boxes: list[list[float]]


class TrackAnswer(BaseModel):
    """One person from first to last sight. `keypoints` is null unless asked for."""

    track_id: int
    start_s: float
    end_s: float
    segments: list[SegmentAnswer]
    keypoints: Keypoints | None = None


class Timings(BaseModel):
    """What each stage cost, ms. `queue` is the wait for a free place; `total` runs from the upload's last byte."""

    decode: float = 0.0
    detect: float = 0.0
    pose: float = 0.0
    track: float = 0.0
    features: float = 0.0
    recognise: float = 0.0
    queue: float = 0.0
    total: float = 0.0


class Answer(BaseModel):
    """Who did what, from when to when."""

    request_id: str
    model: ModelName
    video: VideoAnswer
    tracks: list[TrackAnswer]
    timings_ms: Timings
    warnings: list[str]


class DataSource(BaseModel):
    """A data set that a model was trained on."""

    name: str
    licence: str
    citation: str
    sequences: int


class ModelCard(BaseModel):
    """What is known about a recogniser. `provider` is null until it has been loaded."""

    name: str
    version: str
    architecture: str
    description: str
    layout: str
    labels: list[str]
    silent_labels: list[str] = Field(description="Labels that the model knows and never reports.")
    window_s: float
    num_frames: int
    num_people: int
    thresholds: dict[str, float]
    compounds: dict[str, tuple[str, str]] = Field(
        description="Actions that are two others in a row without a rest: each names both, in order."
    )
    metrics: dict[str, float]
    data: list[DataSource]
    licence: str
    recipe: str
    sha256: str
    provider: str | None
    default: bool


class Models(BaseModel):
    """Every model that a request may name, and the pose backends."""

    models: list[ModelCard]
    poses: list[str]
    default_pose: str


class LayoutAnswer(BaseModel):
    """Joints by name, and limbs as pairs of their places in `joints`."""

    name: str
    joints: list[str]
    limbs: list[tuple[int, int]]


class Layouts(BaseModel):
    """Every layout that keypoints may have."""

    layouts: list[LayoutAnswer]


class Health(BaseModel):
    """Whether the service lives or may be sent work."""

    status: str = Field(examples=["ready"])


def answer_of(recognition: Recognition, recogniser: "Recogniser", *, layout: Layout, request_id: str) -> Answer:
    """Express a recognition as JSON; ``layout`` is that of the returned keypoints."""
    return Answer(
        request_id=request_id,
        model=ModelName(
            name=recogniser.card.name,
            version=recogniser.card.version,
            sha256=recogniser.bundle.sha256,
            provider=recogniser.provider,
        ),
        video=_video_answer(recognition.video),
        tracks=[_track_answer(track, layout) for track in recognition.tracks],
        timings_ms=_rounded_timings(recognition.timings_ms),
        warnings=list(recognition.warnings),
    )


def card_of(bundle: Bundle, *, provider: str | None, default: bool) -> ModelCard:
    """Express a bundle's card as JSON."""
    card = bundle.card
    return ModelCard(
        name=card.name,
        version=card.version,
        architecture=card.architecture,
        description=card.description,
        layout=card.features.layout,
        labels=list(card.labels),
        silent_labels=list(card.silent_labels),
        window_s=card.features.window_s,
        num_frames=card.features.num_frames,
        num_people=card.features.num_people,
        thresholds=dict(card.thresholds),
        compounds=dict(card.compounds),
        metrics=dict(card.metrics),
        data=[DataSource.model_validate(source, from_attributes=True) for source in card.data],
        licence=card.licence,
        recipe=card.recipe,
        sha256=bundle.sha256,
        provider=provider,
        default=default,
    )


def _video_answer(video: VideoInfo) -> VideoAnswer:
    return VideoAnswer(
        duration_s=round(video.duration_s, TIME_DIGITS),
        fps=round(video.fps, TIME_DIGITS),
        frames=video.frames,
        width=video.width,
        height=video.height,
    )


def _track_answer(track: Track, layout: Layout) -> TrackAnswer:
    return TrackAnswer(
        track_id=track.track_id,
        start_s=round(track.start_s, TIME_DIGITS),
        end_s=round(track.end_s, TIME_DIGITS),
        segments=[segment_of(segment) for segment in track.segments],
        keypoints=None if track.trajectory is None else keypoints_of(track.trajectory, layout),
    )


def segment_of(segment: Segment) -> SegmentAnswer:
    """Express one action as JSON."""
    return SegmentAnswer(
        label=segment.label,
        label_id=segment.label_id,
        score=round(segment.score, SCORE_DIGITS),
        start_s=round(segment.start_s, TIME_DIGITS),
        end_s=round(segment.end_s, TIME_DIGITS),
        top_k=[ScoredLabel(label=other.label, score=round(other.score, SCORE_DIGITS)) for other in segment.top_k],
        explanation=Explanation(
            key_frames_s=[round(time_s, TIME_DIGITS) for time_s in segment.key_frames_s],
            key_joints=list(segment.key_joints),
        ),
    )


def keypoints_of(trajectory: Trajectory, layout: Layout) -> Keypoints:
    """Express a person's joints as JSON."""
    points = np.concatenate(
        [_rounded(trajectory.keypoints, PIXEL_DIGITS), _rounded(trajectory.scores, SCORE_DIGITS)[..., None]], axis=-1
    )
    return Keypoints(
        times_s=_rounded(trajectory.times_s, TIME_DIGITS).tolist(),
        layout=layout.name,
        points=points.tolist(),
        boxes=_rounded(trajectory.boxes_xyxy, PIXEL_DIGITS).tolist(),
    )


def _rounded(numbers: F32 | F64, digits: int) -> F64:
    """Round as float64, where the decimal digits asked for are the digits that are printed."""
    return numbers.astype(np.float64).round(digits)


def _rounded_timings(timings_ms: Mapping[str, float]) -> Timings:
    known = {
        stage: round(spent_ms, TIME_DIGITS) for stage, spent_ms in timings_ms.items() if stage in Timings.model_fields
    }
    return Timings(**known)

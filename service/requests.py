"""The JSON that comes in: options, and skeletons from clients that have keypoints already."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from pipeline.features import FeatureSpec
from pipeline.layouts import LAYOUTS
from pipeline.values import SkeletonClip
from service.errors import BadOptions, Fault, faults_in

if TYPE_CHECKING:
    from pipeline.actions import Options

MAX_SKELETON_PEOPLE = 100
# A body may be wrong in a million places; whoever sent it needs to read of a few.
MAX_FAULTS = 10

Finite = Annotated[float, Field(allow_inf_nan=False)]
Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
Score = Annotated[float, Field(ge=0, le=1)]


class ActionOptions(BaseModel):
    """What requests and streams alike may choose; the deployment or the model's card decides on what is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(default=None, max_length=100, description="Recogniser; `GET /v1/models` lists them.")
    pose: str | None = Field(default=None, max_length=100, description="Pose backend; `GET /v1/models` lists them.")
    top_k: int = Field(default=5, ge=1, le=100, description="Labels to list with each segment.")
    threshold: Score | None = Field(default=None, description="Report from this probability on, whatever the label.")
    window_s: Finite | None = Field(default=None, ge=0.1, le=60, description="Seconds that the model sees at once.")
    stride_s: Finite = Field(default=0.25, ge=0.05, le=60, description="Seconds from one window to the next.")
    max_people: int = Field(default=10, ge=1, le=100, description="People to follow at once.")
    explain: bool = Field(default=True, description="Return the moments and joints that decided.")


class RecognizeOptions(ActionOptions):
    """What a request for a video or skeletons may choose."""

    keypoints: bool = Field(default=False, description="Return keypoints and boxes of every person.")

    @classmethod
    def read(cls, fields: Mapping[str, object]) -> "RecognizeOptions":
        """Check options that a request gave; ``BadOptions`` names each one that is unknown or out of range."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise BadOptions(faults_in(error, known=tuple(cls.model_fields))) from error

    def for_engine(self) -> "Options":
        """Return what the engine understands of them."""
        from pipeline.actions import Options  # clients know these classes without loading an engine

        return Options(**self.model_dump(exclude={"model", "pose"}))


class Skeletons(BaseModel):
    """Keypoints that a client has already: `keypoints[frame][person][joint]` is `[x, y]` or `[x, y, score]` in px.

    A person keeps their place in all frames. Score 0 says not seen; without scores, a joint at exactly (0, 0) was not.
    """

    model_config = ConfigDict(extra="forbid")

    layout: str = Field(description=f"One of {', '.join(LAYOUTS)}.", examples=["coco17"])
    times_s: list[Finite] = Field(min_length=1, description="Time of each frame, strictly rising.")
    keypoints: list[list[list[list[Pixels]]]]
    size_wh: tuple[int, int] | None = Field(default=None, description="Width and height of the picture, px.")

    @field_validator("layout")
    @classmethod
    def _check_layout(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"one of {', '.join(LAYOUTS)}")
        return layout

    @field_validator("times_s")
    @classmethod
    def _check_times(cls, times_s: list[float]) -> list[float]:
        if any(later <= earlier for earlier, later in itertools.pairwise(times_s)):
            raise ValueError("strictly rising times")
        return times_s

    @model_validator(mode="after")
    def _check_shape(self) -> "Skeletons":
        num_joints = len(LAYOUTS[self.layout])
        expected = f"keypoints[{len(self.times_s)} frames][people][{num_joints} joints] of [x, y] or [x, y, score]"
        people = {len(frame) for frame in self.keypoints}
        joints = {len(person) for frame in self.keypoints for person in frame}
        numbers = {len(joint) for frame in self.keypoints for person in frame for joint in person}
        if len(self.keypoints) != len(self.times_s):
            raise ValueError(f"{expected}, not {len(self.keypoints)} frames")
        if len(people) > 1 or max(people, default=0) > MAX_SKELETON_PEOPLE:
            raise ValueError(f"{expected} with the same people in each frame, {MAX_SKELETON_PEOPLE} at most")
        if not joints <= {num_joints} or numbers not in ({2}, {3}, set()):
            raise ValueError(expected)
        return self

    def to_clip(self) -> SkeletonClip:
        """Return them as one clip whose people are numbered from 1."""
        layout = LAYOUTS[self.layout]
        num_frames, num_people = len(self.times_s), len(self.keypoints[0])
        numbers = np.asarray(self.keypoints, np.float32)
        if not num_people:
            numbers = numbers.reshape(num_frames, 0, len(layout), 2)
        keypoints = numbers[..., :2]
        scored = numbers.shape[-1] == 3
        return SkeletonClip(
            keypoints=keypoints,
            scores=numbers[..., 2].clip(0, 1) if scored else (keypoints != 0).any(axis=-1).astype(np.float32),
            times_s=np.asarray(self.times_s, np.float64),
            track_ids=np.arange(1, num_people + 1, dtype=np.int64),
            layout=layout,
            start_s=self.times_s[0],
            end_s=self.times_s[-1],
            size_wh=self.size_wh,
        )


class SkeletonRequest(BaseModel):
    """The JSON body: skeletons in place of a video, and the same options."""

    model_config = ConfigDict(extra="forbid")

    skeletons: Skeletons
    options: dict[str, JsonValue] = {}

    @classmethod
    def read(cls, body: bytes) -> "SkeletonRequest":
        """Check a JSON body; ``BadOptions`` names each field that is not as expected."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise BadOptions(faults_in(error)[:MAX_FAULTS]) from error


def options_given(query: Sequence[tuple[str, str]], body: Mapping[str, object]) -> RecognizeOptions:
    """Put options from the address and from the body together; ``BadOptions`` if one is given twice."""
    given = dict(body)
    for name, text in query:
        if name in given:
            raise BadOptions([Fault(field=name, expected="to be given once", got="it twice")])
        given[name] = text
    return RecognizeOptions.read(given)


def refuse_wide(options: ActionOptions, features: FeatureSpec) -> None:
    """Check options against the window that a model sees at once; ``BadOptions`` if they are wider."""
    widest_s = features.window_s
    if options.window_s is not None and options.window_s > widest_s:
        expected = f"at most the {widest_s:g} s that the model sees at once"
        raise BadOptions([Fault(field="window_s", expected=expected, got=f"{options.window_s:g}")])
    window_s = options.window_s or widest_s
    if options.stride_s > window_s:
        expected = f"at most the {window_s:g} s of a window"
        raise BadOptions([Fault(field="stride_s", expected=expected, got=f"{options.stride_s:g}")])


def options_in(text: bytes) -> dict[str, object]:
    """Read the form's options; ``BadOptions`` if they are not a JSON object."""
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadOptions(
            [Fault(field="options", expected='a JSON object such as {"top_k": 3}', got=str(error))]
        ) from error
    if not isinstance(options, dict):
        raise BadOptions([Fault(field="options", expected="a JSON object", got=type(options).__name__)])
    return options

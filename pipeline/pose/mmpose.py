"""MMPose itself, for those who have it installed: its own detector, models, weights and downloads.

mmpose brings torch and mmcv along, so it is imported when this backend is asked for and never before.
Source: https://mmpose.readthedocs.io, ``MMPoseInferencer``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float32

from pipeline.errors import ModelError
from pipeline.layouts import COCO17
from pipeline.pose.registry import BackendOptions, register
from pipeline.values import F32, U8, UNTRACKED, Frame, Poses

MODEL = "human"  # MMPose's alias for RTMPose-m on COCO-17
MAX_SIDE = 1280

Instance = Mapping[str, object]


@runtime_checkable
class Inferencer(Protocol):
    """The part of ``MMPoseInferencer`` that is used: one answer a picture (BGR), with a list of people for each."""

    def __call__(self, inputs: list[U8]) -> Iterator[Mapping[str, list[list[Instance]]]]:
        """Look at pictures one after the other."""


class MmPose:
    """Find people with an MMPose inferencer."""

    name = "mmpose"
    layout = COCO17
    max_side: int | None = MAX_SIDE
    needs_boxes = False
    detect_every = 1

    def __init__(self, inferencer: Inferencer) -> None:
        self._inferencer = inferencer

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        """Find everybody in each frame."""
        pictures = [np.ascontiguousarray(frame.image[:, :, ::-1]) for frame in frames]
        answers = self._inferencer(pictures) if pictures else iter(())
        return [
            read_people(answer["predictions"][0], frame.size_wh) for answer, frame in zip(answers, frames, strict=True)
        ]

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[Float32[F32, "_ 4"]]) -> list[Poses]:
        """Find people as ``find`` does: the inferencer looks for boxes itself."""
        return self.find(frames)


def read_people(instances: Sequence[Instance], size_wh: tuple[int, int]) -> Poses:
    """Read MMPose's people. Where it finds nobody it takes the whole picture for a person; such a one is left out."""
    rows = [(instance, np.asarray(instance["bbox"], np.float32).reshape(4)) for instance in instances]
    whole = np.array([0, 0, *size_wh], np.float32)
    found = [(one, box) for one, box in rows if not (one["bbox_score"] == 1 and np.array_equal(box, whole))]
    if not found:
        return Poses.empty(len(COCO17))
    return Poses(
        np.array([one["keypoints"] for one, _ in found], np.float32),
        np.clip(np.array([one["keypoint_scores"] for one, _ in found], np.float32), 0, 1),
        np.stack([box for _, box in found]),
        np.clip(np.array([one["bbox_score"] for one, _ in found], np.float32).reshape(-1), 0, 1),
        np.full(len(found), UNTRACKED, np.int64),
    )


@register("mmpose")
def build(options: BackendOptions) -> MmPose:
    """Build MMPose's inferencer for people; it downloads its own weights.

    Raises:
        ValueError: a size was asked for; MMPose's models have their own.
        ModelError: mmpose is not installed.

    """
    if options.size is not None:
        raise ValueError(f"the mmpose backend takes no size, but {options.size} was asked for")
    try:
        from mmpose.apis import MMPoseInferencer  # heavy and optional
    except ImportError as error:
        raise ModelError(
            f"pose backend 'mmpose' needs the mmpose package, which cannot be imported ({error}): "
            "pip install 'marey[mmpose]', or choose another backend"
        ) from error
    # auto: mmpose takes a GPU where there is one.
    device = {"cpu": "cpu", "auto": None}.get(options.provider, "cuda:0")
    return MmPose(cast(Inferencer, MMPoseInferencer(MODEL, device=device)))

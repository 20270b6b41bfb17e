"""Values that many tests need: stick figures and what the pipeline makes of them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipeline.bundle import CARD_FILE, MODEL_FILE, Bundle, Card
from pipeline.features import FeatureSpec
from pipeline.layouts import LAYOUTS, Layout, map_joints
from pipeline.values import F32, F64, I64, UNTRACKED, Frame, Poses, Prediction, SkeletonClip

COCO17 = LAYOUTS["coco17"]
BODIES = {name: layout for name, layout in LAYOUTS.items() if layout.trunk}  # a hand is another thing
TORSO_PX = 60.0
Scene = Callable[[float], Sequence[F32]]  # who is where at a time, in px of the video
# Somebody who faces the camera, in lengths of the torso from the middle between the hips, y down.
LEFT_SIDE: Mapping[str, tuple[float, float]] = {
    "eye": (0.06, -1.45),
    "ear": (0.12, -1.42),
    "shoulder": (0.3, -1.0),
    "elbow": (0.4, -0.5),
    "wrist": (0.42, -0.05),
    "hip": (0.2, 0.0),
    "knee": (0.22, 0.85),
    "ankle": (0.22, 1.7),
}


def make_figure(*, arms_up: float = 0.0, x: float = 160.0, y: float = 120.0, torso: float = TORSO_PX) -> F32:
    """Return coco17 joints in px of somebody whose hips are at (x, y); ``arms_up`` 1 is straight up, 0 is down."""
    joints = np.array([_place(joint, arms_up) for joint in COCO17.joints])
    return (joints * torso + (x, y)).astype(np.float32)


def _place(joint: str, arms_up: float) -> tuple[float, float]:
    side, _, name = joint.partition("_")
    across, down = LEFT_SIDE.get(name, (0.0, -1.4))
    if name in ("elbow", "wrist"):
        shoulder = LEFT_SIDE["shoulder"][1]
        down = shoulder + (down - shoulder) * (1 - 2 * arms_up)
    return (across if side == "left" else -across), down


def make_times(seconds: float, *, fps: float = 15.0, start_s: float = 0.0) -> F64:
    """Return the times of the frames of so many seconds, end included."""
    return start_s + np.arange(round(seconds * fps) + 1) / fps


def make_clip(
    keypoints: NDArray[np.floating],
    times_s: Sequence[float] | F64,
    *,
    scores: F32 | None = None,
    layout: Layout = COCO17,
    bounds_s: tuple[float, float] | None = None,
    track_ids: Sequence[int] | None = None,
) -> SkeletonClip:
    """Return a clip of [T, V, D] or [T, M, V, D] joints, all seen unless ``scores`` say otherwise."""
    keypoints = np.asarray(keypoints, np.float32)
    if keypoints.ndim == 3:
        keypoints = keypoints[:, None]
        scores = None if scores is None else scores[:, None]
    times: F64 = np.asarray(times_s, np.float64)
    start_s, end_s = bounds_s or (float(times[0]), float(times[-1]))
    ids = range(1, keypoints.shape[1] + 1) if track_ids is None else track_ids
    return SkeletonClip(
        keypoints,
        np.ones(keypoints.shape[:-1], np.float32) if scores is None else np.asarray(scores, np.float32),
        times,
        np.array(ids, np.int64),
        layout,
        start_s=start_s,
        end_s=end_s,
    )


def make_waver(times_s: F64, *, hz: float = 1.0, speed_px_s: float = 0.0, layout: Layout = COCO17) -> SkeletonClip:
    """Return a clip of somebody who raises and lowers both arms ``hz`` times a second, while walking to the right."""
    figures = [
        make_figure(arms_up=float(0.5 - 0.5 * np.cos(2 * np.pi * hz * time_s)), x=160 + speed_px_s * time_s)
        for time_s in times_s
    ]
    joints, scores = map_joints(
        np.stack(figures), np.ones((len(times_s), len(COCO17)), np.float32), COCO17.joints, layout
    )
    return make_clip(joints, times_s, scores=scores, layout=layout)


def make_poses(
    *figures: F32, track_ids: Sequence[int] | None = None, scores: F32 | None = None, box_scores: Sequence[float] = ()
) -> Poses:
    """Return a frame's people, each [V, 2]; untracked unless ids are given."""
    if not figures:
        return Poses.empty(len(COCO17))
    keypoints = np.stack(figures).astype(np.float32)
    ids: I64 = np.full(len(figures), UNTRACKED) if track_ids is None else np.array(track_ids, np.int64)
    return Poses(
        keypoints,
        np.full(keypoints.shape[:2], 0.9, np.float32) if scores is None else scores,
        np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=-1),
        np.array(box_scores or [0.9] * len(figures), np.float32),
        ids,
    )


def make_frame(time_s: float, *, index: int = 0, size_wh: tuple[int, int] = (320, 240), scale: float = 1.0) -> Frame:
    """Return a black picture."""
    return Frame(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), index, time_s, scale)


@dataclass
class FakePose:
    """Sees everybody of a scene in px of the picture; notes when it was asked for what."""

    scene: Scene
    name: str = "fake"
    layout: Layout = COCO17
    max_side: int | None = None
    needs_boxes: bool = False
    detect_every: int = 1
    found_s: list[list[float]] = field(default_factory=list)
    followed_s: list[list[float]] = field(default_factory=list)
    boxes: list[F32] = field(default_factory=list)
    sizes_wh: set[tuple[int, int]] = field(default_factory=set)

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        self.found_s.append([frame.time_s for frame in frames])
        self.sizes_wh |= {frame.size_wh for frame in frames}
        return [self._see(frame) for frame in frames]

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[F32]) -> list[Poses]:
        self.followed_s.append([frame.time_s for frame in frames])
        self.boxes += boxes_xyxy
        seen = [self._see(frame) for frame in frames]
        return [poses.select(_nearest(poses, boxes)) for poses, boxes in zip(seen, boxes_xyxy, strict=True)]

    def _see(self, frame: Frame) -> Poses:
        return make_poses(*self.scene(frame.time_s)).rescaled(frame.scale)


def _nearest(poses: Poses, boxes: F32) -> I64:
    """Choose for each box the person in the middle of it."""
    offsets = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2 - (poses.boxes_xyxy[:, :2] + poses.boxes_xyxy[:, 2:]) / 2
    return np.linalg.norm(offsets, axis=-1).argmin(axis=1) if len(poses) else np.zeros(0, np.int64)


def make_card(
    labels: Sequence[str] = ("stand", "raise_arms", "crouch"),
    *,
    name: str = "tiny",
    features: FeatureSpec | None = None,
    silent_labels: Sequence[str] = ("stand",),
    **fields: object,
) -> Card:
    """Return the card of a small recogniser."""
    return Card(
        name=name,
        version="1.0.0",
        architecture="linear",
        description="Looks at the wrists.",
        features=features or FeatureSpec(layout="coco17", num_frames=16, window_s=2.0),
        labels=tuple(labels),
        silent_labels=tuple(silent_labels),
        **fields,  # type: ignore[arg-type]  # what a test wants to say about the card
    )


def make_prediction(
    centre_s: float,
    probabilities: Sequence[float],
    *,
    window_s: float = 2.0,
    attends_to_s: float | None = None,
    joint: int = 0,
    num_frames: int = 20,
    track_id: int = 1,
) -> Prediction:
    """Return what was recognised in a window that looks at one moment, by default its middle, and at one joint."""
    start_s = centre_s - window_s / 2
    moments_s = start_s + window_s * (np.arange(num_frames) + 0.5) / num_frames
    nearest = np.abs(moments_s - (centre_s if attends_to_s is None else attends_to_s)).argmin()
    return Prediction(
        start_s,
        start_s + window_s,
        np.array([track_id], np.int64),
        np.array(probabilities, np.float32),
        (np.arange(num_frames) == nearest).astype(np.float32),
        (np.arange(len(COCO17)) == joint).astype(np.float32),
    )


def write_bundle(folder: Path, card: Card | None = None, *, model: bytes | None = None) -> Bundle:
    """Write a bundle of ``make_wrist_model`` or of another model, and open it."""
    card = card or make_card()
    model = model or make_wrist_model(len(card.labels))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(model)
    card = replace(card, model_sha256=hashlib.sha256(model).hexdigest())
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return Bundle.open(folder)


def make_wrist_model(
    num_labels: int = 3, *, shape: tuple[int | str, ...] = ("N", "T", 1, 17, 2), outputs: Sequence[str] = ()
) -> bytes:
    """Return an ONNX recogniser: arms are down (0) or up (1) as the wrists are on average below or above the chest.

    It attends to the frames in which they are highest, and to the joints that are farthest out.
    """
    wrists = np.zeros((1, 17, 2), np.float32)
    wrists[:, [COCO17.index("left_wrist"), COCO17.index("right_wrist")], 1] = 0.5
    slopes = np.array([[8.0, -8.0, *[0.0] * (num_labels - 2)]], np.float32)
    arrays: dict[str, NDArray[Any]] = {
        "rows": np.array([0, -1, wrists.size], np.int64),
        "wrists": wrists.reshape(-1, 1),
        "last": np.array([2], np.int64),
        "chest": np.array([0.5], np.float32),
        "slopes": slopes,
        "biases": np.array([0.0, 0.0, *[-9.0] * (num_labels - 2)], np.float32),
        "sharply": np.array([-4.0], np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["clips", "rows"], ["flat"]),
        helper.make_node("MatMul", ["flat", "wrists"], ["column"]),
        helper.make_node("Squeeze", ["column", "last"], ["depths"]),
        helper.make_node("ReduceMean", ["depths"], ["depth"], axes=[1], keepdims=1),
        helper.make_node("Add", ["depth", "chest"], ["below"]),
        helper.make_node("MatMul", ["below", "slopes"], ["sides"]),
        helper.make_node("Add", ["sides", "biases"], ["logits"]),
        helper.make_node("Mul", ["depths", "sharply"], ["heights"]),
        helper.make_node("Softmax", ["heights"], ["frame_attention"], axis=1),
        helper.make_node("Abs", ["clips"], ["sizes"]),
        helper.make_node("ReduceMean", ["sizes"], ["reaches"], axes=[1, 2, 4], keepdims=0),
        helper.make_node("Softmax", ["reaches"], ["joint_attention"], axis=1),
    ]
    axes: dict[str, tuple[str | int, ...]] = {
        "logits": ("N", num_labels),
        "frame_attention": ("N", "T"),
        "joint_attention": ("N", shape[3]),
    }
    graph = helper.make_graph(
        nodes,
        "wrists",
        [helper.make_tensor_value_info("clips", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes[name]) for name in outputs or axes],
        [numpy_helper.from_array(values, name) for name, values in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised

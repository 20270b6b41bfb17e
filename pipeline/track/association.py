"""Who is who: how alike the people followed and the people found are, and the best way to pair them.

Sources: object keypoint similarity and its per-joint constants from the COCO keypoint challenge; optimal assignment as
in SORT. That the filter's own uncertainty widens the similarity is ours: a track that has been out of sight then
accepts people farther from where it was expected, without a second set of gates.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.optimize import linear_sum_assignment

from pipeline.layouts import Layout
from pipeline.values import B1, F32, F64, I64, Poses

VISIBLE_SCORE = 0.2  # MoveNet and RTMPose both guess below this
SHARED_JOINTS = 3  # fewer joints seen on both sides say nothing about who it is
KEYPOINT_SHARE = 0.7  # more keeps people who cross apart better, less follows fast or half-seen people better
AREA_OF_BOX = 0.53  # COCO's constants are for the area of a person, which fills about this share of the box

_LIMB_SIGMAS = {"shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089}
_TIP_SIGMAS = {"hand": 0.062, "handtip": 0.062, "thumb": 0.062, "foot": 0.089}  # not in COCO: as the joint they hang on
_SIDED_SIGMAS = {"eye": 0.025, "ear": 0.035, **_LIMB_SIGMAS, **_TIP_SIGMAS}
_TRUNK_SIGMAS = {"neck": 0.079, "spine_shoulder": 0.079, "spine": 0.107, "pelvis": 0.107}
SIGMAS: Mapping[str, float] = {
    "nose": 0.026,
    "head": 0.035,
    **_TRUNK_SIGMAS,
    **{f"{side}_{joint}": sigma for side in ("left", "right") for joint, sigma in _SIDED_SIGMAS.items()},
}


def joint_sigmas(layout: Layout) -> Float32[F32, " V"]:
    """Return COCO's constant for each joint of a layout, by name; ``ValueError`` names one that has none."""
    unknown = [joint for joint in layout.joints if joint not in SIGMAS]
    if unknown:
        raise ValueError(f"layout {layout.name!r}: no similarity constant for {unknown}; add them to SIGMAS")
    return np.array([SIGMAS[joint] for joint in layout.joints], np.float32)


def visible_joints(poses: Poses) -> Bool[B1, "M V"]:
    """Tell which joints were seen rather than guessed."""
    seen: B1 = poses.scores >= VISIBLE_SCORE
    return seen


def keypoint_similarity(
    followed: Poses, found: Poses, *, sigmas: Float32[F32, " V"], spread: Float64[F64, " Q"] | float = 0.0
) -> Float64[F64, "Q M"]:
    """Return the object keypoint similarity of each person followed to each person found, in [0, 1].

    ``spread`` (px) is how far off the people followed may be. NaN where too few joints are seen on both sides.
    """
    apart = followed.keypoints[:, None] - found.keypoints[None]
    squared = (apart * apart).sum(axis=-1)  # [Q, M, V]
    areas = AREA_OF_BOX * box_areas(followed.boxes_xyxy)
    variance = areas[:, None] * (2.0 * sigmas) ** 2 + np.square(np.broadcast_to(spread, len(followed)))[:, None]
    both = visible_joints(followed)[:, None] & visible_joints(found)[None]
    alike = np.where(both, np.exp(-squared / (2.0 * variance[:, None])), 0.0).sum(axis=-1)
    shared = both.sum(axis=-1)
    return np.where(shared >= SHARED_JOINTS, alike / np.maximum(shared, 1), np.nan)


def box_areas(boxes_xyxy: Float32[F32, "M 4"]) -> Float32[F32, " M"]:
    """Return the boxes' areas, px^2, at least 1."""
    areas: F32 = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1.0).prod(axis=1)
    return areas


def box_overlap(boxes_xyxy: Float32[F32, "Q 4"], others_xyxy: Float32[F32, "M 4"]) -> Float64[F64, "Q M"]:
    """Return the intersection over union of each box with each other, in [0, 1]."""
    low = np.maximum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    high = np.minimum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=-1)
    union = box_areas(boxes_xyxy)[:, None] + box_areas(others_xyxy)[None] - shared
    overlap: F64 = (shared / union).astype(np.float64)
    return overlap


def box_fill(poses: Poses) -> Float64[F64, " M"]:
    """Return the size of what the visible joints span, in sizes (sqrt of the area) of the box; about 0.8 for people."""
    seen = visible_joints(poses)[..., None]
    high = np.where(seen, poses.keypoints, -np.inf).max(axis=1)
    low = np.where(seen, poses.keypoints, np.inf).min(axis=1)
    span = np.where(seen.any(axis=1), high - low, 0.0)
    fill: F64 = np.sqrt(span.prod(axis=1) / box_areas(poses.boxes_xyxy)).astype(np.float64)
    return fill


def size_ratios(boxes_xyxy: Float32[F32, "Q 4"], others_xyxy: Float32[F32, "M 4"]) -> Float64[F64, "Q M"]:
    """Return how many times larger (in length) the larger box of each pair is, from 1 upwards."""
    logs, others = np.log(box_areas(boxes_xyxy)), np.log(box_areas(others_xyxy))
    ratios: F64 = np.exp(np.abs(logs[:, None] - others[None]) / 2.0).astype(np.float64)
    return ratios


def centre_distances(boxes_xyxy: Float32[F32, "Q 4"], others_xyxy: Float32[F32, "M 4"]) -> Float64[F64, "Q M"]:
    """Return how far apart the centres are, in sizes (sqrt of the area) of the first box."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2.0
    others = (others_xyxy[:, :2] + others_xyxy[:, 2:]) / 2.0
    apart = np.linalg.norm(centres[:, None] - others[None], axis=-1)
    distances: F64 = apart.astype(np.float64) / np.sqrt(box_areas(boxes_xyxy))[:, None]
    return distances


def mixed_similarity(
    followed: Poses, found: Poses, *, sigmas: Float32[F32, " V"], spread: Float64[F64, " Q"] | float = 0.0
) -> Float64[F64, "Q M"]:
    """Return a weighted mean of keypoint similarity and box overlap; the overlap alone where joints cannot say."""
    overlap = box_overlap(followed.boxes_xyxy, found.boxes_xyxy)
    alike = keypoint_similarity(followed, found, sigmas=sigmas, spread=spread)
    mixed = KEYPOINT_SHARE * alike + (1.0 - KEYPOINT_SHARE) * overlap
    return np.where(np.isnan(alike), overlap, mixed)


def assign(gain: Float64[F64, "Q M"], allowed: Bool[B1, "Q M"]) -> Int64[I64, " M"]:
    """Pair rows with columns so that the sum of gains over allowed pairs is largest; -1 for a column left alone.

    Gains may be of either sign, and a pair that is allowed is always better than none.
    """
    row_of = np.full(gain.shape[1], -1, np.int64)
    if not allowed.any():
        return row_of
    worth = np.where(allowed, gain - gain[allowed].min() + len(gain), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = allowed[rows, columns]
    row_of[columns[kept]] = rows[kept]
    return row_of


def distinct(poses: Poses, *, sigmas: Float32[F32, " V"], limit: float) -> Bool[B1, " M"]:
    """Mark the people that are nobody's duplicate: of two skeletons more alike than ``limit`` the surer one stays."""
    kept = np.ones(len(poses), np.bool_)
    if len(poses) < 2:
        return kept
    doubles = keypoint_similarity(poses, poses, sigmas=sigmas) > limit
    order = np.argsort(-poses.box_scores, kind="stable")
    for place, person in enumerate(order):
        kept[person] = not (doubles[person, order[:place]] & kept[order[:place]]).any()
    return kept

"""Notice when one person was reported twice: object keypoint similarity (OKS), as COCO defines it.

Source: https://cocodataset.org/#keypoints-eval, section 1.3; the joints' sigmas are COCO's own.
"""

import numpy as np
from jaxtyping import Float32, Int64

from pipeline.values import F32, I64, Poses

# Nose, eyes, ears, then shoulders, elbows, wrists, hips, knees and ankles, left and right alike.
COCO_SIGMAS = np.array(
    [0.026, 0.025, 0.025, 0.035, 0.035, *np.repeat([0.079, 0.072, 0.062, 0.107, 0.087, 0.089], 2)], np.float32
)
SAME_PERSON_OKS = 0.6


def oks(
    keypoints: Float32[F32, "M V 2"],
    others: Float32[F32, "Q V 2"],
    *,
    areas: Float32[F32, " M"],
    weights: Float32[F32, "M V"],
    sigmas: Float32[F32, " V"] = COCO_SIGMAS,
) -> Float32[F32, "M Q"]:
    """Say how alike poses are, from 0 to 1 for the same.

    ``areas`` (px^2) and ``weights`` (how much each joint counts) belong to the first. COCO takes the area of the
    person's outline, and a weight of 1 for each joint that is labelled.
    """
    apart = ((keypoints[:, None] - others[None]) ** 2).sum(axis=-1)  # [M, Q, V]
    spread = 2 * (2 * sigmas) ** 2 * np.maximum(areas, 1.0)[:, None, None]
    total = np.maximum(weights.sum(axis=-1), 1e-6)[:, None]
    similarity: F32 = ((np.exp(-apart / spread) * weights[:, None]).sum(axis=-1) / total).astype(np.float32)
    return similarity


def keep_best(people: Poses, *, same_person_oks: float = SAME_PERSON_OKS) -> Int64[I64, " Q"]:
    """Return the indices of distinct people, best first: of poses that much alike only the best counts."""
    sides = people.boxes_xyxy[:, 2:] - people.boxes_xyxy[:, :2]
    similarity = oks(people.keypoints, people.keypoints, areas=sides.prod(axis=-1), weights=people.scores)
    kept: list[int] = []
    for person in np.argsort(-people.box_scores, kind="stable").tolist():
        if all(similarity[best, person] < same_person_oks for best in kept):
            kept.append(person)
    return np.array(kept, np.int64)

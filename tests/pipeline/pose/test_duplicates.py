import numpy as np
import pytest

from pipeline.pose.duplicates import COCO_SIGMAS, keep_best, oks
from pipeline.values import Poses


def people(keypoints: np.ndarray, box_scores: list[float]) -> Poses:
    M = len(keypoints)
    boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    return Poses(keypoints, np.ones((M, 17), np.float32), boxes, np.array(box_scores, np.float32), np.full(M, -1))


@pytest.fixture
def pose(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 100, (17, 2)).astype(np.float32)


def test_a_pose_is_most_like_itself(pose: np.ndarray) -> None:
    same = oks(pose[None], pose[None], areas=np.array([100.0], np.float32), weights=np.ones((1, 17), np.float32))
    assert same.tolist() == [[1.0]]


def test_similarity_is_coco_s_formula(pose: np.ndarray, rng: np.random.Generator) -> None:
    other = pose + rng.normal(0, 3, pose.shape).astype(np.float32)
    seen = rng.random(17) > 0.3
    area = 900.0
    expected = 0.0
    for joint in np.flatnonzero(seen):
        distance2 = float(((pose[joint] - other[joint]) ** 2).sum())
        expected += np.exp(-distance2 / (2 * area * (2 * float(COCO_SIGMAS[joint])) ** 2))
    expected /= seen.sum()
    got = oks(pose[None], other[None], areas=np.array([area], np.float32), weights=seen[None].astype(np.float32))
    assert got[0, 0] == pytest.approx(expected, rel=1e-5)


def test_of_one_person_reported_twice_the_surer_is_kept(pose: np.ndarray) -> None:
    assert keep_best(people(np.stack([pose, pose + 1]), [0.4, 0.7])).tolist() == [1]


def test_two_people_beside_each_other_are_both_kept(pose: np.ndarray) -> None:
    assert keep_best(people(np.stack([pose, pose + 60]), [0.4, 0.7])).tolist() == [1, 0]


def test_nobody_has_no_duplicates() -> None:
    assert keep_best(Poses.empty(17)).tolist() == []

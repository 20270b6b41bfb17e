import numpy as np
import pytest
from factories import BODIES

from pipeline.layouts import LAYOUTS, Layout
from pipeline.track.association import (
    assign,
    box_fill,
    box_overlap,
    distinct,
    joint_sigmas,
    keypoint_similarity,
    mixed_similarity,
)
from pipeline.values import UNTRACKED, Poses

COCO = LAYOUTS["coco17"]
SIGMAS = joint_sigmas(COCO)


def crowd(rng: np.random.Generator, num_people: int, *, shift: float = 0.0) -> Poses:
    corners = 150.0 * np.arange(num_people)[:, None] + np.array([10.0, 20.0]) + shift
    joints = corners[:, None] + rng.uniform(0, 1, (num_people, len(COCO), 2)) * np.array([80, 200])
    boxes = np.concatenate([corners, corners + np.array([80, 200])], axis=1)
    return Poses(
        joints.astype(np.float32),
        rng.uniform(0.1, 1, (num_people, len(COCO))).astype(np.float32),
        boxes.astype(np.float32),
        rng.uniform(0.4, 0.9, num_people).astype(np.float32),
        np.full(num_people, UNTRACKED, np.int64),
    )


@pytest.mark.parametrize("layout", BODIES.values(), ids=BODIES)
def test_every_body_has_a_constant_for_every_joint(layout: Layout) -> None:
    sigmas = joint_sigmas(layout)
    assert sigmas.shape == (len(layout),)
    assert (sigmas > 0).all()


def test_a_hand_is_not_followed_and_says_so() -> None:
    with pytest.raises(ValueError, match=r"layout 'hand21': no similarity constant for \['wrist', 'thumb_cmc'"):
        joint_sigmas(LAYOUTS["hand21"])


def test_the_constants_are_those_of_coco_in_its_order() -> None:
    limbs = np.repeat([0.079, 0.072, 0.062, 0.107, 0.087, 0.089], 2)
    np.testing.assert_allclose(SIGMAS, [0.026, 0.025, 0.025, 0.035, 0.035, *limbs], rtol=1e-6)


def test_a_joint_without_a_constant_is_named() -> None:
    with pytest.raises(ValueError, match="tail"):
        joint_sigmas(Layout("cat", ("nose", "tail"), (), "nose"))


def test_keypoint_similarity_equals_a_slow_loop(rng: np.random.Generator) -> None:
    followed, found = crowd(rng, 3), crowd(rng, 4, shift=3.0)
    similarity = keypoint_similarity(followed, found, sigmas=SIGMAS, spread=np.array([0.0, 5.0, 40.0]))
    for row, spread in enumerate((0.0, 5.0, 40.0)):
        for column in range(4):
            both = (followed.scores[row] >= 0.2) & (found.scores[column] >= 0.2)
            squared = ((followed.keypoints[row] - found.keypoints[column]) ** 2).sum(axis=-1)
            variance = (2 * SIGMAS) ** 2 * 0.53 * 80 * 200 + spread**2
            expected = np.exp(-squared / (2 * variance))[both].mean()
            assert similarity[row, column] == pytest.approx(expected, abs=1e-5)


def test_uncertainty_about_a_place_makes_people_farther_off_more_alike(rng: np.random.Generator) -> None:
    followed, found = crowd(rng, 1), crowd(np.random.default_rng(0), 1, shift=40.0)
    surely = keypoint_similarity(followed, found, sigmas=SIGMAS)
    vaguely = keypoint_similarity(followed, found, sigmas=SIGMAS, spread=np.array([80.0]))
    assert surely[0, 0] < 0.5 < vaguely[0, 0]


def test_the_boxes_alone_decide_where_no_joints_were_seen(rng: np.random.Generator) -> None:
    people = crowd(rng, 2)
    blind = Poses(people.keypoints, 0 * people.scores, people.boxes_xyxy, people.box_scores, people.track_ids)
    assert np.isnan(keypoint_similarity(people, blind, sigmas=SIGMAS)).all()
    np.testing.assert_allclose(mixed_similarity(people, blind, sigmas=SIGMAS), np.eye(2))
    np.testing.assert_array_equal(box_fill(blind), 0)


def test_box_overlap_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    others = np.array([[5, 0, 15, 10], [20, 20, 30, 30], [10, 0, 20, 10]], np.float32)
    np.testing.assert_allclose(box_overlap(boxes, others), [[1 / 3, 0, 0], [0, 1, 0]], atol=1e-6)


def test_the_best_pairs_are_found_among_those_allowed() -> None:
    gain = np.array([[0.9, 0.8], [0.7, 0.1]])
    np.testing.assert_array_equal(assign(gain, np.ones((2, 2), bool)), [1, 0])
    np.testing.assert_array_equal(assign(gain, np.array([[True, True], [False, True]])), [0, 1])
    np.testing.assert_array_equal(assign(gain, np.zeros((2, 2), bool)), [-1, -1])


def test_as_many_pairs_as_possible_are_made_even_of_negative_gain() -> None:
    gain = np.array([[0.9, -0.5], [-0.4, -2.0]])
    allowed = np.array([[True, True], [True, False]])
    np.testing.assert_array_equal(assign(gain, allowed), [1, 0])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_is_paired_with_nobody(shape: tuple[int, int]) -> None:
    assert (assign(np.zeros(shape), np.zeros(shape, bool)) == np.full(shape[1], -1)).all()


def test_of_two_reports_of_one_person_the_surer_one_stays(rng: np.random.Generator) -> None:
    people = crowd(rng, 3)
    twice = people.select(np.array([0, 1, 1, 2]))
    twice = Poses(
        twice.keypoints, twice.scores, twice.boxes_xyxy, np.array([0.5, 0.4, 0.6, 0.7], np.float32), twice.track_ids
    )
    np.testing.assert_array_equal(distinct(twice, sigmas=SIGMAS, limit=0.7), [True, False, True, True])
    assert distinct(Poses.empty(17), sigmas=SIGMAS, limit=0.7).shape == (0,)

"""Stick figures on one picture."""

from colorsys import rgb_to_hsv
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pipeline.figures import SHADES, draw_people, track_colour
from pipeline.layouts import COCO17, LAYOUTS, Layout
from pipeline.values import Poses

STANDING = {
    "nose": (0.5, 0.12),
    "eye": (0.03, 0.10),
    "ear": (0.06, 0.11),
    "shoulder": (0.15, 0.25),
    "elbow": (0.20, 0.40),
    "wrist": (0.22, 0.55),
    "hip": (0.10, 0.55),
    "knee": (0.12, 0.75),
    "ankle": (0.12, 0.95),
}


def standing(size_wh: tuple[int, int], *, score: float = 1.0, track_id: int = 1) -> Poses:
    """One person who faces the camera and fills the picture's height."""
    width, height = size_wh
    keypoints = []
    for joint in COCO17.joints:
        side, _, part = joint.rpartition("_")
        across, down = STANDING[part]
        across = {"left": 0.5 + across, "right": 0.5 - across, "": across}[side]
        keypoints.append((across * width, down * height))
    return Poses(
        np.array([keypoints], np.float32),
        np.full((1, 17), score, np.float32),
        np.array([[0.25 * width, 0.3 * height, 0.75 * width, height]], np.float32),
        np.ones(1, np.float32),
        np.array([track_id], np.int64),
    )


def together(*people: Poses) -> Poses:
    columns = ("keypoints", "scores", "boxes_xyxy", "box_scores", "track_ids")
    return Poses(*(np.concatenate([getattr(person, column) for person in people]) for column in columns))


def grey(size_wh: tuple[int, int]) -> np.ndarray:
    return np.full((size_wh[1], size_wh[0], 3), 100, np.uint8)


def changed(image: np.ndarray, before: np.ndarray) -> np.ndarray:
    return (image != before).any(axis=2)


def test_the_picture_passed_in_is_left_alone() -> None:
    image = grey((320, 240))

    drawn = draw_people(image, standing((320, 240)), COCO17, {1: "1 squat 87%"})

    assert (image == 100).all()
    assert changed(drawn, image).any()


def test_nobody_leaves_the_picture_as_it_was() -> None:
    image = grey((320, 240))

    assert (draw_people(image, Poses.empty(17), COCO17, {}) == image).all()


def test_joints_and_bones_are_drawn_where_they_are() -> None:
    poses = standing((640, 480))
    drawn = draw_people(grey((640, 480)), poses, COCO17, {1: ""})

    knee, ankle = (poses.keypoints[0, COCO17.index(joint)] for joint in ("left_knee", "left_ankle"))
    for point in (knee, ankle, (knee + ankle) / 2):
        column, row = np.rint(point).astype(int)
        assert drawn[row, column] == pytest.approx(track_colour(1, "left"), abs=2)


def test_left_and_right_are_shades_of_one_hue() -> None:
    for track_id in range(8):
        colours = [np.array(track_colour(track_id, side)) / 255 for side in SHADES]
        hues = [rgb_to_hsv(*colour)[0] for colour in colours]
        assert hues == pytest.approx([hues[0]] * 3, abs=0.02)
        assert np.abs(colours[0] - colours[1]).max() > 0.25


def test_tracks_that_follow_each_other_differ_in_colour() -> None:
    colours = np.array([track_colour(track_id) for track_id in range(12)], float)

    assert min(np.abs(one - other).sum() for one, other in pairwise(colours)) > 150


def test_a_joint_hardly_seen_is_left_out_and_a_weak_one_is_faint() -> None:
    image, contrasts = grey((640, 480)), []
    for score in (0.19, 0.25, 0.4, 0.9):
        poses = standing((640, 480), score=score)
        column, row = np.rint(poses.keypoints[0, COCO17.index("left_knee")]).astype(int)
        drawn = draw_people(image, poses, COCO17, {1: ""})
        contrasts.append(int(np.abs(drawn[row, column].astype(int) - 100).sum()))

    assert contrasts[0] == 0
    assert 0 < contrasts[1] < contrasts[2] < contrasts[3]


def test_a_bone_needs_both_its_joints() -> None:
    poses = standing((640, 480))
    scores = poses.scores.copy()
    scores[0, COCO17.index("left_ankle")] = 0.0
    hidden = replace(poses, scores=scores)
    knee, ankle = (poses.keypoints[0, COCO17.index(joint)] for joint in ("left_knee", "left_ankle"))
    column, row = np.rint((knee + ankle) / 2).astype(int)

    assert (draw_people(grey((640, 480)), hidden, COCO17, {1: ""})[row, column] == 100).all()


@pytest.mark.parametrize("size_wh", [(426, 240), (608, 1080), (3840, 2160)], ids=["240p", "portrait", "4k"])
def test_a_caption_is_legible_at_any_size_and_whole(size_wh: tuple[int, int]) -> None:
    image, poses = grey(size_wh), standing(size_wh)
    faint = replace(poses, scores=np.zeros_like(poses.scores))

    rows, columns = np.nonzero(changed(draw_people(image, faint, COCO17, {1: "1 jumping jack 87%"}), image))

    height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert max(18, 0.04 * min(size_wh)) <= height <= max(20, 0.06 * min(size_wh))
    assert 4 * height < width < size_wh[0]
    assert len(rows) == height * width


def test_a_caption_stays_inside_the_picture() -> None:
    image, poses = grey((320, 240)), standing((320, 240))
    for x, y in ((-200, -200), (400, 400)):
        outside = replace(
            poses, scores=np.zeros_like(poses.scores), boxes_xyxy=np.array([[x, y, x + 50, y + 50]], np.float32)
        )
        rows, columns = np.nonzero(changed(draw_people(image, outside, COCO17, {1: "1 walk 50%"}), image))
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1) > 1000


def test_captions_make_room_for_each_other() -> None:
    image = grey((640, 480))
    people = together(*(standing((640, 480), score=0.0, track_id=track_id) for track_id in (1, 2, 3)))

    drawn = draw_people(image, people, COCO17, {1: "1 walk 50%", 2: "2 walk 50%", 3: "3 walk 50%"})
    alone = draw_people(image, people.select(np.array([0])), COCO17, {1: "1 walk 50%"})

    assert changed(drawn, image).sum() > 2.9 * changed(alone, image).sum()


def test_a_track_without_a_caption_shows_its_id_and_an_untracked_person_none() -> None:
    image = grey((640, 480))

    assert changed(draw_people(image, standing((640, 480), score=0.0), COCO17, {}), image).any()
    assert not changed(draw_people(image, standing((640, 480), score=0.0, track_id=-1), COCO17, {}), image).any()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_can_be_drawn_even_outside_the_picture(layout: Layout, rng: np.random.Generator) -> None:
    poses = Poses(
        rng.uniform(-300, 600, (3, len(layout), 2)).astype(np.float32),
        rng.uniform(0, 1, (3, len(layout))).astype(np.float32),
        np.array([[-300, -300, 600, 600]] * 3, np.float32),
        np.ones(3, np.float32),
        np.arange(3),
    )

    assert draw_people(grey((320, 240)), poses, layout, {}).shape == (240, 320, 3)

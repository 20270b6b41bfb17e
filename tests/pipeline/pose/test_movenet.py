import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pipeline.pose import PoseBackend, pose_backend
from pipeline.pose.duplicates import oks
from pipeline.pose.movenet import PERSON_THRESHOLD, WEIGHTS, fit_picture, read_people
from pipeline.values import Frame


@pytest.fixture(scope="module")
def movenet() -> PoseBackend:
    return pose_backend("movenet", threads=2)


def row(score: float, *, at: tuple[float, float] = (0.5, 0.5), joint_score: float = 0.8) -> np.ndarray:
    """A person whose joints are in one place and whose box is 0.2 wide and 0.4 high around it (y, x)."""
    y, x = at
    return np.array([*[y, x, joint_score] * 17, y - 0.2, x - 0.1, y + 0.2, x + 0.1, score], np.float32)


def frames_of(path: Path, every: int, limit: int) -> Iterator[Frame]:
    with av.open(path) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index >= every * limit:
                return
            if index % every == 0:
                yield Frame(picture.to_ndarray(format="rgb24"), index, float(picture.time or 0))


def test_the_weights_are_the_ones_that_are_pinned() -> None:
    digest, name = (WEIGHTS.parent / "SHA256SUMS").read_text().split()
    assert name == WEIGHTS.name
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("size_wh", "padded_wh"),
    [((340, 256), (320, 256)), ((608, 1080), (192, 320)), ((64, 64), (320, 320)), ((1920, 1080), (320, 192))],
)
def test_a_picture_is_padded_to_the_stride_and_no_further(size_wh: tuple[int, int], padded_wh: tuple[int, int]) -> None:
    picture, per_px = fit_picture(np.full((size_wh[1], size_wh[0], 3), 255, np.uint8), 320)
    assert picture.shape == (padded_wh[1], padded_wh[0], 3)
    assert per_px == pytest.approx(320 / max(size_wh))
    inside = picture.min(axis=2) == 255
    assert inside[: round(size_wh[1] * per_px), : round(size_wh[0] * per_px)].all()
    assert inside.sum() == round(size_wh[1] * per_px) * round(size_wh[0] * per_px)


def test_rows_become_people_in_px_of_the_picture() -> None:
    people = read_people(np.stack([row(0.9, at=(0.25, 0.5))]), np.array([400, 200], np.float32), (400, 180))
    assert people.keypoints[0, 0].tolist() == [200, 50]
    assert people.boxes_xyxy[0].tolist() == pytest.approx([160, 10, 240, 90])
    assert people.scores[0] == pytest.approx(np.full(17, 0.8))


def test_boxes_end_at_the_rim_of_the_picture() -> None:
    people = read_people(np.stack([row(0.9, at=(0.9, 0.05))]), np.array([400, 200], np.float32), (400, 180))
    assert people.boxes_xyxy[0].tolist() == pytest.approx([0, 140, 60, 180])


def test_doubtful_rows_are_nobody() -> None:
    rows = np.stack([row(PERSON_THRESHOLD - 0.01), row(0.0)])
    assert len(read_people(rows, np.array([320, 320], np.float32), (320, 320))) == 0


def test_one_person_in_two_rows_counts_once_and_two_people_twice() -> None:
    rows = np.stack([row(0.5), row(0.9, at=(0.505, 0.505)), row(0.4, at=(0.5, 0.8))])
    people = read_people(rows, np.array([320, 320], np.float32), (320, 320))
    assert people.box_scores.tolist() == pytest.approx([0.9, 0.4])


@pytest.mark.parametrize("size", [0, 100, 333, 4096])
def test_a_size_that_the_network_cannot_take_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"size must be a multiple of 32 from 128 to 1024, not {size}"):
        pose_backend("movenet", size=size)


def test_people_in_photographs_are_where_coco_has_them(movenet: PoseBackend, shared: Path) -> None:
    notes = json.loads((shared / "images" / "coco" / "test_coco.json").read_text())
    similarities: list[float] = []
    for image in notes["images"]:
        people = [one for one in notes["annotations"] if one["image_id"] == image["id"] and one["num_keypoints"]]
        truth = np.array([one["keypoints"] for one in people], np.float32).reshape(-1, 17, 3)
        picture = cv2.cvtColor(cv2.imread(str(shared / "images" / "coco" / image["file_name"])), cv2.COLOR_BGR2RGB)
        (found,) = movenet.find([Frame(picture, 0, 0.0)])
        areas = np.array([one["area"] for one in people], np.float32)
        weights = (truth[:, :, 2] > 0).astype(np.float32)
        similarity = oks(truth[:, :, :2], found.keypoints, areas=areas, weights=weights)
        similarities += similarity[linear_sum_assignment(-similarity)].tolist()
    assert len(similarities) == 12
    assert np.mean(similarities) > 0.75  # 0.78 at the default size


def test_three_small_women_are_found_in_nearly_every_frame(movenet: PoseBackend, shared: Path) -> None:
    frames = list(frames_of(shared / "videos" / "felixchenfy_exercise.avi", every=16, limit=24))
    counts = [len(poses) for poses in movenet.find(frames)]
    assert counts.count(3) >= 0.95 * len(counts)


def test_an_empty_room_is_empty(movenet: PoseBackend, shared: Path) -> None:
    frames = list(frames_of(shared / "videos" / "intel_one_by_one_person.mp4", every=10, limit=12))
    counts = [len(poses) for poses in movenet.find(frames)]
    assert counts[:7] == [0] * 7
    assert counts[8:] == [1] * 4

"""What every backend must do, for each that can run here."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.layouts import LAYOUTS
from pipeline.pose import PoseBackend, pose_backend, pose_backend_names
from pipeline.values import Frame, Poses

CACHE = Path(__file__).resolve().parents[4] / "shared" / "weights"


def backends_that_can_run() -> Iterator[PoseBackend]:
    """Build what needs no download: the embedded ones, and those whose weights or packages happen to be here."""
    for name in pose_backend_names():
        with contextlib.suppress(ModelError):
            yield pose_backend(name, threads=1, cache=CACHE)


BACKENDS = tuple(backends_that_can_run())


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> PoseBackend:
    return request.param


def test_the_embedded_backend_can_always_run() -> None:
    assert "movenet" in [backend.name for backend in BACKENDS]


def test_a_light_backend_with_local_weights_can_run(shared: Path) -> None:
    assert "tinypose" in [backend.name for backend in BACKENDS]


@pytest.fixture
def grey() -> Frame:
    return Frame(np.full((120, 160, 3), 128, np.uint8), 0, 0.0)


@pytest.fixture(scope="module")
def skier(shared: Path) -> Frame:
    picture = cv2.imread(str(shared / "images" / "coco" / "000000000785.jpg"))
    return Frame(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), 0, 0.0)


def assert_well_formed(poses: Poses, backend: PoseBackend) -> None:
    M, V = len(poses), len(backend.layout)
    assert poses.keypoints.shape == (M, V, 2)
    assert poses.scores.shape == (M, V)
    assert poses.boxes_xyxy.shape == (M, 4)
    assert poses.box_scores.shape == poses.track_ids.shape == (M,)
    floats = (poses.keypoints, poses.scores, poses.boxes_xyxy, poses.box_scores)
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in floats)
    assert all(((values >= 0) & (values <= 1)).all() for values in (poses.scores, poses.box_scores))
    assert poses.track_ids.tolist() == [-1] * M


def test_it_says_what_it_is(backend: PoseBackend) -> None:
    assert backend.name in pose_backend_names()
    assert backend.layout is LAYOUTS[backend.layout.name]
    assert backend.detect_every >= 1
    assert backend.max_side is None or backend.max_side >= 128


def test_nobody_is_an_empty_value(backend: PoseBackend, grey: Frame) -> None:
    (poses,) = backend.find([grey])
    assert len(poses) == 0
    assert_well_formed(poses, backend)


def test_no_frames_give_no_answers(backend: PoseBackend) -> None:
    assert backend.find([]) == []
    assert backend.follow([], []) == []


def test_nobody_to_follow_is_an_empty_value(backend: PoseBackend, grey: Frame) -> None:
    poses = backend.follow([grey, grey], [np.zeros((0, 4), np.float32)] * 2)
    assert [len(one) for one in poses] == [0, 0]


def test_a_person_is_found_with_the_head_above_the_feet(backend: PoseBackend, skier: Frame) -> None:
    (poses,) = backend.find([skier])
    assert_well_formed(poses, backend)
    assert len(poses) == 1
    joints = dict(zip(backend.layout.joints, poses.keypoints[0], strict=True))
    assert joints["nose"][1] < joints["left_hip"][1] < joints["left_knee"][1] < joints["left_ankle"][1]
    x1, y1, x2, y2 = poses.boxes_xyxy[0]
    assert [x1, y1, x2, y2] == pytest.approx([281, 45, 500, 392], abs=25)  # COCO's annotation


def test_frames_at_once_are_the_same_as_one_by_one(backend: PoseBackend, skier: Frame, grey: Frame) -> None:
    mirrored = Frame(np.ascontiguousarray(skier.image[:, ::-1]), 1, 0.1)
    frames = [skier, grey, mirrored]
    for together, (alone,) in zip(backend.find(frames), (backend.find([frame]) for frame in frames), strict=True):
        assert len(together) == len(alone)
        assert together.keypoints == pytest.approx(alone.keypoints, abs=0.05)


def test_following_a_person_agrees_with_finding_them(backend: PoseBackend, skier: Frame) -> None:
    (found,) = backend.find([skier])
    (followed,) = backend.follow([skier], [found.boxes_xyxy])
    assert_well_formed(followed, backend)
    assert followed.keypoints == pytest.approx(found.keypoints, abs=0.05)


def test_frames_are_not_written_to(backend: PoseBackend, skier: Frame) -> None:
    before = skier.image.copy()
    backend.find([skier])
    assert np.array_equal(skier.image, before)


@pytest.mark.parametrize(("width", "height"), [(1, 33), (33, 257), (257, 64), (64, 1)])
def test_pictures_of_any_shape_are_taken(backend: PoseBackend, width: int, height: int) -> None:
    (poses,) = backend.find([Frame(np.zeros((height, width, 3), np.uint8), 0, 0.0)])
    assert_well_formed(poses, backend)

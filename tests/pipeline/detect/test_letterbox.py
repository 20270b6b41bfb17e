import numpy as np
import pytest

from pipeline.detect.letterbox import GREY, box_iou, fit_boxes, keep, letterbox
from pipeline.values import Detections


@pytest.mark.parametrize(
    ("size_wh", "fitted_wh"), [((640, 480), (320, 240)), ((480, 640), (240, 320)), ((80, 40), (320, 160))]
)
def test_a_picture_keeps_its_shape_and_the_rest_is_grey(size_wh: tuple[int, int], fitted_wh: tuple[int, int]) -> None:
    image = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    padded, per_px = letterbox(image, (320, 320))
    assert padded.shape == (320, 320, 3)
    assert per_px == pytest.approx(fitted_wh[0] / size_wh[0])
    assert (padded[: fitted_wh[1], : fitted_wh[0]] == 255).all()
    assert (padded == 255).all(axis=2).sum() == fitted_wh[0] * fitted_wh[1]
    assert (padded[padded.min(axis=2) < 255] == GREY).all()


def test_a_picture_of_one_line_still_fits() -> None:
    assert letterbox(np.zeros((1, 2000, 3), np.uint8), (320, 320))[0].shape == (320, 320, 3)


def test_boxes_come_back_onto_the_picture_and_are_cut_at_its_rim() -> None:
    found = Detections(np.array([[-10, 20, 100, 400]], np.float32), np.array([0.9], np.float32))
    fitted = fit_boxes(found, per_px=0.5, size_wh=(640, 480))
    assert fitted.boxes_xyxy.tolist() == [[0, 40, 200, 480]]


def test_a_box_with_nothing_inside_the_picture_is_dropped() -> None:
    found = Detections(np.array([[330, 20, 350, 60]], np.float32), np.array([0.9], np.float32))
    assert len(fit_boxes(found, per_px=0.5, size_wh=(640, 480))) == 0


def test_nobody_stays_nobody() -> None:
    assert len(fit_boxes(Detections.empty(), per_px=0.5, size_wh=(640, 480))) == 0


def test_what_is_kept_comes_surest_first() -> None:
    found = Detections(np.arange(12, dtype=np.float32).reshape(3, 4), np.array([0.2, 0.9, 0.5], np.float32))
    kept = keep(found, np.array([True, True, False]))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.2])
    assert kept.boxes_xyxy[0].tolist() == [4, 5, 6, 7]


def test_the_overlap_of_boxes_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]], np.float32)
    overlap = box_iou(boxes, boxes)
    assert overlap[0, 0] == 1
    assert overlap[0, 1] == pytest.approx(50 / 150)
    assert overlap[0, 2] == 0
    assert overlap[3, 3] == 0

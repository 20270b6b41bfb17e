from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detect import RtmDet
from pipeline.onnx import OnnxModel
from pipeline.values import Frame

ConstantModel = Callable[..., OnnxModel]
PICTURE = Frame(np.zeros((240, 320, 3), np.uint8), 0, 0.0)


def answer(rows: list[list[float]], labels: list[int]) -> dict[str, np.ndarray]:
    dets = np.array([rows], np.float32).reshape(1, len(rows), 5)
    return {"dets": dets, "labels": np.array([labels], np.int64).reshape(1, -1)}


def test_people_come_surest_first_and_doubtful_or_other_things_not_at_all(constant_model: ConstantModel) -> None:
    rows = [[0, 0, 10, 20, 0.5], [50, 50, 90, 120, 0.9], [1, 1, 5, 5, 0.1], [5, 5, 99, 99, 0.95]]
    model = constant_model((1, 3, 320, 320), answer(rows, [0, 0, 0, 1]))
    (found,) = RtmDet(model).find([PICTURE])
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.boxes_xyxy.tolist() == [[50, 50, 90, 120], [0, 0, 10, 20]]


def test_no_box_is_nobody_and_no_frame_is_no_answer(constant_model: ConstantModel) -> None:
    detector = RtmDet(constant_model((1, 3, 320, 320), answer([], [])))
    assert [len(found) for found in detector.find([PICTURE, PICTURE])] == [0, 0]
    assert detector.find([]) == []


def test_a_fixed_input_sets_the_size_and_refuses_another(constant_model: ConstantModel) -> None:
    model = constant_model((1, 3, 320, 320), answer([], []))
    assert RtmDet(model).max_side == 320
    with pytest.raises(ValueError, match="320 x 320, so size cannot be 640"):
        RtmDet(model, size=640)


def test_a_free_input_takes_multiples_of_the_stride(constant_model: ConstantModel) -> None:
    model = constant_model((1, 3, "height", "width"), answer([], []))
    assert RtmDet(model, size=416).max_side == 416
    with pytest.raises(ValueError, match="multiple of 32, not 400"):
        RtmDet(model, size=400)


def test_the_people_of_a_photograph_are_found(shared: Path) -> None:
    detector = RtmDet(OnnxModel(shared / "weights" / "rtmdet-nano-person-320.onnx", threads=1))
    picture = cv2.imread(str(shared / "images" / "coco" / "000000000785.jpg"))[:, :, ::-1]
    (found,) = detector.find([Frame(np.ascontiguousarray(picture), 0, 0.0)])
    assert len(found) == 1
    assert found.boxes_xyxy[0] == pytest.approx([281, 45, 500, 392], abs=15)  # COCO's annotation

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import WeightsMissing
from pipeline.onnx import OnnxModel
from pipeline.pose import pose_backend
from pipeline.pose.crops import CropSpec, cut_crop, place_crops
from pipeline.pose.simcc import read_simcc
from pipeline.pose.topdown import MEAN_RGB, STD_RGB, Estimator, TopDown
from pipeline.values import Detections, Frame


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    return shared / "parity" / "rtmpose_t"


@pytest.fixture(scope="module")
def reference(parity: Path) -> dict[str, np.ndarray]:
    """What MMPose's ``inference_topdown`` made of the picture; OpenCV 4 and 5 warp differently."""
    return dict(np.load(parity / f"ref_cv{cv2.__version__.partition('.')[0]}.npz"))


@pytest.fixture(scope="module")
def picture(parity: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(parity / "img.png")), cv2.COLOR_BGR2RGB)


def test_crops_are_those_of_mmpose(picture: np.ndarray, reference: dict[str, np.ndarray]) -> None:
    placement = place_crops(reference["bboxes_xyxy"], CropSpec())
    for index, expected in enumerate(reference["net_input"]):
        crop = cut_crop(picture, placement.scales[index], placement.offsets[index], CropSpec())
        assert np.abs(((crop - MEAN_RGB) / STD_RGB).transpose(2, 0, 1) - expected).max() < 1e-5


def test_decoding_is_that_of_mmpose(reference: dict[str, np.ndarray]) -> None:
    joints, _ = read_simcc({name: reference[name] for name in ("simcc_x", "simcc_y")}, (192, 256))
    placement = place_crops(reference["bboxes_xyxy"], CropSpec())
    assert placement.to_picture(joints) == pytest.approx(reference["kpts_flip0"], abs=1e-3)


def test_joints_are_those_of_mmpose_from_picture_to_keypoints(
    parity: Path, picture: np.ndarray, reference: dict[str, np.ndarray]
) -> None:
    class Nobody:
        max_side = 320

        def find(self, frames: list[Frame]) -> list[Detections]:
            return [Detections.empty() for _ in frames]

    estimator = Estimator(OnnxModel(parity / "rtmpose_t.onnx", threads=1), read_simcc)
    backend = TopDown("rtmpose-t", Nobody(), estimator)
    (poses,) = backend.follow([Frame(picture, 0, 0.0)], [reference["bboxes_xyxy"]])
    assert poses.keypoints == pytest.approx(reference["kpts_flip0"], abs=0.1)
    assert poses.scores == pytest.approx(np.clip(reference["scores_flip0"], 0, 1), abs=1e-3)


@pytest.mark.parametrize("name", ["rtmpose-t", "rtmpose-s", "rtmpose-m"])
def test_missing_weights_say_how_to_pull_them(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=rf"{name}.*is not there: run `marey models pull {name}`"):
        pose_backend(name, cache=tmp_path)


def test_weights_that_were_altered_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rtmdet-nano-person.onnx").write_bytes(b"something else")
    with pytest.raises(
        WeightsMissing, match=r"is not the file expected \(sha256 8297e829.*marey models pull rtmpose-s"
    ):
        pose_backend("rtmpose-s", cache=tmp_path)

import itertools
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import WeightsMissing
from pipeline.pose import pose_backend
from pipeline.pose.duplicates import oks
from pipeline.values import Frame


def test_weights_that_nobody_publishes_must_be_put_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"rtmdet-nano-person-320\.onnx, which is not there: put it there"):
        pose_backend("tinypose", cache=tmp_path)


def test_three_small_women_are_three(shared: Path) -> None:
    backend = pose_backend("tinypose", threads=2, cache=shared / "weights")
    with av.open(shared / "videos" / "felixchenfy_exercise.avi") as container:
        pictures = itertools.islice(container.decode(video=0), 0, 120, 12)
        frames = [Frame(picture.to_ndarray(format="rgb24"), 0, 0.0) for picture in pictures]
    counts = [len(poses) for poses in backend.find(frames)]
    assert counts.count(3) >= 0.9 * len(counts)


def test_people_in_photographs_are_where_coco_has_them(shared: Path) -> None:
    backend = pose_backend("tinypose", threads=2, cache=shared / "weights")
    notes = json.loads((shared / "images" / "coco" / "test_coco.json").read_text())
    best: list[float] = []
    for image in notes["images"]:
        people = [one for one in notes["annotations"] if one["image_id"] == image["id"] and one["num_keypoints"]]
        truth = np.array([one["keypoints"] for one in people], np.float32).reshape(-1, 17, 3)
        picture = cv2.cvtColor(cv2.imread(str(shared / "images" / "coco" / image["file_name"])), cv2.COLOR_BGR2RGB)
        (found,) = backend.find([Frame(picture, 0, 0.0)])
        areas = np.array([one["area"] for one in people], np.float32)
        weights = (truth[:, :, 2] > 0).astype(np.float32)
        best += oks(truth[:, :, :2], found.keypoints, areas=areas, weights=weights).max(axis=1).tolist()
    assert len(best) == 12
    assert np.mean(best) > 0.89  # 0.907 in the reference measurement of these weights

"""Weights of PoseC3D from elsewhere say here what they say there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.registry import build
from models.volumes import VolumeRecogniser
from pipeline.errors import DataError
from pipeline.layouts import LAYOUTS
from training.importers.keys import load
from training.importers.registry import importer_for

FOLDER = Path("parity") / "mmaction2_posec3d_slowonly"


@pytest.fixture
def checkpoint(shared: Path) -> dict[str, Tensor]:
    halves: dict[str, Tensor] = torch.load(shared / FOLDER / "state_dict.pt", weights_only=True)
    return {key: value.float() for key, value in halves.items()}


@pytest.fixture
def model() -> VolumeRecogniser:
    recogniser = build("posec3d", layout=LAYOUTS["coco17"], num_classes=60).eval()
    assert isinstance(recogniser, VolumeRecogniser)
    return recogniser


@pytest.mark.parametrize("source", ["mmaction2", "pyskl"])
def test_logits_are_those_of_mmaction2(
    source: str, checkpoint: dict[str, Tensor], model: VolumeRecogniser, shared: Path
) -> None:
    load(importer_for(source, "posec3d")(checkpoint), model)
    volumes = torch.from_numpy(np.load(shared / FOLDER / "input.npy").astype(np.float32))
    with torch.no_grad():
        logits = model.recognise(volumes)
    np.testing.assert_allclose(logits, np.load(shared / FOLDER / "output.npy"), atol=1e-4)


def test_keys_that_do_not_fit_are_named(checkpoint: dict[str, Tensor], model: VolumeRecogniser) -> None:
    importer = importer_for("mmaction2", "posec3d")
    with pytest.raises(DataError, match=r"unexpected backbone\.layer1\.0\.conv9\.weight \[2\]"):
        importer({**checkpoint, "backbone.layer1.0.conv9.weight": torch.zeros(2)})
    del checkpoint["backbone.layer2.3.conv2.conv.weight"]
    checkpoint["cls_head.fc_cls.bias"] = torch.zeros(7)
    with pytest.raises(DataError) as refusal:
        load(importer(checkpoint), model)
    assert "missing backbone.stage2.3.branch.look.conv.weight" in str(refusal.value)
    assert "classify.bias: expected [60], got [7]" in str(refusal.value)

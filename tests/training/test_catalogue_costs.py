"""What recognisers cost, against what their papers and other implementations count."""

import pytest
import torch

from models.registry import build
from pipeline.layouts import COCO17, NTU25, Layout
from training.catalogue import count_macs

NUM_CLASSES, NUM_PEOPLE, NUM_CHANNELS = 60, 2, 3


# A network with its default options, frames of a clip of two people, millions of parameters, billions of multiply-adds:
# of MMAction2's model zoo (one of the ten clips of its tests), and of PoseC3D's paper.
REFERENCES: tuple[tuple[str, Layout, int, float, float], ...] = (
    ("stgcn", COCO17, 100, 3.1, 3.82),
    ("stgcn", NTU25, 100, 3.1, 5.71),
    ("agcn", COCO17, 100, 3.5, 4.4),
    ("agcn", NTU25, 100, 3.5, 6.5),
    ("stgcnpp", COCO17, 100, 1.39, 1.95),
    ("stgcnpp", NTU25, 100, 1.4, 2.96),
    ("posec3d", COCO17, 48, 2.0, 15.9),
)


@pytest.mark.parametrize(
    ("architecture", "layout", "num_frames", "millions", "billions"),
    REFERENCES,
    ids=[f"{architecture} {layout.name}" for architecture, layout, *_ in REFERENCES],
)
def test_parameters_and_multiply_adds_are_those_of_the_reference(
    architecture: str, layout: Layout, num_frames: int, millions: float, billions: float
) -> None:
    with torch.device("meta"):
        model = build(
            architecture,
            layout=layout,
            num_classes=NUM_CLASSES,
            num_channels=NUM_CHANNELS,
            num_people=NUM_PEOPLE,
        )
    model = model.eval().to("meta")
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.015)
    macs = count_macs(model, (1, num_frames, NUM_PEOPLE, len(layout), NUM_CHANNELS))
    assert macs / 1e9 == pytest.approx(billions, rel=0.05)

"""What the recognisers of volumes share: shapes, and explanations by class activation under the joints."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.registry import Task
from models.volumes import ConvNorm, VolumeConfig, VolumeRecogniser
from pipeline.layouts import LAYOUTS

COCO17 = LAYOUTS["coco17"]


class Shrunk(nn.Module):
    """A backbone that can be followed by hand: means over strides, and their squares."""

    def __init__(self, strides: tuple[int, int]) -> None:
        super().__init__()
        self.strides = strides

    def forward(self, volumes: Tensor) -> Tensor:
        time, side = self.strides
        frames, rows = -volumes.shape[2] % time, -volumes.shape[3] % side
        padded = F.pad(volumes, (0, rows, 0, rows, 0, frames))
        pooled = F.avg_pool3d(padded, (time, side, side))
        return torch.cat([pooled, pooled.square()], dim=1)


def recogniser(strides: tuple[int, int] = (2, 4), **options: object) -> VolumeRecogniser:
    torch.manual_seed(0)
    config = VolumeConfig(**{"size": 16, "fit": "box", **options})
    task = Task(layout=COCO17, num_classes=3)
    num_channels = {"joint": 17, "limb": 17, "both": 34}[config.volumes]
    return VolumeRecogniser(task, config, lambda _: Shrunk(strides), channels=2 * num_channels, strides=strides).eval()


def standing(num_frames: int = 7) -> Tensor:
    """Someone who does not move."""
    pose = torch.rand(1, 1, 1, 17, 3, generator=torch.Generator().manual_seed(1)) * 2 + 0.1
    return pose.repeat(1, num_frames, 1, 1, 1)


def test_activation_adds_up_to_the_winners_lead() -> None:
    model, volumes = recogniser(), torch.rand(2, 17, 6, 16, 16)
    features = model.backbone(volumes)
    logits = model.recognise(volumes)
    lead = model.classify.weight[logits.argmax(dim=1)] - model.classify.weight.mean(dim=0)
    places = torch.einsum("nc,ncthw->nthw", lead, features)
    torch.testing.assert_close(model._activation(features, logits), places.abs())
    bias = model.classify.bias[logits.argmax(dim=1)] - model.classify.bias.mean()
    torch.testing.assert_close(places.mean(dim=(1, 2, 3)) + bias, logits.amax(dim=1) - logits.mean(dim=1))


@pytest.mark.parametrize("strides", [(1, 4), (2, 8), (2, 5), (4, 16)])
@pytest.mark.parametrize("num_frames", [1, 7, 8])
@pytest.mark.parametrize("volumes", ["joint", "limb", "both"])
def test_an_explanation_fits_any_strides_and_length(strides: tuple[int, int], num_frames: int, volumes: str) -> None:
    logits, frames, joints = recogniser(strides, volumes=volumes).explain(standing(num_frames))
    assert (logits.shape, frames.shape, joints.shape) == ((1, 3), (1, num_frames), (1, 17))
    torch.testing.assert_close(frames.sum(), torch.tensor(1.0))
    torch.testing.assert_close(joints.sum(), torch.tensor(1.0))


def test_a_joint_that_moves_explains_more_than_those_that_do_not() -> None:
    clip = standing()
    clip[0, 3, 0, COCO17.index("left_wrist"), :2] -= 1.5
    _, frames, joints = recogniser().explain(clip)
    assert joints.argmax() == COCO17.index("left_wrist")
    assert joints.max() > 0.99
    assert frames.argmax() == 3


def test_a_limb_that_moves_is_explained_by_the_joint_at_its_end() -> None:
    clip = standing()
    clip[0, 3, 0, COCO17.index("left_elbow"), :2] -= 1.5
    _, _, joints = recogniser(volumes="limb").explain(clip)
    moved = joints.argsort(dim=1, descending=True)[0, :3].tolist()
    assert moved[0] == COCO17.index("left_elbow")
    assert set(moved[1:]) == {COCO17.index("left_wrist"), COCO17.index("left_shoulder")}


@pytest.mark.parametrize("size", [14, 7, 1])
def test_convolutions_keep_the_size_but_for_their_stride(size: int) -> None:
    x = torch.randn(1, 4, 5, size, size)
    assert ConvNorm(4, 6, (3, 3, 3))(x).shape == (1, 6, 5, size, size)
    assert ConvNorm(4, 6, (1, 7, 7), stride=(2, 2, 2))(x).shape == (1, 6, 3, -(-size // 2), -(-size // 2))


def test_a_linear_one_lets_negative_values_pass() -> None:
    x = torch.randn(2, 4, 3, 5, 5)
    assert ConvNorm(4, 4, (1, 1, 1), linear=True)(x).min() < 0
    assert ConvNorm(4, 4, (1, 1, 1))(x).min() == 0

"""The shared layers against slow loops, and the options that all their users have."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import InputNorm, MultiScaleConv
from models.registry import Task, build
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]
USERS = ("agcn", "ctrgcn", "stgcnpp")

every_user = pytest.mark.parametrize("name", USERS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("stride", "num_frames"), [(1, 7), (2, 7), (2, 8)])
def test_multi_scale_convolution_looks_in_all_its_ways(stride: int, num_frames: int) -> None:
    dilations, widths = (1, 3), [4, 2, 2, 2]
    layer = MultiScaleConv(8, widths, kernel=3, dilations=dilations, stride=stride).eval()
    x = torch.randn(2, 8, num_frames, 5)
    entered = F.relu(layer.enter(x))
    centres = range(0, num_frames, stride)

    def frame(values: Tensor, time: int) -> Tensor:
        return values[:, :, time] if 0 <= time < num_frames else torch.zeros_like(values[:, :, 0])

    looks = []
    for part, dilation, window in zip(entered[:, :6].split(widths[:2], dim=1), dilations, layer.windows, strict=True):
        y = torch.zeros(2, part.shape[1], len(centres), 5) + window.bias[:, None, None]
        for (place, centre), tap in product(enumerate(centres), range(3)):
            y[:, :, place] += torch.einsum(
                "oc,bcv->bov", window.weight[:, :, tap, 0], frame(part, centre + dilation * (tap - 1))
            )
        looks.append(y)
    looks.append(F.max_pool2d(entered[:, 6:], (3, 1), (stride, 1), (1, 0)))
    looks.append(layer.alone(x))
    torch.testing.assert_close(layer(x), layer.norm(torch.cat(looks, dim=1)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("people_apart", [False, True])
def test_input_norm_makes_every_joint_of_a_clip_alike(people_apart: bool) -> None:
    task = Task(layout=PENN13, num_classes=2, num_people=2)
    x = torch.randn(4, 50, 2, 13, 3) * torch.arange(1, 14)[:, None] + torch.tensor([5, -5])[:, None, None]
    y = InputNorm(task, people_apart=people_apart)(x).unflatten(0, (4, 2))  # [N, M, C, T, V]
    axes = (0, 3) if people_apart else (0, 1, 3)
    torch.testing.assert_close(y.mean(dim=axes), torch.zeros_like(y.mean(dim=axes)), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(dim=axes, correction=0), torch.ones_like(y.mean(dim=axes)), atol=1e-3, rtol=0)


def test_input_norm_keeps_people_frames_and_joints_in_place() -> None:
    norm = InputNorm(Task(layout=PENN13, num_classes=2, num_people=2), people_apart=True).eval()
    x = torch.randn(3, 6, 2, 13, 3)
    torch.testing.assert_close(norm(x).unflatten(0, (3, 2)).permute(0, 3, 1, 4, 2), x, atol=1e-4, rtol=1e-4)


@every_user
@pytest.mark.parametrize(
    "options",
    [
        {"streams": ("bone",)},
        {"streams": ("joint", "bone", "joint_motion", "bone_motion")},
        {"widths": (1, 2), "strides": (1, 2)},
        {"dropout": 0.5},
        {"people": "present"},
        {"num_coordinates": 3},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_shared_option_builds(name: str, options: dict[str, object]) -> None:
    small = {"base_channels": 8, "widths": (1, 2, 2), "strides": (1, 2, 1), **options}
    model = build(name, layout=PENN13, num_classes=4, num_people=2, options=small)
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()


@every_user
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"streams": ("face",)}, "expected one or more of joint"),
        ({"strides": (1, 2)}, "10 widths and 2 strides"),
        ({"people": "all"}, "expected 'mean' or 'present'"),
    ],
)
def test_shared_options_that_make_no_sense_are_refused(name: str, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build(name, layout=PENN13, num_classes=4, options=options)


@pytest.mark.parametrize(("people", "alike"), [("present", True), ("mean", False)])
def test_someone_absent_counts_only_in_the_plain_mean(people: str, alike: bool) -> None:
    options = {"base_channels": 8, "widths": (1, 2), "strides": (1, 2), "people": people}
    model = build("stgcnpp", layout=PENN13, num_classes=4, options=options).eval()
    nn.init.normal_(model.get_parameter("backbones.0.classify.weight"))
    alone = torch.randn(2, 12, 1, 13, 3)
    with_nobody = torch.cat([alone, torch.zeros_like(alone)], dim=2)
    assert torch.allclose(model(alone), model(with_nobody), atol=1e-5) == alike

"""AM-STGCN's attention against slow loops written from the equations, and networks of its tables."""

import re
from itertools import product
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from models.am_stgcn import NonLocal, max_of_windows
from models.registry import build
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]
Attention = tuple[tuple[int, str, int], ...]
# Rows of tables 2 to 6 of each kind.
NETWORKS: tuple[Attention, ...] = (
    ((1, "s", 1),),
    ((9, "s", 1),),
    ((3, "t", 3),),
    ((2, "s", 2), (3, "s", 2)),
    ((2, "s", 1), (2, "t", 2)),
    ((2, "s", 2), (3, "t", 3)),
)

M = TypeVar("M", bound=nn.Module)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def disturbed(module: M) -> M:
    """Give weights that are not those of a fresh one, which changes nothing."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def attended(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return what one place takes from the others, eq. (1), by the exponentials of similarities, eq. (3)."""
    similarity = torch.stack([(query * key).sum() for key in keys]).exp()
    return sum((share * value for share, value in zip(similarity / similarity.sum(), values, strict=True)), keys * 0)[0]


def test_after_the_temporal_convolution_each_place_attends_to_windows_of_all() -> None:
    block, x = disturbed(NonLocal(8, over_time=True)), torch.randn(2, 8, 5, 13)
    theta, (phi, g) = block.theta(x), block.phi_g(x).chunk(2, dim=1)
    y = torch.zeros_like(theta)
    for clip in range(2):
        windows = [(slice(t, t + 2), slice(v, v + 2)) for t, v in product(range(0, 5, 2), range(0, 13, 2))]
        keys = torch.stack([phi[clip][:, frames, joints].amax(dim=(1, 2)) for frames, joints in windows])
        values = torch.stack([g[clip][:, frames, joints].amax(dim=(1, 2)) for frames, joints in windows])
        for t, v in product(range(5), range(13)):
            y[clip, :, t, v] = attended(theta[clip, :, t, v], keys, values)
    expected = x + block.norm(block.restore(y))  # Eq. (6)
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=1e-4)


def test_after_the_spatial_convolution_joints_of_a_frame_attend_to_each_other() -> None:
    block, x = disturbed(NonLocal(8, over_time=False)), torch.randn(2, 8, 5, 13)
    theta, (phi, g) = block.theta(x), block.phi_g(x).chunk(2, dim=1)
    y = torch.zeros_like(theta)
    for clip, t, v in product(range(2), range(5), range(13)):
        y[clip, :, t, v] = attended(theta[clip, :, t, v], phi[clip, :, t].t(), g[clip, :, t].t())
    expected = x + block.norm(block.restore(y))  # Eq. (6)
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=1e-4)


def test_a_new_block_changes_nothing() -> None:
    x = torch.randn(2, 8, 5, 13)
    torch.testing.assert_close(NonLocal(8, over_time=True)(x), x)


@pytest.mark.parametrize(("num_frames", "num_joints"), [(4, 6), (5, 13), (1, 1)])
def test_windows_that_stick_out_count(num_frames: int, num_joints: int) -> None:
    x = torch.randn(2, 3, num_frames, num_joints)
    torch.testing.assert_close(max_of_windows(x), nn.functional.max_pool2d(x, 2, ceil_mode=True))


def blocks_by_place(model: nn.Module) -> Attention:
    """Find the attention blocks of a network: layer from 1, after which convolution, how many."""
    found = [re.search(r"blocks\.(\d)\.(spatial|temporal)\.", name) for name in block_names(model)]
    places = [(int(match[1]) + 1, match[2][0]) for match in found if match]
    return tuple((*place, places.count(place)) for place in dict.fromkeys(places))


def block_names(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, NonLocal)]


@pytest.mark.parametrize("attention", NETWORKS, ids=str)
def test_blocks_follow_the_convolutions_that_they_are_asked_for(attention: Attention) -> None:
    options = {"base_channels": 8, "attention": attention}
    model = build("am_stgcn", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert blocks_by_place(model) == attention
    assert model(torch.randn(1, 8, 2, 13, 3)).isfinite().all()


def test_the_best_network_is_the_default() -> None:
    assert blocks_by_place(build("am_stgcn", layout=PENN13, num_classes=4)) == ((3, "t", 3),)


def test_the_channel_attentions_of_table_7_are_there_too() -> None:
    options = {"base_channels": 16, "channel_attention": "cbam", "attention": ()}
    model = build("am_stgcn", layout=PENN13, num_classes=4, options=options)
    assert model(torch.randn(1, 8, 1, 13, 3)).isfinite().all()
    assert not block_names(model)


@pytest.mark.parametrize("attention", [((10, "t", 1),), ((0, "t", 1),), ((3, "v", 1),), ((3, "t", 0),)])
def test_attention_where_there_is_no_layer_is_refused(attention: Attention) -> None:
    with pytest.raises(ValueError, match=r"expected a layer from 1 to 9, one of s, t, and 1 block or more"):
        build("am_stgcn", layout=PENN13, num_classes=4, options={"attention": attention})

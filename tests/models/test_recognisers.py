"""What every recogniser must do, whatever its architecture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.registry import Recogniser, build, names
from pipeline.layouts import LAYOUTS, Layout

GOLDEN = Path(__file__).parent / "golden"
# Options that make a recogniser small enough to be built many times, where it is not this.
NARROW: dict[str, object] = {"base_channels": 8}
FEW_BLOCKS = {**NARROW, "widths": (1, 2, 2), "strides": (1, 2, 1)}
TWO_BLOCKS = {**NARROW, "widths": (1, 2), "strides": (1, 2)}
SMALL: dict[str, dict[str, object]] = {
    **dict.fromkeys(("agcn", "ctrgcn", "stgcnpp"), FEW_BLOCKS),
    **dict.fromkeys(("msg3d", "amanet"), TWO_BLOCKS),
    "posec3d": {"base_channels": 4, "size": 16, "blocks": (1, 2, 1)},
    "starnet3d": {"base_channels": 4, "size": 16, "blocks": (1, 2, 1)},
    "x3d": {"base_channels": 4, "size": 16, "blocks": (1, 2, 1)},
}

every_recogniser = pytest.mark.parametrize("name", names())
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def small(name: str, layout: Layout = LAYOUTS["penn13"], **options: object) -> Recogniser:
    torch.manual_seed(0)
    return build(name, layout=layout, num_classes=5, num_people=2, options={**SMALL.get(name, NARROW), **options})


def random_clips(layout: Layout, *, num_clips: int = 3, num_frames: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num_clips, num_frames, 2, len(layout), 3, generator=generator)


@every_recogniser
@every_layout
def test_any_number_of_clips_and_frames_gives_a_logit_a_class(name: str, layout: Layout) -> None:
    model = small(name, layout).eval()
    for num_clips, num_frames in ((3, 16), (1, 9), (0, 16)):
        clips = random_clips(layout, num_clips=num_clips, num_frames=num_frames)
        assert model(clips).shape == (num_clips, 5)


@every_recogniser
@every_layout
def test_an_explanation_shares_the_answer_out_among_frames_and_joints(name: str, layout: Layout) -> None:
    model, clips = small(name, layout).eval(), random_clips(layout)
    logits, frames, joints = model.explain(clips)
    torch.testing.assert_close(logits, model(clips))
    assert (frames.shape, joints.shape) == ((3, 16), (3, len(layout)))
    for shares in (frames, joints):
        assert shares.min() >= 0
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))


@every_recogniser
def test_an_explanation_needs_no_gradients_from_its_caller_and_leaves_none(name: str) -> None:
    model = small(name).eval()
    with torch.no_grad():
        explained = model.explain(random_clips(LAYOUTS["penn13"]))
    assert not any(output.requires_grad for output in explained)
    assert all(parameter.grad is None for parameter in model.parameters())


@every_recogniser
def test_someone_who_stands_still_is_explained_by_all_frames_alike(name: str) -> None:
    clips = random_clips(LAYOUTS["penn13"])[:, :1].repeat(1, 16, 1, 1, 1)
    _, frames, joints = small(name).eval().explain(clips)
    torch.testing.assert_close(frames, torch.full((3, 16), 1 / 16), atol=1e-3, rtol=0)
    torch.testing.assert_close(joints, torch.full((3, 13), 1 / 13), atol=1e-3, rtol=0)


@every_recogniser
def test_clips_do_not_see_each_other(name: str) -> None:
    model, clips = small(name).eval(), random_clips(LAYOUTS["penn13"])
    together = model(clips)
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@every_recogniser
def test_gradients_reach_every_parameter(name: str) -> None:
    model = small(name)
    for parameter in model.parameters():
        if parameter.abs().max() < 1e-5:
            # It begins at zero on purpose, and would hide what lies before it.
            nn.init.uniform_(parameter, 0.5, 1.5)
    F.cross_entropy(model(random_clips(LAYOUTS["penn13"])), torch.tensor([0, 1, 2])).backward()
    reached = {key: value.grad is not None and bool(value.grad.abs().sum()) for key, value in model.named_parameters()}
    # A bias in front of a batch norm has no gradient but rounding, which may be none at all.
    reached |= {key: value.grad is not None for key, value in model.named_parameters() if key.endswith(".bias")}
    assert [key for key, is_reached in reached.items() if not is_reached] == []


@every_recogniser
def test_the_first_losses_are_those_on_record(name: str) -> None:
    # A change of the numbers is a change of the model: look for the reason before writing new ones.
    losses = first_losses(small(name), num_steps=20)
    np.testing.assert_allclose(losses, np.loadtxt(GOLDEN / f"{name}.txt"), rtol=2e-3)


def first_losses(model: nn.Module, *, num_steps: int) -> list[float]:
    """Take seeded SGD steps on random clips, in double precision: 20 steps would make much of a float's rounding."""
    model = model.double()
    generator = torch.Generator().manual_seed(2)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)
    losses = []
    for _ in range(num_steps):
        clips = torch.randn(4, 12, 2, 13, 3, generator=generator, dtype=torch.float64)
        labels = torch.tensor([0, 1, 2, 3])
        loss = F.cross_entropy(model(clips + labels.view(4, 1, 1, 1, 1)), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimiser.step()
        losses.append(loss.item())
    return losses

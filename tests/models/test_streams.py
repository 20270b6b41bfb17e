"""Bones and motion against loops, and against what MMAction2 and PYSKL make of the same clips."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from models.registry import build
from models.streams import CONVENTIONS, STREAMS, bones, check_convention, check_streams, motion, parents_of, stream_of
from pipeline.layouts import COCO17, HAND21, KINECT20, LAYOUTS, NTU25, OPENPOSE18, PENN13, Layout

PARENTS = torch.tensor(COCO17.parents)


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.randn(2, 5, 2, 17, 3, generator=torch.Generator().manual_seed(0))


def test_a_bone_is_a_joint_minus_its_parent_and_zero_at_the_centre(clips: torch.Tensor) -> None:
    expected = torch.zeros_like(clips)
    for child, parent in COCO17.bone_indices:
        expected[..., child, :] = clips[..., child, :] - clips[..., parent, :]
    assert torch.equal(bones(clips, PARENTS), expected)


def test_motion_is_the_next_frame_minus_this_one_and_zero_at_the_last(clips: torch.Tensor) -> None:
    expected = torch.zeros_like(clips)
    for frame in range(clips.shape[1] - 1):
        expected[:, frame] = clips[:, frame + 1] - clips[:, frame]
    assert torch.equal(motion(clips), expected)


@pytest.mark.parametrize("name", STREAMS)
def test_scores_stay_as_they_are(name: str, clips: torch.Tensor) -> None:
    stream = stream_of(clips, name, parents=PARENTS, num_coordinates=2)
    assert torch.equal(stream[..., 2], clips[..., 2])
    assert torch.equal(stream, clips) == (name == "joint")


@pytest.mark.parametrize("names", [(), ("joint", "angle")])
def test_unknown_streams_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected one or more of joint, bone"):
        check_streams(names)


# Conventions.

# The tables of MMAction2 and PYSKL, child and parent, and of 2s-AGCN, which are the same where it has any.
THEIR_BONES: Mapping[Layout, tuple[int, ...]] = {
    COCO17: (0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 0, 0, 11, 12, 13, 14),
    OPENPOSE18: (0, 0, 1, 2, 3, 1, 5, 6, 2, 8, 9, 5, 11, 12, 0, 0, 14, 15),
    NTU25: (1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11),
    HAND21: (0, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19),
}


@pytest.mark.parametrize("layout", THEIR_BONES, ids=lambda layout: layout.name)
def test_the_bones_of_a_convention_are_those_of_its_table(layout: Layout) -> None:
    assert parents_of(layout, "mmaction2") == THEIR_BONES[layout]
    if layout in (OPENPOSE18, NTU25):
        assert parents_of(layout, "2s-agcn") == THEIR_BONES[layout]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_without_a_convention_the_bones_are_the_layouts(layout: Layout) -> None:
    assert parents_of(layout) == layout.parents


@pytest.mark.parametrize(
    ("convention", "layout"), [("mmaction2", PENN13), ("mmaction2", KINECT20), ("2s-agcn", COCO17), ("2s-agcn", HAND21)]
)
def test_a_layout_that_a_convention_does_not_know_is_refused(convention: str, layout: Layout) -> None:
    with pytest.raises(ValueError, match=f"convention '{convention}': expected a layout out of .*got '{layout.name}'"):
        build("stgcn", layout=layout, num_classes=3, options={"convention": convention})


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(ValueError, match="convention 'pyskl': expected one of layout, mmaction2, 2s-agcn"):
        check_convention("pyskl")


@pytest.mark.parametrize("name", STREAMS)
def test_in_2s_agcn_scores_are_subtracted_like_coordinates(name: str, clips: torch.Tensor) -> None:
    as_coordinates = stream_of(clips, name, parents=PARENTS, num_coordinates=3)
    stream = stream_of(clips, name, parents=PARENTS, num_coordinates=2, convention="2s-agcn")
    assert torch.equal(stream, as_coordinates)


SMALL = {"base_channels": 8, "widths": (1, 1), "strides": (1, 1), "dropout": 0.0}


@pytest.mark.parametrize("name", ["stgcn", "stgcnpp", "agcn", "ctrgcn", "msg3d", "amanet", "am_stgcn", "stfnet"])
def test_every_recogniser_of_streams_takes_every_convention(name: str) -> None:
    logits = []
    for convention in CONVENTIONS:
        torch.manual_seed(0)
        small = {} if name in ("am_stgcn", "stfnet") else SMALL
        options = {**small, "streams": ("bone_motion",), "convention": convention}
        model = build(name, layout=OPENPOSE18, num_classes=3, options=options).eval()
        logits.append(model(torch.randn(2, 8, 1, 18, 3, generator=torch.Generator().manual_seed(1))))
    assert all(not torch.allclose(one, other) for one, other in zip(logits, [*logits[1:], logits[0]], strict=True))


# Against MMAction2 and PYSKL, in the precision in which they count.

SHORT = {"joint": "j", "bone": "b", "joint_motion": "jm", "bone_motion": "bm"}


def theirs(shared: Path, source: str, stream: str) -> torch.Tensor:
    """Read a stream of theirs: [1, T, M, V, C]."""
    path = shared / "parity" / "transforms" / f"{source}_{SHORT[stream]}.npz"
    return torch.from_numpy(np.load(path)["keypoint"]).transpose(0, 1)[None]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    ("source", "layout", "num_coordinates"),
    [("mma_GenSkeFeat_coco", COCO17, 2), ("pyskl_GenSkeFeat_coco", COCO17, 2), ("mma_GenSkeFeat_ntu", NTU25, 3)],
)
def test_streams_are_those_of_mmaction2_and_pyskl(
    source: str, layout: Layout, num_coordinates: int, name: str, shared: Path
) -> None:
    parents = torch.tensor(parents_of(layout, "mmaction2"))
    kind, _, moving = name.partition("_")
    stream = theirs(shared, source, "joint")
    for step in (kind, f"joint_{moving}" if moving else "joint"):
        stream = stream_of(stream, step, parents=parents, num_coordinates=num_coordinates, convention="mmaction2")
        # They count in the half precision of the files, but store bones as floats, and so count their motion.
        stream = stream.float() if kind == "bone" else stream
    expected = theirs(shared, source, name)
    torch.testing.assert_close(stream.double(), expected.double(), atol=1e-5, rtol=0)


def test_the_motion_of_bones_is_one_stream(clips: torch.Tensor) -> None:
    bone = stream_of(clips, "bone", parents=PARENTS, num_coordinates=2, convention="mmaction2")
    both = stream_of(clips, "bone_motion", parents=PARENTS, num_coordinates=2, convention="mmaction2")
    moving = stream_of(bone, "joint_motion", parents=PARENTS, num_coordinates=2, convention="mmaction2")
    assert torch.equal(both, moving)

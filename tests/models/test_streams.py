"""Bones and motion against loops, and against what MMAction2 and PYSKL make of the same clips."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.streams import STREAMS, bones, check_streams, motion, stream_of
from pipeline.layouts import LAYOUTS

COCO17 = LAYOUTS["coco17"]
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


# Where their bones are not the links of their own graphs: hips hang from the nose there, fingertips from thumbs.
OTHER_BONES = {"coco17": ("left_hip", "right_hip"), "ntu25": ("left_handtip", "right_handtip")}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    ("toolbox", "skeleton", "layout", "num_coordinates"),
    [("mma", "coco", "coco17", 2), ("pyskl", "coco", "coco17", 2), ("mma", "ntu", "ntu25", 3)],
)
def test_streams_are_those_of_mmaction2_and_pyskl(
    toolbox: str, skeleton: str, layout: str, num_coordinates: int, name: str, shared: Path
) -> None:
    short = {"joint": "j", "bone": "b", "joint_motion": "jm", "bone_motion": "bm"}
    folder = shared / "parity" / "transforms"

    def load(stream: str) -> torch.Tensor:
        people = np.load(folder / f"{toolbox}_GenSkeFeat_{skeleton}_{short[stream]}.npz")["keypoint"]
        return torch.from_numpy(people.astype(np.float32)).transpose(0, 1)[None]  # [1, T, M, V, C]

    parents = torch.tensor(LAYOUTS[layout].parents)
    stream = stream_of(load("joint"), name, parents=parents, num_coordinates=num_coordinates)
    same = [place for place, joint in enumerate(LAYOUTS[layout].joints) if joint not in OTHER_BONES[layout]]
    ours, theirs = stream[..., same, :num_coordinates], load(name)[..., same, :num_coordinates]
    # Theirs were stored in half precision, and the differences are taken of halves here.
    torch.testing.assert_close(ours, theirs, atol=6e-3, rtol=0)

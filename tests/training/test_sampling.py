"""Frames are drawn as by MMAction2 and PYSKL, and with them everything up to what their recognisers take."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.registry import build
from models.streams import STREAMS, parents_of, stream_of
from pipeline.layouts import COCO17, NTU25, Layout
from pipeline.normalisation import body_axes, frame_halves
from training.sampling import TEST_SEED, sample_frames

SIZE_WH = (1920, 1080)
LENGTHS = (1, 5, 7, 8, 9, 15, 16, 17, 100)
# PYSKL draws the share of the sequence that a clip covers, even where that is all of it.
SPANS = {"mma": None, "pyskl": (1.0, 1.0)}


def seeded(seed: int = TEST_SEED) -> np.random.RandomState:
    return np.random.RandomState(seed)


@pytest.mark.parametrize("testing", [False, True])
@pytest.mark.parametrize("num_frames", LENGTHS)
def test_frames_are_of_the_sequence_and_go_on_in_time(num_frames: int, *, testing: bool) -> None:
    clips = sample_frames(num_frames, 8, rng=seeded(), num_clips=3, testing=testing)
    assert clips.shape == (3, 8)
    assert (clips.min() >= 0) & (clips.max() < num_frames)
    if num_frames >= 8:
        assert (np.diff(clips, axis=1) > 0).all()
    else:
        assert (np.diff(clips, axis=1) % num_frames == 1 % num_frames).all()


def test_each_part_of_a_long_sequence_gives_one_frame() -> None:
    clips = sample_frames(100, 8, rng=seeded(), num_clips=50)
    edges = np.arange(9) * 100 // 8
    assert ((clips >= edges[:-1]) & (clips < edges[1:])).all()
    assert len(np.unique(clips)) > 90


def test_a_sequence_of_a_clips_length_is_the_clip() -> None:
    assert sample_frames(8, 8, rng=seeded())[0].tolist() == list(range(8))


def test_a_short_sequence_is_looped_and_in_a_test_from_the_beginning() -> None:
    clips = sample_frames(3, 8, rng=seeded(), num_clips=2, testing=True)
    assert clips.tolist() == [[0, 1, 2, 0, 1, 2, 0, 1], [1, 2, 0, 1, 2, 0, 1, 2]]
    starts = sample_frames(3, 8, rng=seeded(), num_clips=30)[:, 0]
    assert set(starts.tolist()) == {0, 1, 2}


def test_a_span_is_a_part_of_the_sequence_anywhere_in_it() -> None:
    clips = sample_frames(100, 8, rng=seeded(), num_clips=200, span=(0.4, 0.5))
    reach = clips[:, -1] - clips[:, 0]
    assert reach.max() < 50
    assert (clips.min() < 5) & (clips.max() > 94)


def test_a_seed_gives_the_same_frames_again() -> None:
    assert np.array_equal(sample_frames(90, 8, rng=seeded()), sample_frames(90, 8, rng=seeded()))
    assert not np.array_equal(sample_frames(90, 8, rng=seeded()), sample_frames(90, 8, rng=seeded(0)))


@pytest.mark.parametrize(("num_frames", "clip_len", "num_clips"), [(0, 8, 1), (8, 0, 1), (8, 8, 0)])
def test_nothing_to_choose_from_is_refused(num_frames: int, clip_len: int, num_clips: int) -> None:
    with pytest.raises(ValueError, match="expected at least one frame, clip and frame a clip"):
        sample_frames(num_frames, clip_len, rng=seeded(), num_clips=num_clips)


# Against MMAction2 and PYSKL.


def read(shared: Path, name: str) -> dict[str, NDArray[np.generic]]:
    return dict(np.load(shared / "parity" / "transforms" / f"{name}.npz"))


@pytest.mark.parametrize("toolbox", SPANS)
def test_frames_are_those_of_their_tests(toolbox: str, shared: Path) -> None:
    files = read(shared, f"{toolbox}_UniformSampleFrames_test_seed255")
    assert len(files) == 28
    for name, theirs in files.items():
        clip_len, num_clips, num_frames = (int(part.strip("LncT")) for part in name.split("_"))
        ours = sample_frames(num_frames, clip_len, rng=seeded(), num_clips=num_clips, testing=True, span=SPANS[toolbox])
        assert np.array_equal(ours.ravel(), theirs), name


def test_frames_where_people_come_and_go_are_no_others(shared: Path) -> None:
    ours = sample_frames(150, 48, rng=seeded(), testing=True)
    for name in ("mma_UniformSampleFrames_withkp_T150_L48", "mma_posec3d_step0_UniformSampleFrames"):
        assert np.array_equal(ours[0], read(shared, name)["frame_inds"])


def test_frames_are_read_as_theirs(shared: Path) -> None:
    clip, decoded = read(shared, "input_coco2d_T150_M2"), read(shared, "mma_posec3d_step1_PoseDecode")
    chosen = sample_frames(150, 48, rng=seeded(), testing=True)[0]
    assert np.array_equal(clip["keypoint"][:, chosen], decoded["keypoint"])
    assert np.array_equal(clip["keypoint_score"][:, chosen], decoded["keypoint_score"])


def test_clips_that_are_drawn_and_read_in_one_go_are_pyskls(shared: Path) -> None:
    clip = read(shared, "input_coco2d_T150_M2")
    both = np.concatenate([clip["keypoint"], clip["keypoint_score"][..., None]], axis=-1).astype(np.float32)
    chosen = sample_frames(150, 100, rng=seeded(), num_clips=2, span=SPANS["pyskl"])
    assert np.array_equal(both[:, chosen.ravel()], read(shared, "pyskl_UniformSampleDecode_L100_nc2")["keypoint"])


# From a file's keypoints to what a recogniser takes.

SHORT = {"joint": "j", "bone": "b", "joint_motion": "jm", "bone_motion": "bm"}


def whole_coco(shared: Path, toolbox: str) -> Tensor:
    """Normalise the clip of two people as each code does: [1, T, M, V, C]."""
    clip = read(shared, "input_coco2d_T150_M2")
    keypoints, scores = clip["keypoint"], clip["keypoint_score"]
    if toolbox == "pyskl":
        keypoints, scores = keypoints.astype(np.float32), scores.astype(np.float32)
    joints = frame_halves(keypoints, SIZE_WH)
    if toolbox == "pyskl":
        joints = joints * (scores > 0.01)[..., None]
    return torch.from_numpy(np.concatenate([joints, scores[..., None]], axis=-1)).transpose(0, 1)[None]


def whole_ntu(shared: Path) -> Tensor:
    keypoints = read(shared, "input_ntu3d_T90_M2")["keypoint"].swapaxes(0, 1)
    known = (keypoints != 0).any(axis=-1)
    aligned = body_axes(keypoints, known, NTU25) * known[..., None]
    return torch.from_numpy(aligned[known[:, 0].any(axis=1)])[None]


def streamed(whole: Tensor, name: str, layout: Layout) -> Tensor:
    """Make a stream in steps, as theirs, whose bones are floats and whose joints are what the file has."""
    kind, _, moving = name.partition("_")
    for step in (kind, f"joint_{moving}" if moving else "joint"):
        whole = stream_of(
            whole,
            step,
            parents=torch.tensor(parents_of(layout, "mmaction2")),
            num_coordinates=3 if layout is NTU25 else 2,
            convention="mmaction2",
        )
        whole = whole.float() if kind == "bone" else whole
    return whole


def drawn(whole: Tensor, *, toolbox: str, num_clips: int = 1) -> NDArray[np.float32]:
    """Draw clips of 100 frames: [clips, M, T, V, C]."""
    chosen = sample_frames(whole.shape[1], 100, rng=seeded(), num_clips=num_clips, testing=True, span=SPANS[toolbox])
    return whole[0][torch.from_numpy(chosen)].float().transpose(1, 2).numpy()


@pytest.mark.parametrize(
    ("toolbox", "name", "num_clips"),
    [*(("mma", name, 1) for name in STREAMS), ("mma", "joint", 10), ("pyskl", "joint", 1), ("pyskl", "joint", 10)],
)
def test_clips_in_the_plane_are_theirs_from_end_to_end(toolbox: str, name: str, num_clips: int, shared: Path) -> None:
    theirs = read(shared, f"{toolbox}_gcn_e2e_coco_{SHORT[name]}_nc{num_clips}")["keypoint"]
    ours = drawn(streamed(whole_coco(shared, toolbox), name, COCO17), toolbox=toolbox, num_clips=num_clips)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", STREAMS)
def test_clips_in_space_are_theirs_from_end_to_end(name: str, shared: Path) -> None:
    theirs = read(shared, f"mma_gcn_e2e_ntu_{SHORT[name]}_nc1")["keypoint"]
    np.testing.assert_allclose(drawn(streamed(whole_ntu(shared), name, NTU25), toolbox="mma"), theirs, atol=1e-5)


@pytest.mark.parametrize("name", ["joint", "bone"])
def test_joints_and_bones_may_be_made_after_frames_are_chosen(name: str, shared: Path) -> None:
    whole = whole_coco(shared, "pyskl")
    clip = torch.from_numpy(drawn(whole, toolbox="pyskl")).transpose(1, 2)
    before = torch.from_numpy(drawn(streamed(whole, name, COCO17), toolbox="pyskl")).transpose(1, 2)
    assert torch.equal(streamed(clip, name, COCO17), before)


@pytest.mark.parametrize("name", ["joint_motion", "bone_motion"])
def test_motion_is_theirs_where_the_next_frame_is_the_windows_next(name: str, shared: Path) -> None:
    # Recognisers make their streams themselves, of the frames that they are given; a window of 100 frames over 10/3 s
    # has all the frames of a video of 30 frames a second.
    chosen = sample_frames(150, 100, rng=seeded(), testing=True)[0]
    whole = whole_coco(shared, "mma").float()
    inside = torch.from_numpy(drawn(whole, toolbox="mma")).transpose(1, 2)
    ours = streamed(inside, name, COCO17).transpose(1, 2).numpy()[:, :, :-1]
    theirs = drawn(streamed(whole, name, COCO17), toolbox="mma")[:, :, :-1]
    following = np.diff(chosen) == 1
    assert 0 < following.sum() < len(following)
    np.testing.assert_allclose(ours[:, :, following], theirs[:, :, following], atol=1e-5)
    assert np.abs(ours[:, :, ~following] - theirs[:, :, ~following]).max() > 0.01


def test_someone_alone_is_followed_by_nobody_and_a_mean_over_those_present_is_that_over_copies(shared: Path) -> None:
    # MMAction2 can fill seats with copies of the first person (mode="loop"); none of its configurations does.
    looped = read(shared, "mma_FormatGCNInput_loop_M1")["keypoint"]
    assert np.array_equal(looped[:, 0], looped[:, 1])
    clips = torch.from_numpy(looped).transpose(1, 2).float()
    alone = clips.clone()
    alone[:, :, 1] = 0
    options = {"base_channels": 4, "widths": (1,), "strides": (1,), "num_coordinates": 3}
    logits = []
    for given, people in ((clips, "mean"), (alone, "present")):
        torch.manual_seed(0)
        model = build("stgcn", layout=NTU25, num_classes=3, num_people=2, options={**options, "people": people})
        with torch.no_grad():
            logits.append(model.eval()(given))
    torch.testing.assert_close(*logits)

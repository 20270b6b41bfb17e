"""Pictures of joints and limbs against loops from the papers' equations, and against what MMAction2 draws."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.heatmap import COCO_LIMBS, HeatmapConfig, Heatmaps, draw_point, draw_segment
from pipeline.layouts import LAYOUTS, Layout

COCO17, PENN13 = LAYOUTS["coco17"], LAYOUTS["penn13"]
CENTRES = [(5.3, 6.1), (0.0, 0.0), (11.0, 2.5), (-1.2, 4.0), (13.4, 12.7), (-2.3, -2.1), (40.0, 5.0)]
SEGMENTS = [
    ((2.2, 3.1), (9.4, 7.7)),
    ((9.0, 9.0), (3.0, 2.0)),
    ((5.0, -4.0), (5.0, 20.0)),
    ((1.5, 6.5), (10.5, 6.5)),
    ((-9.0, -2.0), (-2.5, -1.9)),
    ((4.0, 4.0), (4.0, 4.0)),
]


def reach(low: float, high: float, *, sigma: float) -> range:
    """The pixels that MMAction2 draws on: ``int`` rounds towards 0."""
    return range(max(int(low - 3 * sigma), 0), max(int(high + 3 * sigma) + 1, 0))


def distance_to_segment(point: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Look for the nearest of many points of the segment."""
    along = np.linspace(0, 1, 20001)[:, None]
    return float(np.linalg.norm(start + along * (end - start) - point, axis=1).min())


@pytest.mark.parametrize("sigma", [0.6, 1.5])
@pytest.mark.parametrize("centre", CENTRES)
def test_a_joint_is_equation_1_up_to_three_sigma(centre: tuple[float, float], sigma: float) -> None:
    x, y = centre
    expected = np.zeros((12, 12))
    for j, i in product(reach(y, y, sigma=sigma), reach(x, x, sigma=sigma)):
        if i < 12 and j < 12:
            expected[j, i] = 0.8 * math.exp(-((i - x) ** 2 + (j - y) ** 2) / (2 * sigma**2))  # Eq. (1)
    drawn = draw_point(torch.tensor(centre), torch.tensor(0.8), size=12, sigma=sigma)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)


@pytest.mark.parametrize(("start", "end"), SEGMENTS)
def test_a_limb_falls_off_with_the_distance_to_its_segment(
    start: tuple[float, float], end: tuple[float, float]
) -> None:
    expected = np.zeros((12, 12))
    columns, rows = (reach(min(ends), max(ends), sigma=0.6) for ends in zip(start, end, strict=True))
    for j, i in product(rows, columns):
        if i < 12 and j < 12:
            distance = distance_to_segment(np.array([i, j]), np.array(start), np.array(end))
            expected[j, i] = 0.8 * math.exp(-(distance**2) / (2 * 0.6**2))
    drawn = draw_segment(torch.tensor(start), torch.tensor(end), torch.tensor(0.8), size=12, sigma=0.6)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)


def test_nothing_is_drawn_so_faintly_that_arithmetic_slows_down() -> None:
    heatmaps = Heatmaps(COCO17, HeatmapConfig(volumes="both"))
    volumes = heatmaps(torch.randn(2, 4, 2, 17, 3, generator=torch.Generator().manual_seed(0)))
    assert volumes[volumes > 0].min() > 1e-18


# What is drawn of whom.


def heatmaps_of(clips: Tensor, **options: object) -> Tensor:
    return Heatmaps(COCO17, HeatmapConfig(**{"size": 16, "fit": "box", "half_side": 8.0, **options}))(clips)


def one_joint(x: float, y: float, *, score: float = 1.0, num_people: int = 1) -> Tensor:
    """A clip of one frame in which the first person's nose is all there is."""
    clip = torch.zeros(1, 1, num_people, 17, 3)
    clip[0, 0, 0, 0] = torch.tensor([x, y, score])
    return clip


def test_the_box_is_about_the_body_centre_in_torso_lengths() -> None:
    picture = heatmaps_of(one_joint(3, -5))[0, 0, 0]
    assert divmod(int(picture.argmax()), 16) == (3, 11)  # 5 of 8 torsos above the middle, 3 to the right of it
    assert picture.max() == 1


def test_the_window_holds_all_joints_whoever_has_them_and_no_more() -> None:
    clip = torch.zeros(1, 2, 2, 17, 3)
    clip[0, 0, 0, 0] = torch.tensor([3.0, 2.0, 1.0])
    clip[0, 1, 1, 5] = torch.tensor([7.0, 4.0, 1.0])
    points, _ = Heatmaps(COCO17, HeatmapConfig(size=16, padding=0.6)).place(clip)
    # The longer side, 4, times 1.6 is the square's; what is seen lies in its middle.
    np.testing.assert_allclose(points[0, 0, 0, 0], [3.0, 5.5], atol=1e-5)
    np.testing.assert_allclose(points[0, 1, 1, 5], [13.0, 10.5], atol=1e-5)


def test_a_single_joint_is_in_the_middle_of_its_window() -> None:
    picture = heatmaps_of(one_joint(2.2, 0.1), fit="window")[0, 0, 0]
    assert divmod(int(picture.argmax()), 16) == (8, 8)


@pytest.mark.parametrize("fit", ["window", "box"])
def test_nobody_is_an_empty_volume(fit: str) -> None:
    assert not heatmaps_of(torch.zeros(2, 3, 1, 17, 3), fit=fit, volumes="both").any()


def test_joints_are_as_bright_as_they_are_certain_and_not_drawn_when_hardly_seen() -> None:
    assert heatmaps_of(one_joint(1, 1, score=0.3)).max() == pytest.approx(0.3)
    assert not heatmaps_of(one_joint(1, 1, score=0.9e-4)).any()


def test_scores_can_be_ignored_and_need_not_be_there() -> None:
    clip = one_joint(1, 1, score=0.3)
    assert heatmaps_of(clip, use_scores=False).max() == 1
    assert torch.equal(heatmaps_of(clip[..., :2]), heatmaps_of(clip, use_scores=False))


def test_depth_is_not_drawn_but_says_that_a_joint_was_seen() -> None:
    flat, deep = one_joint(0, 0), one_joint(0, 0)
    deep[0, 0, 0, 0, 2] = 5.0
    assert not heatmaps_of(flat, num_coordinates=2).any()
    assert heatmaps_of(deep, num_coordinates=3).max() == 1


def test_where_people_overlap_the_brighter_one_counts() -> None:
    both = torch.cat([one_joint(1, 1, score=0.5), one_joint(1, 2, score=0.9)], dim=2)
    alone = [heatmaps_of(both[:, :, person : person + 1]) for person in range(2)]
    assert torch.equal(heatmaps_of(both), torch.maximum(*alone))


def test_a_limb_is_as_bright_as_the_less_certain_of_its_joints() -> None:
    clip = one_joint(2, 2, score=0.9)
    clip[0, 0, 0, 1] = torch.tensor([5.0, 2.0, 0.4])
    limb = heatmaps_of(clip, volumes="limb")[0, COCO_LIMBS.index(("nose", "left_eye")), 0]
    np.testing.assert_allclose(limb[10, 10:14], [0.4] * 4, atol=1e-6)
    assert limb[10, 5] == 0


def test_a_limb_shorter_than_a_pixel_is_its_first_joint() -> None:
    clip = one_joint(2, 2, score=0.9)
    clip[0, 0, 0, 1] = torch.tensor([2.5, 2.5, 0.4])
    torch.testing.assert_close(heatmaps_of(clip, volumes="limb")[:, 0], heatmaps_of(clip)[:, 0])


def test_both_are_joints_and_then_limbs() -> None:
    clips = torch.randn(2, 3, 2, 17, 3, generator=torch.Generator().manual_seed(0))
    both = heatmaps_of(clips, volumes="both")
    assert torch.equal(both[:, :17], heatmaps_of(clips, volumes="joint"))
    assert torch.equal(both[:, 17:], heatmaps_of(clips, volumes="limb"))


@pytest.mark.parametrize(
    "layout", [layout for layout in LAYOUTS.values() if layout is not COCO17], ids=lambda layout: layout.name
)
def test_limbs_are_the_bones_outwards(layout: Layout) -> None:
    heatmaps = Heatmaps(layout, HeatmapConfig(volumes="limb"))
    assert [tuple(pair) for pair in heatmaps.ends.flip(0).t().tolist()] == list(layout.bone_indices)


def test_coco_has_one_limb_that_is_no_bone() -> None:
    ends = {frozenset(pair) for pair in Heatmaps(COCO17, HeatmapConfig(volumes="limb")).ends.t().tolist()}
    assert ends - {frozenset(pair) for pair in COCO17.bone_indices} == {frozenset({11, 12})}


def test_limbs_can_be_given() -> None:
    chosen = Heatmaps(PENN13, HeatmapConfig(volumes="limb", limbs=(("left_hip", "right_hip"),)))
    assert chosen.ends.flatten().tolist() == [PENN13.index("left_hip"), PENN13.index("right_hip")]


def test_a_limbs_share_belongs_to_its_two_joints() -> None:
    credit = Heatmaps(COCO17, HeatmapConfig(volumes="both")).credit
    assert torch.equal(credit[:17], torch.eye(17))
    assert credit[17:].sum(dim=1).tolist() == [1.0] * len(COCO_LIMBS)
    assert credit[17, [0, 1]].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"volumes": "bone"}, "expected one of joint, limb, both"), ({"fit": "person"}, "expected one of window, box")],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        HeatmapConfig(**options)


# Against MMAction2.


def drawn_by_mmaction2(folder: Path, name: str) -> NDArray[np.float32]:
    pictures: NDArray[np.float32] = np.load(folder / f"mma_GeneratePoseTarget_{name}.npz")["imgs"]
    return pictures


@pytest.mark.parametrize(
    ("name", "placed", "volumes", "scale", "sigma"),
    [
        ("joint_56", "geo56", "joint", 1.0, 0.6),
        ("joint_56_noscore", "geo56", "joint", 1.0, 0.6),
        ("joint_56_scaling.5_sigma1.2", "geo56", "joint", 0.5, 1.2),
        ("joint_64", "step4_CenterCrop", "joint", 1.0, 0.6),
        ("limb_56", "geo56", "limb", 1.0, 0.6),
        ("limb_64", "step4_CenterCrop", "limb", 1.0, 0.6),
    ],
)
def test_pictures_are_those_of_mmaction2(
    name: str, placed: str, volumes: str, scale: float, sigma: float, shared: Path
) -> None:
    folder = shared / "parity" / "transforms"
    skeletons = np.load(folder / f"mma_posec3d_{placed}.npz")
    points, weights = skeletons["keypoint"] * scale, skeletons["keypoint_score"]
    if name.endswith("noscore"):
        weights = np.ones_like(weights)
    size = round(int(skeletons["img_shape"][0]) * scale)
    ours = drawn(points, weights, volumes=volumes, size=size, sigma=sigma)
    np.testing.assert_allclose(ours.transpose(0, 1), drawn_by_mmaction2(folder, name), atol=1e-5)


def drawn(
    points: NDArray[np.floating], weights: NDArray[np.float32], *, volumes: str, size: int, sigma: float = 0.6
) -> Tensor:
    """Draw people [M, T, V] who are placed already: [V, T, H, W]."""
    heatmaps = Heatmaps(COCO17, HeatmapConfig(size=size, sigma=sigma))
    draw = heatmaps.draw_joints if volumes == "joint" else heatmaps.draw_limbs
    placed, certain = (
        torch.from_numpy(array.astype(np.float32)).transpose(1, 2)[:, None] for array in (points, weights)
    )
    return draw(placed, certain)[0]


def mirrored_channels(volumes: str) -> list[int]:
    """Say whose channel a joint's or limb's is in a mirror."""
    if volumes == "joint":
        return list(COCO17.mirrored)
    ends = [frozenset(pair) for pair in Heatmaps(COCO17, HeatmapConfig(volumes="limb")).ends.t().tolist()]
    return [ends.index(frozenset(COCO17.mirrored[joint] for joint in pair)) for pair in ends]


@pytest.mark.parametrize("volumes", ["joint", "limb"])
def test_doubled_pictures_are_pictures_and_their_mirrors(volumes: str, shared: Path) -> None:
    folder = shared / "parity" / "transforms"
    placed = np.load(folder / "mma_posec3d_geo56.npz")
    ours = drawn(placed["keypoint"], placed["keypoint_score"], volumes=volumes, size=56)
    mirror = ours[mirrored_channels(volumes)].flip(3)
    theirs = drawn_by_mmaction2(folder, f"{volumes}_56_double")
    np.testing.assert_allclose(torch.cat([ours, mirror], dim=1).transpose(0, 1), theirs, atol=1e-5)


@pytest.mark.parametrize(("toolbox", "placed"), [("mma", "step4_CenterCrop"), ("pyskl", "geo64")])
def test_volumes_are_those_of_their_tests(toolbox: str, placed: str, shared: Path) -> None:
    folder = shared / "parity" / "transforms"
    people = np.load(folder / f"{toolbox}_posec3d_{placed}.npz")
    ours = drawn(people["keypoint"], people["keypoint_score"], volumes="joint", size=64)
    doubled = torch.stack([ours, ours[list(COCO17.mirrored)].flip(3)])
    theirs = np.load(folder / f"{toolbox}_posec3d_e2e_double_nc1.npz")["imgs"]
    np.testing.assert_allclose(doubled, theirs, atol=1e-5)


def test_volumes_of_a_video_differ_by_the_rounding_of_their_window_alone(shared: Path) -> None:
    # MMAction2 cuts the window out at whole pixels of the video (863 of them here), which the recogniser does not know.
    folder = shared / "parity" / "transforms"
    video = np.load(folder / "mma_posec3d_step1_PoseDecode.npz")
    theirs = np.load(folder / "mma_posec3d_e2e_double_nc1.npz")["imgs"][0]
    clip = np.concatenate([video["keypoint"], video["keypoint_score"][..., None]], axis=-1).astype(np.float32)
    ours = Heatmaps(COCO17, HeatmapConfig(size=64))(torch.from_numpy(clip).transpose(0, 1)[None])[0]
    assert 1e-3 < np.abs(ours.numpy() - theirs).max() < 0.07
    seen = video["keypoint"][video["keypoint"].any(axis=-1)]
    low, high = seen.min(axis=0), seen.max(axis=0)
    half = (high - low).max() / 2 * 1.25
    corner, far = np.trunc((low + high) / 2 - half), np.trunc((low + high) / 2 + half)
    rounded = np.where(video["keypoint"] != 0, (video["keypoint"] - corner) * (64 / (far - corner)), 0)
    points = drawn(rounded, video["keypoint_score"], volumes="joint", size=64)
    np.testing.assert_allclose(points, theirs, atol=1e-4)


def test_mmaction2_draws_limbs_into_the_joints_channels(shared: Path) -> None:
    folder = shared / "parity" / "transforms"
    joints, limbs, both = (drawn_by_mmaction2(folder, name) for name in ("joint_56", "limb_56", "both_56_quirk"))
    assert np.array_equal(both[:, :17], np.maximum(joints, limbs))
    assert not both[:, 17:].any()


def test_the_window_is_mmaction2s_to_a_pixel_of_the_video(shared: Path) -> None:
    folder = shared / "parity" / "transforms"
    video = np.load(folder / "mma_posec3d_step1_PoseDecode.npz")
    grid = np.load(folder / "mma_posec3d_step4_CenterCrop.npz")
    clip = np.concatenate([video["keypoint"], video["keypoint_score"][..., None]], axis=-1).astype(np.float32)
    heatmaps = Heatmaps(COCO17, HeatmapConfig(size=64))
    points, weights = heatmaps.place(torch.from_numpy(clip).transpose(0, 1).unsqueeze(0))
    seen = (video["keypoint"] != 0).all(axis=-1).swapaxes(0, 1)
    pixel = 64 / 863
    np.testing.assert_allclose(points[0][seen], grid["keypoint"].swapaxes(0, 1)[seen], atol=2 * pixel)
    np.testing.assert_allclose(weights[0][seen], grid["keypoint_score"].swapaxes(0, 1)[seen])

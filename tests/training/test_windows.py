"""Which windows an epoch has, and which windows cover a sequence."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pipeline.values import SkeletonClip
from training import windows
from training.augment import splice
from training.datasets.skeleton_set import SkeletonSet
from training.examples import Example, Parts, divide, read_sets
from training.recipe import WindowRecipe
from training.windows import WindowDataset, cover

MakeClip = Callable[..., SkeletonClip]


@pytest.fixture(scope="module")
def sets(tiny: WindowRecipe, data: Path) -> dict[str, SkeletonSet]:
    return read_sets(tiny, data)


@pytest.fixture(scope="module")
def parts(tiny: WindowRecipe, sets: dict[str, SkeletonSet]) -> Parts:
    return divide(tiny, sets)


def test_an_item_is_a_window_of_features_and_its_label(tiny: WindowRecipe, parts: Parts) -> None:
    dataset = WindowDataset(tiny, parts.train)
    assert len(dataset) == tiny.windows_per_epoch
    values, label = dataset[0]
    assert values.shape == (12, 1, 13, 2)
    assert values.dtype == torch.float32
    assert 0 <= int(label) < len(tiny.class_labels)


def test_an_item_is_the_same_whoever_loads_it(tiny: WindowRecipe, parts: Parts) -> None:
    dataset = WindowDataset(replace(tiny, windows_per_epoch=12), parts.train)
    dataset.epoch = 3
    alone = [torch.cat([item[place] for item in DataLoader(dataset, batch_size=5)]) for place in (0, 1)]
    with_others = [
        torch.cat([item[place] for item in DataLoader(dataset, batch_size=4, num_workers=2)]) for place in (0, 1)
    ]
    again = WindowDataset(replace(tiny, windows_per_epoch=12), parts.train)
    again.epoch = 3
    backwards = [again[item] for item in reversed(range(12))][::-1]
    for one, other, single in zip(alone, with_others, zip(*backwards, strict=True), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, torch.stack(single))


def test_epochs_and_seeds_differ(tiny: WindowRecipe, parts: Parts) -> None:
    first, second = WindowDataset(tiny, parts.train), WindowDataset(tiny, parts.train)
    second.epoch = 1
    other = WindowDataset(replace(tiny, seed=1), parts.train)
    drawn = [torch.stack([dataset[item][0] for item in range(5)]) for dataset in (first, second, other)]
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_labels_are_drawn_in_the_shares_of_the_recipe(tiny: WindowRecipe, parts: Parts) -> None:
    dataset = WindowDataset(replace(tiny, windows_per_epoch=300), parts.train)
    shares = dict(zip(tiny.class_labels, dataset._label_shares, strict=True))
    assert sum(shares.values()) == pytest.approx(1)
    assert (shares["idle"], shares["other"]) == pytest.approx((tiny.idle_share, tiny.other_share))
    number = Counter(example.label for example in parts.train)
    assert shares["squat"] / shares["wave"] == pytest.approx((number["squat"] / number["wave"]) ** 0.5)
    drawn = np.bincount([int(dataset[item][1]) for item in range(300)], minlength=7) / 300
    np.testing.assert_allclose(drawn, list(shares.values()), atol=0.08)


def test_within_a_label_a_set_counts_by_the_square_root_of_its_size(
    tiny: WindowRecipe, sets: dict[str, SkeletonSet]
) -> None:
    kard = [Example(sets["kard"], index, "wave") for index in range(9)]
    penn = [Example(sets["penn_action"], index, "wave") for index in range(4)]
    shares = WindowDataset(tiny, (*kard, *penn))._example_shares["wave"]
    assert shares.sum() == pytest.approx(1)
    assert shares[:9].sum() == pytest.approx(3 / 5)


def test_where_no_sequence_is_other_its_share_goes_to_the_actions(tiny: WindowRecipe, parts: Parts) -> None:
    named = tuple(example for example in parts.train if example.label != "other")
    dataset = WindowDataset(tiny, named)
    shares = dict(zip(tiny.class_labels, dataset._label_shares, strict=True))
    assert shares["other"] == 0
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["idle"] == tiny.idle_share
    assert int(dataset[0][1]) < 6


def test_halves_that_make_an_action_by_themselves_are_put_to_no_other(tiny: WindowRecipe, parts: Parts) -> None:
    recipe = replace(tiny, arm_actions=frozenset({"wave"}), leg_actions=frozenset({"walk", "squat"}))
    dataset = WindowDataset(recipe, parts.train)
    pairs = {dataset._draw_pair(np.random.default_rng(seed)) for seed in range(300)}
    actions = {"golf_swing", "jumping_jacks", "squat", "walk", "wave", "other"}
    expected = {(up, low) for up in actions - {"wave"} for low in actions - {"walk", "squat"} if up != low}
    assert pairs == expected


def test_some_windows_of_other_actions_are_spliced(
    tiny: WindowRecipe, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    spliced = []

    def note(upper: SkeletonClip, lower: SkeletonClip) -> SkeletonClip:
        spliced.append((upper, lower))
        return splice(upper, lower)

    monkeypatch.setattr(windows, "splice", note)
    for share, number in ((0.0, 0), (1.0, None)):
        dataset = WindowDataset(replace(tiny, spliced_share=share), parts.train)
        others = sum(int(dataset[item][1]) == tiny.class_labels.index("other") for item in range(96))
        assert len(spliced) == (others if number is None else number)
        assert others > 5


def with_length(source: SkeletonSet, num_frames: int) -> SkeletonSet:
    """Return a set with one sequence of that many frames for each of the source's classes."""
    frames = [np.resize(source.clip(index).keypoints, (num_frames, 1, 13, source.keypoints.shape[-1]))
              for index in (np.argmax(source.labels == label) for label in range(len(source.classes)))]  # fmt: skip
    num = len(frames)
    return replace(
        source,
        keypoints=np.concatenate(frames),
        scores=np.ones((num * num_frames, 1, 13), np.float32),
        offsets=num_frames * np.arange(num + 1),
        labels=np.arange(num),
        groups=np.arange(num),
        splits={"official": np.ones(num, bool)},
        fps=np.full(num, 30.0),
    )


@pytest.mark.parametrize("num_frames", [1, 2, 3000])
def test_windows_of_every_label_are_finite_however_long_the_sequences(
    tiny: WindowRecipe, sets: dict[str, SkeletonSet], num_frames: int
) -> None:
    lengthened = {name: with_length(read, num_frames) for name, read in sets.items()}
    examples = [
        Example(read, index, label)
        for name, read in lengthened.items()
        for index in range(len(read))
        if (label := tiny.labels[name].get(read.label(index), "other")) is not None
    ]
    dataset = WindowDataset(replace(tiny, windows_per_epoch=80), examples)
    items = [dataset[item] for item in range(80)]
    assert all(torch.isfinite(values).all() for values, _ in items)
    assert {int(label) for _, label in items} == set(range(len(tiny.class_labels)))


def test_a_sequence_is_covered_by_overlapping_windows(make_clip: MakeClip) -> None:
    covering = cover(make_clip(num_frames=90), window_s=2.0, stride_s=0.5)
    assert [(window.start_s, window.end_s) for window in covering] == [(0, 2), (0.5, 2.5), (1, 3)]
    assert [window.num_frames for window in covering] == [60, 60, 60]
    assert covering[1].times_s[0] == pytest.approx(0.5)


def test_a_short_sequence_stands_in_the_middle_of_its_window(make_clip: MakeClip) -> None:
    (window,) = cover(make_clip(num_frames=30), window_s=2.0, stride_s=0.5)
    assert (window.start_s, window.end_s) == (-0.5, 1.5)
    assert window.num_frames == 30


def test_a_sequence_as_long_as_a_window_is_one(make_clip: MakeClip) -> None:
    (window,) = cover(make_clip(num_frames=60), window_s=2.0, stride_s=0.5)
    assert (window.start_s, window.end_s) == (0, 2)

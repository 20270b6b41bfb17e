"""Which sequences belong to which part of a training."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from training.datasets.skeleton_set import NO_PART, TESTED, TRAINS, SkeletonSet
from training.examples import Example, Parts, check_examples, divide, held_out_groups, learned, read_sets
from training.recipe import SequenceRecipe, WindowRecipe
from training.recipes.everyday import everyday
from training.recipes.own import own


@pytest.fixture(scope="module")
def sets(tiny: WindowRecipe, data: Path) -> dict[str, SkeletonSet]:
    return read_sets(tiny, data)


@pytest.fixture(scope="module")
def penn(tiny_sequences: SequenceRecipe, data: Path) -> dict[str, SkeletonSet]:
    return read_sets(tiny_sequences, data)


@pytest.fixture(scope="module")
def parts(tiny: WindowRecipe, sets: dict[str, SkeletonSet]) -> Parts:
    return divide(tiny, sets)


def groups(examples: tuple[Example, ...]) -> set[tuple[str, int]]:
    return {(example.source.name, int(example.source.groups[example.index])) for example in examples}


def sequences(examples: tuple[Example, ...]) -> set[tuple[str, int]]:
    return {(example.source.name, example.index) for example in examples}


def assert_parts_are_apart(parts: Parts) -> None:
    assert not groups(parts.train) & groups(parts.calibration)
    for one, other in ((parts.train, parts.test), (parts.calibration, parts.test)):
        assert not sequences(one) & sequences(other)
    for example in (*parts.train, *parts.calibration):
        assert example.source.name != "penn_action" or example.source.train[example.index]


def test_sets_are_read_in_the_layout_of_the_recipe(sets: dict[str, SkeletonSet]) -> None:
    assert {name: read.layout.name for name, read in sets.items()} == {"penn_action": "penn13", "kard": "penn13"}


def test_a_data_set_that_is_missing_is_named(tiny: WindowRecipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"penn_action\.npz: expected a skeleton set \(\.npz\), found no such file"):
        read_sets(tiny, tmp_path)


def test_parts_share_no_sequence_and_calibration_no_group(parts: Parts) -> None:
    assert_parts_are_apart(parts)
    assert parts.train
    assert {example.source.name for example in parts.calibration} == {"penn_action", "kard"}


def test_the_official_test_split_is_the_test_and_nothing_else_is(parts: Parts, sets: dict[str, SkeletonSet]) -> None:
    official = {("penn_action", int(index)) for index in np.flatnonzero(~sets["penn_action"].train)}
    assert sequences(parts.test) == official


def test_every_sequence_is_in_one_part_but_for_classes_that_the_recipe_drops(
    parts: Parts, sets: dict[str, SkeletonSet]
) -> None:
    kept = sequences((*parts.train, *parts.calibration, *parts.test))
    dropped = {(read.name, index) for read in sets.values() for index in range(len(read))} - kept
    assert {sets[name].label(index) for name, index in dropped} == {"bend"}
    assert {example.label for example in parts.train if example.source.label(example.index) == "drink"} == {"other"}


@pytest.mark.parametrize("left_out", [{"kard"}, {"squat"}, {"kard", "squat"}, {"penn_action"}])
def test_what_is_left_out_is_in_the_test_only(
    tiny: WindowRecipe, sets: dict[str, SkeletonSet], left_out: set[str]
) -> None:
    divided = divide(replace(tiny, left_out=frozenset(left_out)), sets)
    assert_parts_are_apart(divided)
    seen = (*divided.train, *divided.calibration)
    assert not {name for example in seen for name in (example.source.name, example.label)} & left_out
    tested = Counter(name for example in divided.test for name in (example.source.name, example.label))
    assert all(tested[name] for name in left_out)


def test_the_groups_that_calibrate_are_always_the_same_and_a_tenth(sets: dict[str, SkeletonSet]) -> None:
    for read in sets.values():
        held = held_out_groups(read, 0.1)
        assert held == held_out_groups(read, 0.1)
        assert len(held) == max(1, round(0.1 * len(np.unique(read.groups[read.train]))))
        assert held <= set(read.groups[read.train].tolist())


def test_the_real_sets_are_divided_by_the_same_rules(shared: Path) -> None:
    recipe = everyday()
    divided = divide(recipe, read_sets(recipe, shared / "data"))
    assert_parts_are_apart(divided)
    assert len(divided.test) == 1068
    assert {example.label for example in divided.train} == set(recipe.class_labels) - {"idle"}
    assert 0.05 < len(divided.calibration) / len(divided.train) < 0.2


def with_splits(read: SkeletonSet, **splits: list[int]) -> dict[str, SkeletonSet]:
    """Return the set with these splits, each repeated over all sequences."""
    sides = {name: np.resize(np.array(side, np.int8), len(read)) for name, side in splits.items()}
    return {read.name: replace(read, splits=sides)}


def test_whole_sequences_are_parted_as_their_split_says(
    tiny_sequences: SequenceRecipe, penn: dict[str, SkeletonSet]
) -> None:
    split = with_splits(penn["penn_action"], xsub=[TRAINS, TESTED], xview=[TESTED, TRAINS, NO_PART])
    for name in ("xsub", "xview"):
        divided = divide(replace(tiny_sequences, split=name), split)
        sides = split["penn_action"].splits[name]
        assert {index for _, index in sequences(divided.test)} == set(np.flatnonzero(sides == TESTED))
        seen = sequences((*divided.train, *divided.calibration))
        assert {index for _, index in seen} == set(np.flatnonzero(sides == TRAINS))
        assert not groups(divided.train) & groups(divided.calibration)
        assert divided.calibration


def test_no_split_is_the_first_one(tiny_sequences: SequenceRecipe, penn: dict[str, SkeletonSet]) -> None:
    split = with_splits(penn["penn_action"], xsub=[TRAINS, TESTED], xview=[TESTED, TRAINS])
    assert sequences(divide(tiny_sequences, split).test) == sequences(
        divide(replace(tiny_sequences, split="xsub"), split).test
    )


def test_a_split_that_is_not_there_is_answered_with_those_that_are(
    tiny_sequences: SequenceRecipe, penn: dict[str, SkeletonSet]
) -> None:
    with pytest.raises(ValueError, match="penn_action has no split 'xset': expected one of official"):
        divide(replace(tiny_sequences, split="xset"), penn)


def test_where_nothing_is_held_out_all_that_trains_trains(
    tiny_sequences: SequenceRecipe, penn: dict[str, SkeletonSet]
) -> None:
    divided = divide(replace(tiny_sequences, held_out_share=0.0), penn)
    assert not divided.calibration
    assert len(divided.train) == int(penn["penn_action"].train.sum())


def test_windows_are_learned_from_all_of_a_set_whose_split_nobody_compares_on(
    tiny: WindowRecipe, sets: dict[str, SkeletonSet]
) -> None:
    divided = divide(tiny, sets, tested=())
    assert not divided.test
    assert len(divided.train) + len(divided.calibration) == sum(map(len, sets.values())) - 6  # nobody learns "bend"


def test_a_label_that_nothing_trains_is_named(tiny_sequences: SequenceRecipe, penn: dict[str, SkeletonSet]) -> None:
    recipe = replace(tiny_sequences, classes=tuple(learned(tiny_sequences, {}, penn)["classes"]))
    parts = divide(recipe, penn)
    check_examples(recipe, parts)
    missing = recipe.classes[0]
    lacking = replace(parts, train=tuple(example for example in parts.train if example.label != missing))
    with pytest.raises(ValueError, match=f"no sequence trains {missing}: expected some of each label"):
        check_examples(recipe, lacking)


def test_a_fold_may_lack_what_it_leaves_out(tiny: WindowRecipe, sets: dict[str, SkeletonSet]) -> None:
    fold = replace(tiny, left_out=frozenset({"kard"}))
    check_examples(fold, divide(fold, sets))


def test_the_classes_of_a_set_are_learned_from_it_and_settings_are_kept(
    tiny: WindowRecipe, tiny_sequences: SequenceRecipe, sets: dict[str, SkeletonSet], penn: dict[str, SkeletonSet]
) -> None:
    known = learned(tiny_sequences, {"epochs": 5}, penn)
    assert known == {"classes": ["squat", "jumping_jacks", "golf_swing"], "epochs": 5}
    assert learned(tiny_sequences, {"classes": ["squat"]}, penn) == {"classes": ["squat"]}
    assert learned(tiny, {"epochs": 5}, sets) == {"epochs": 5}
    of_own = learned(own(), {}, {"own": penn["penn_action"]})
    assert of_own == {"labels": {"own": {name: name for name in ("squat", "jumping_jacks", "golf_swing")}}}


def test_the_only_data_set_may_be_named_by_its_file(
    tiny_sequences: SequenceRecipe, penn: dict[str, SkeletonSet], data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "another_name.npz"
    file.write_bytes((data / "penn_action.npz").read_bytes())
    read = read_sets(tiny_sequences, file)
    assert np.array_equal(read["penn_action"].keypoints, penn["penn_action"].keypoints)

"""A run's folder says how it was trained."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import DataError
from pipeline.features import make_features
from training.examples import divide, read_sets
from training.loop import build_recogniser, train
from training.recipe import SequenceRecipe, WindowRecipe
from training.recipes import registry as recipes
from training.runs import RUN_FILE, Run, changed, classifier, current_commit, digest


def test_a_run_is_found_again_as_it_was_started(tiny: WindowRecipe, tmp_path: Path) -> None:
    changes = {"epochs": 3, "left_out": frozenset({"squat", "kard"}), "learning_rate": 0.5}
    started = Run.start(tmp_path / "a" / "run", "tiny", changes)
    opened = Run.open(tmp_path / "a" / "run")
    assert opened.recipe == started.recipe == replace(tiny, **changes)
    assert opened.commit == started.commit == current_commit()
    assert json.loads((tmp_path / "a" / "run" / RUN_FILE).read_text())["changes"]["left_out"] == ["kard", "squat"]


def test_the_commit_is_the_whole_hash_with_a_mark_for_changes() -> None:
    assert re.fullmatch(r"([0-9a-f]{40}\+?)?", current_commit())


def test_an_unknown_recipe_is_answered_with_the_known_ones_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown recipe 'everyway': expected one of .*everyday, everyday-quick"):
        Run.start(tmp_path / "run", "everyway", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        ("half of {", "Expecting value"),
        ("[]", "list indices"),
        ('{"recipe": "tiny"}', "changes"),
        ('{"recipe": "gone", "changes": {}, "commit": ""}', "unknown recipe 'gone'"),
        ('{"recipe": "tiny", "changes": {"epochs": "x"}, "commit": ""}', "epochs: expected a value such as 2"),
    ],
    ids=["missing", "no json", "no object", "incomplete", "unknown recipe", "odd change"],
)
def test_a_folder_that_holds_no_run_is_named(content: str | None, complaint: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(DataError, match=rf"expected a run with run\.json, but reading it failed: .*{complaint}"):
        Run.open(tmp_path)


def test_a_run_without_a_checkpoint_must_be_trained_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"checkpoint\.pt: expected a checkpoint, found none; train the run first"):
        Run.start(tmp_path, "tiny", {}).load_model()


def test_a_run_gives_the_averaged_model_back(tiny: WindowRecipe, data: Path, tmp_path: Path) -> None:
    run = Run.start(tmp_path, "tiny", {"epochs": 1, "windows_per_epoch": 32})
    trained = train(run.recipe, divide(tiny, read_sets(tiny, data)).train, tmp_path, workers=0)
    loaded = Run.open(tmp_path).load_model()
    assert not loaded.training
    assert all(torch.equal(value, trained.state_dict()[name].cpu()) for name, value in loaded.state_dict().items())


def test_a_run_whose_recipe_was_rewritten_since_is_not_taken_for_one_of_the_new_recipe(
    tiny: WindowRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.start(tmp_path, "tiny", {"epochs": 1})
    monkeypatch.setitem(recipes._RECIPES._entries, "tiny", lambda: replace(tiny, description="Matches"))
    assert Run.open(tmp_path).recipe.description == "Matches"
    dropped = {**tiny.labels, "kard": {**tiny.labels["kard"], "drink": None}}
    monkeypatch.setitem(recipes._RECIPES._entries, "tiny", lambda: replace(tiny, labels=dropped))
    with pytest.raises(
        DataError, match=rf"recipe 'tiny' is no longer what .*; check out commit {re.escape(run.commit)}"
    ):
        Run.open(tmp_path)


def test_a_digest_does_not_hang_on_the_order_of_sets_and_settings(tiny: WindowRecipe) -> None:
    turned = {name: dict(reversed(labels.items())) for name, labels in reversed(tiny.labels.items())}
    assert digest(replace(tiny, labels=turned, repeated=frozenset(list(tiny.repeated)))) == digest(tiny)
    assert digest(replace(tiny, seed=1)) != digest(tiny)


def test_settings_are_replaced_in_their_own_types(tiny: WindowRecipe) -> None:
    recipe = changed(tiny, {"learning_rate": 1, "left_out": ["squat"], "options": {"width": 8}, "name": "other"})
    assert type(recipe.learning_rate) is float
    assert recipe.left_out == frozenset({"squat"})
    assert recipe.options == {"width": 8}
    assert recipe.name == "other"
    assert recipe.epochs == tiny.epochs


def test_a_split_that_is_called_by_a_number_needs_no_quotes(tiny_sequences: SequenceRecipe) -> None:
    recipe = changed(tiny_sequences, {"split": 2})
    assert isinstance(recipe, SequenceRecipe)
    assert recipe.split == "2"


def test_settings_of_features_and_augmentation_are_replaced_one_by_one(tiny: WindowRecipe) -> None:
    recipe = changed(tiny, {"features": {"num_frames": 20}, "augmentation": {"speed": 1, "camera_fps": [5, 10]}})
    assert recipe.features == replace(tiny.features, num_frames=20)
    assert recipe.augmentation == replace(tiny.augmentation, speed=1.0, camera_fps=(5, 10))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"epoch": 3}, "WindowRecipe has no setting epoch: expected some of .*epochs"),
        ({"epochs": "many"}, "epochs: expected a value such as 2, got 'many'"),
        ({"epochs": 2.5}, "epochs: expected a value such as 2, got 2.5"),
        ({"epochs": True}, "epochs: expected a value such as 2, got True"),
        ({"epochs": 0}, "expected epochs and batch_size of 1 or more"),
        ({"learning_rate": None}, "learning_rate: expected a value such as 0.01, got None"),
        ({"left_out": "squat"}, "left_out: expected a value such as frozenset"),
        ({"left_out": ["squad"]}, "has no squad to leave out"),
        ({"left_out": [1]}, "has no 1 to leave out"),
        ({"options": [8]}, "options: expected a value such as"),
        ({"features": {"frames": 20}}, "FeatureSpec has no setting frames"),
        ({"features": {"num_frames": 1}}, "expected num_frames >= 2"),
        ({"features": 20}, "features: expected a value such as FeatureSpec"),
    ],
)
def test_a_setting_that_is_not_there_or_of_another_kind_is_refused(
    tiny: WindowRecipe, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        changed(tiny, changes)


def test_a_classifier_makes_the_features_that_serving_makes(tiny: WindowRecipe, data: Path) -> None:
    model = build_recogniser(tiny).eval()
    clips = [example.clip() for example in divide(tiny, read_sets(tiny, data)).train[:5]]
    logits = classifier(model, tiny)(clips)
    features = np.stack([make_features(clip, tiny.features).values for clip in clips])
    assert np.array_equal(logits, model(torch.from_numpy(features)).detach().numpy())
    assert logits.shape == (5, len(tiny.class_labels))
